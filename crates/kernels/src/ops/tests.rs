//! Every variant against a plain loop in double precision.

use half::f16;

use crate::Kernels;
use crate::testing::{Random, assert_close, every_isa};

const LENGTHS: std::ops::RangeInclusive<usize> = 1..=130;

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Calls `f` with every variant and two operands of every length.
fn check(f: impl Fn(Kernels, &[f32], &[f32], &dyn std::fmt::Display)) {
    let mut random = Random::new(7);
    for kernels in every_isa() {
        for len in LENGTHS {
            let x: Vec<f32> = random.floats(len).iter().map(|x| x * 8.0).collect();
            f(
                kernels,
                &x,
                &random.floats(len),
                &format!("{:?}, length {len}", kernels.isa()),
            );
        }
    }
}

#[test]
fn rms_norm() {
    check(|kernels, x, weight, what| {
        let mut out = vec![0.0; x.len()];
        kernels.rms_norm(x, weight, 1e-6, &mut out);
        let mean = wide(x).iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let factor = 1.0 / (mean + f64::from(1e-6_f32)).sqrt();
        let want: Vec<f64> = wide(x)
            .iter()
            .zip(wide(weight))
            .map(|(x, weight)| x * factor * weight)
            .collect();
        assert_close(&out, &want, 1e-3, 1e-6, what);
    });
}

#[test]
fn sums_and_products() {
    check(|kernels, x, y, what| {
        let mut sum = x.to_vec();
        kernels.add_assign(&mut sum, y);
        assert!(
            sum.iter()
                .zip(x.iter().zip(y))
                .all(|(sum, (x, y))| *sum == x + y),
            "{what}"
        );

        let mut scaled = x.to_vec();
        kernels.scale_assign(&mut scaled, 0.3);
        assert!(
            scaled.iter().zip(x).all(|(scaled, x)| *scaled == x * 0.3),
            "{what}"
        );

        let want: f64 = wide(x).iter().zip(wide(y)).map(|(x, y)| x * y).sum();
        assert_close(&[kernels.dot(x, y)], &[want], x.len() as f64, 1e-6, what);
    });
}

#[test]
fn gates() {
    check(|kernels, x, up, what| {
        let mut gate = x.to_vec();
        kernels.silu_mul(&mut gate, up);
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let want: Vec<f64> = wide(x)
            .iter()
            .zip(wide(up))
            .map(|(&x, up)| silu(x) * up)
            .collect();
        assert_close(&gate, &want, 1e-4, 2e-6, what);

        let mut gate = x.to_vec();
        kernels.gelu_tanh_mul(&mut gate, up);
        let gelu = |x: f64| {
            let inner =
                (2.0 / std::f64::consts::PI).sqrt() * (x + f64::from(0.044_715_f32) * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        };
        let want: Vec<f64> = wide(x)
            .iter()
            .zip(wide(up))
            .map(|(&x, up)| gelu(x) * up)
            .collect();
        assert_close(&gate, &want, 1e-4, 2e-6, what);
    });
}

#[test]
fn gates_saturate() {
    for kernels in every_isa() {
        let mut gate = [-1e30, -200.0, -88.0, 0.0, 88.0, 200.0, 1e30];
        kernels.silu_mul(&mut gate, &[1.0; 7]);
        assert_eq!(&gate[..2], &[0.0, 0.0], "{:?}", kernels.isa());
        assert!(gate[2].abs() < 1e-30);
        assert_eq!(&gate[3..], &[0.0, 88.0, 200.0, 1e30]);
        let mut gate = [-1e9, -100.0, 0.0, 100.0, 1e9, f32::NAN];
        kernels.gelu_tanh_mul(&mut gate, &[1.0; 6]);
        assert_eq!(
            &gate[..5],
            &[0.0, 0.0, 0.0, 100.0, 1e9],
            "{:?}",
            kernels.isa()
        );
        assert!(gate[5].is_nan());
    }
}

#[test]
fn rope() {
    let mut random = Random::new(3);
    for kernels in every_isa() {
        for half in LENGTHS {
            // What is beyond the rotated part is left alone.
            for extra in [0, 1, 17] {
                let head = random.floats(2 * half + extra);
                let (cos, sin) = (random.floats(half), random.floats(half));
                for interleaved in [false, true] {
                    let mut got = head.clone();
                    kernels.rope(&mut got, &cos, &sin, interleaved);
                    let mut want = wide(&head);
                    for i in 0..half {
                        let (a, b) = if interleaved {
                            (2 * i, 2 * i + 1)
                        } else {
                            (i, i + half)
                        };
                        let (x, y) = (f64::from(head[a]), f64::from(head[b]));
                        let (cos, sin) = (f64::from(cos[i]), f64::from(sin[i]));
                        want[a] = x * cos - y * sin;
                        want[b] = y * cos + x * sin;
                    }
                    let what = format!(
                        "{:?}, {half} angles, interleaved {interleaved}",
                        kernels.isa()
                    );
                    assert_close(&got, &want, 1.0, 3e-7, &what);
                }
            }
        }
    }
}

#[test]
fn half_precision() {
    check(|kernels, x, _, what| {
        let mut half = vec![f16::ZERO; x.len()];
        kernels.f32_to_f16(x, &mut half);
        assert!(
            half.iter()
                .zip(x)
                .all(|(half, &x)| *half == f16::from_f32(x)),
            "{what}"
        );
        let mut back = vec![0.0; x.len()];
        kernels.f16_to_f32(&half, &mut back);
        assert!(
            back.iter()
                .zip(&half)
                .all(|(back, half)| *back == half.to_f32()),
            "{what}"
        );
    });
}

#[test]
fn every_half_precision_number() {
    let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    for kernels in every_isa() {
        let (mut widened, mut back) = (vec![0.0; all.len()], vec![f16::ZERO; all.len()]);
        kernels.f16_to_f32(&all, &mut widened);
        kernels.f32_to_f16(&widened, &mut back);
        for ((&x, &widened), &back) in all.iter().zip(&widened).zip(&back) {
            if x.is_nan() {
                assert!(widened.is_nan() && back.is_nan());
            } else {
                assert_eq!(
                    (widened, back.to_bits()),
                    (x.to_f32(), x.to_bits()),
                    "{:?}",
                    kernels.isa()
                );
            }
        }
        let edges = [
            65519.0, 65520.0, 1e30, -1e30, 1e-8, 3e-8, 5.96e-8, 2049.0, 2051.0,
        ];
        let mut got = [f16::ZERO; 9];
        kernels.f32_to_f16(&edges, &mut got);
        assert_eq!(got, edges.map(f16::from_f32), "{:?}", kernels.isa());
    }
}

#[test]
fn the_largest() {
    check(|kernels, x, _, what| {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(kernels.max(x), largest, "{what}");
        assert_eq!(
            Some(kernels.argmax(x)),
            x.iter().position(|&x| x == largest),
            "{what}"
        );
    });
}

#[test]
fn the_largest_of_odd_values() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let rows: &[(&[f32], usize, f32)] = &[
        (&[], 0, -inf),
        (&[nan], 0, -inf),
        (&[nan, -inf], 1, -inf),
        (&[nan, 1.0, nan, 2.0, 2.0, nan], 3, 2.0),
        (&[0.0, inf, nan, inf], 1, inf),
        (&[-0.0, 0.0], 0, 0.0),
        (&[3.0; 40], 0, 3.0),
    ];
    for kernels in every_isa() {
        for &(x, index, largest) in rows {
            assert_eq!(
                (kernels.argmax(x), kernels.max(x)),
                (index, largest),
                "{:?} {x:?}",
                kernels.isa()
            );
        }
        let mut long = vec![nan; 5000];
        (long[1234], long[4321]) = (7.0, 7.0);
        assert_eq!(kernels.argmax(&long), 1234);
    }
}

#[test]
fn softmax_and_its_logarithm() {
    check(|kernels, x, _, what| {
        let total: f64 = wide(x).iter().map(|x| x.exp()).sum();
        let want: Vec<f64> = wide(x).iter().map(|x| x.exp() / total).collect();
        let mut got = x.to_vec();
        kernels.softmax(&mut got);
        assert_close(&got, &want, 1e-9, 2e-6, what);
        assert_close(&[kernels.log_sum_exp(x)], &[total.ln()], 1.0, 1e-6, what);
    });
}

#[test]
fn softmax_of_odd_values() {
    let inf = f32::INFINITY;
    for kernels in every_isa() {
        let mut x = [-inf, 0.0, -inf, 0.0, -1000.0];
        kernels.softmax(&mut x);
        assert_eq!(x, [0.0, 0.5, 0.0, 0.5, 0.0], "{:?}", kernels.isa());
        let mut none = [-inf; 20];
        kernels.softmax(&mut none);
        assert_eq!(none, [0.0; 20]);
        assert_eq!(kernels.log_sum_exp(&none[..0]), -inf);
        assert_eq!(kernels.log_sum_exp(&[-inf, -inf]), -inf);
        assert_eq!(kernels.log_sum_exp(&[1.0, inf]), inf);
        let mut poisoned = [1.0, f32::NAN, 2.0];
        kernels.softmax(&mut poisoned);
        assert!(poisoned.iter().all(|x| x.is_nan()), "{:?}", kernels.isa());
    }
}

#[test]
fn a_vocabulary_long_row() {
    let x: Vec<f32> = Random::new(11)
        .floats(200_064)
        .iter()
        .map(|x| x * 20.0)
        .collect();
    let total: f64 = wide(&x).iter().map(|x| x.exp()).sum();
    for kernels in every_isa() {
        assert_close(
            &[kernels.log_sum_exp(&x)],
            &[total.ln()],
            1.0,
            1e-6,
            &kernels.isa().name(),
        );
        let mut soft = x.clone();
        kernels.softmax(&mut soft);
        assert_close(
            &[wide(&soft).iter().sum::<f64>() as f32],
            &[1.0],
            1.0,
            1e-6,
            &kernels.isa().name(),
        );
    }
}

#[test]
fn exponentials_are_close_over_their_whole_range() {
    // exp(x) is read out of a softmax whose largest value, and so its offset, is 0.
    let x: Vec<f32> = (0..=8000).map(|i| -(i as f32) / 100.0).collect();
    for kernels in every_isa() {
        let mut got = x.clone();
        kernels.softmax(&mut got);
        let total: f64 = wide(&x).iter().map(|x| x.exp()).sum();
        let want: Vec<f64> = wide(&x).iter().map(|x| x.exp() / total).collect();
        assert_close(&got, &want, 0.0, 6e-7, &kernels.isa().name());
    }
}

#[test]
#[should_panic(expected = "unequal length")]
fn unequal_lengths_are_refused() {
    Kernels::best().add_assign(&mut [1.0; 3], &[1.0; 4]);
}

#[test]
fn quantize_i16_rounds_to_within_half_a_step() {
    let mut random = Random::new(7);
    for kernels in every_isa() {
        for len in 1..130 {
            let x = random.floats(len);
            let mut q = vec![0; len];
            let scale = kernels.quantize_i16(&x, &mut q);
            let largest = x.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
            assert_eq!(scale, largest / 32767.0);
            for (x, q) in x.iter().zip(&q) {
                let error = (f64::from(*x) - f64::from(*q) * f64::from(scale)).abs();
                assert!(
                    error <= 0.51 * f64::from(scale),
                    "{x} became {q} times {scale}"
                );
            }
        }
        let mut q = [1; 3];
        assert_eq!((kernels.quantize_i16(&[0.0; 3], &mut q), q), (0.0, [0; 3]));
        assert!(kernels.quantize_i16(&[1.0, f32::NAN, 2.0], &mut q).is_nan());
        assert!(
            kernels
                .quantize_i16(&[1.0, f32::INFINITY, 2.0], &mut q)
                .is_nan()
        );
        // Subnormal magnitudes have an infinite inverse; nothing wraps around.
        kernels.quantize_i16(&[1e-40, -1e-40, 0.0], &mut q);
        assert!(q[0] > 0 && q[1] < 0);
    }
}

#[test]
fn quantize_i8_rounds_to_within_half_a_step() {
    let mut random = Random::new(8);
    for kernels in every_isa() {
        for len in 1..130 {
            let x = random.floats(len);
            let mut q = vec![0; len];
            let scale = kernels.quantize_i8(&x, &mut q);
            let largest = x.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
            assert_eq!(scale, largest / 127.0);
            for (&x, &q) in x.iter().zip(&q) {
                assert!(q > -128, "only whole magnitudes up to 127 have both signs");
                let error = (x - f32::from(q) * scale).abs();
                assert!(error <= 0.501 * scale, "{x} became {q} times {scale}");
            }
        }
        let mut q = [1; 3];
        assert_eq!((kernels.quantize_i8(&[0.0; 3], &mut q), q), (0.0, [0; 3]));
        assert!(kernels.quantize_i8(&[1.0, f32::NAN, 2.0], &mut q).is_nan());
        kernels.quantize_i8(&[1e-40, -1e-40, 0.0], &mut q);
        assert!(q[0] > 0 && q[1] < 0);
    }
}
