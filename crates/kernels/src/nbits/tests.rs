//! Every variant against plain loops: one that quantises activations just so, and one in double
//! precision that does not.

use proptest::prelude::*;

use super::packed::{Join, Number, Packed, PackedLayout, Then};
use super::*;
use crate::testing::{Random, assert_close, every_isa};
use crate::{Depth, Kernels, Pool, QuantizedRows};

/// Weights that own their parts.
struct Weights {
    n: usize,
    k: usize,
    bits: Bits,
    block: usize,
    quants: Vec<u8>,
    scales: Vec<f32>,
    bytes: Vec<u8>,
    floats: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
enum Zp {
    None,
    Bytes,
    Floats,
}
const ZPS: [Zp; 3] = [Zp::None, Zp::Bytes, Zp::Floats];

impl Weights {
    fn new(random: &mut Random, n: usize, k: usize, bits: Bits, block: usize) -> Weights {
        let blocks = n * k.div_ceil(block);
        let largest = 1_u64 << bits.count();
        Weights {
            n,
            k,
            bits,
            block,
            quants: random.bytes(blocks * block * bits.count() / 8),
            scales: random.floats(blocks),
            bytes: (0..blocks)
                .map(|_| (random.bits() % largest) as u8)
                .collect(),
            floats: (0..blocks)
                .map(|_| (random.float() + 1.0) * (largest - 1) as f32 / 2.0)
                .collect(),
        }
    }

    fn view(&self, zp: Zp) -> NBits<'_> {
        let zero_points = match zp {
            Zp::None => ZeroPoints::None,
            Zp::Bytes => ZeroPoints::Bytes(&self.bytes),
            Zp::Floats => ZeroPoints::Floats(&self.floats),
        };
        let Weights {
            n, k, bits, block, ..
        } = *self;
        NBits {
            n,
            k,
            bits,
            block,
            quants: &self.quants,
            scales: &self.scales,
            zero_points,
        }
    }

    /// `(q - zero point, scale)`
    fn weight(&self, zp: Zp, n: usize, k: usize) -> (f64, f64) {
        let block = n * self.k.div_ceil(self.block) + k / self.block;
        let at = block * self.block + k % self.block;
        let q = match self.bits {
            Bits::Four => self.quants[at / 2] >> (at % 2 * 4) & 15,
            Bits::Eight => self.quants[at],
        };
        let zero_point = match zp {
            Zp::None => f64::from(self.bits.middle()),
            Zp::Bytes => f64::from(self.bytes[block]),
            Zp::Floats => f64::from(self.floats[block]),
        };
        (f64::from(q) - zero_point, f64::from(self.scales[block]))
    }

    /// The product with one row, and the sum of the magnitudes that it is made of.
    fn product(&self, zp: Zp, n: usize, x: &[f64]) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for (k, &x) in x.iter().enumerate() {
            let (q, scale) = self.weight(zp, n, k);
            sums.0 += q * scale * x;
            // The zero point is taken off a sum, whose rounding is relative to both of them.
            sums.1 += (q.abs() + f64::from(self.bits.middle())) * (scale * x).abs();
        }
        sums
    }
}

/// What becomes of activations that are quantised by 32 to at most so much.
fn quantized(x: &[f32], most: f32) -> Vec<f64> {
    let mut out = Vec::new();
    for group in x.chunks(32) {
        let largest = group
            .iter()
            .fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let scale = f64::from(largest / most);
        out.extend(
            group
                .iter()
                .map(|x| f64::from((x * (most / largest)).round_ties_even()) * scale),
        );
    }
    out
}

/// The same weights with numbers as packed ones keep them.
fn rounded(weights: &Weights, layout: &PackedLayout) -> Weights {
    let keep = |number: Number, x: f32| match number {
        Number::F16 => half::f16::from_f32(x).to_f32(),
        _ => x,
    };
    let scales = weights
        .scales
        .iter()
        .map(|&x| keep(layout.scales, x))
        .collect();
    // Float zero points are kept as what they take off.
    let kind = layout.zero_points.unwrap_or(Number::F32);
    let numbers = weights.floats.iter().zip(&weights.scales).zip(&scales);
    let floats = numbers
        .map(|((x, scale), kept)| keep(kind, x * scale) / kept)
        .collect();
    Weights {
        scales,
        floats,
        quants: weights.quants.clone(),
        bytes: weights.bytes.clone(),
        ..*weights
    }
}

/// Packs matrices and multiplies.
fn packed_product(
    kernels: Kernels,
    pool: &Pool,
    parts: &[NBits<'_>],
    (join, then): (Join, Then),
    x: &QuantizedRows,
    out: &mut [f32],
) -> PackedLayout {
    let layout = PackedLayout::of(parts, join, x.depth()).expect("they fit together");
    let mut bytes = vec![0xAA; layout.bytes()];
    let cut = layout.pieces() / 2;
    let (first, last) = bytes.split_at_mut(cut * layout.piece_bytes());
    layout.pack(pool, parts, 0..cut, first);
    layout.pack(pool, parts, cut..layout.pieces(), last);
    let packed = Packed::new(layout, &bytes).expect("it has the length");
    kernels.matmul_packed(pool, &packed, x, then, out);
    layout
}

const DEPTHS: [(Depth, f32); 2] = [(Depth::Eight, 127.0), (Depth::Fifteen, 16256.0)];

fn check_shape(random: &mut Random, pool: &Pool, weights: &Weights, rows: usize, kernels: Kernels) {
    let (n, k) = (weights.n, weights.k);
    let x = random.floats(rows * k);
    let plain_x: Vec<Vec<f64>> = x
        .chunks(k)
        .map(|x| x.iter().map(|&x| f64::from(x)).collect())
        .collect();
    for zp in ZPS {
        let what = |kind: &str| {
            let Weights { bits, block, .. } = weights;
            format!(
                "{kind} {:?}: {rows} x {k} x {n}, {bits:?}, block {block}, {zp:?}",
                kernels.isa()
            )
        };
        let view = weights.view(zp);
        view.validate().expect("it is valid");
        for (depth, most) in DEPTHS {
            let mut quantised_rows = QuantizedRows::new();
            quantised_rows.quantize(kernels, pool, &x, rows, k, depth);
            let mut out = vec![f32::NAN; rows * n];
            let how = (Join::Stacked, Then::Store);
            let layout = packed_product(kernels, pool, &[view], how, &quantised_rows, &mut out);
            let kept = rounded(weights, &layout);
            for (x, out) in x.chunks(k).zip(out.chunks(n)) {
                let x = quantized(x, most);
                for (column, out) in out.chunks(1).enumerate() {
                    let (want, size) = kept.product(zp, column, &x);
                    assert_close(out, &[want], size, 2e-6, &what(&format!("{depth:?}")));
                }
            }
        }
        let mut float = vec![f32::NAN; rows * n];
        kernels.matmul_nbits_f32(pool, &view, &x, &mut float);
        for (x, float) in plain_x.iter().zip(float.chunks(n)) {
            for (column, float) in float.chunks(1).enumerate() {
                let (want, size) = weights.product(zp, column, x);
                assert_close(float, &[want], size, 2e-6, &what("f32"));
            }
        }
    }
}

#[test]
fn every_block_size_width_and_row_count() {
    let mut random = Random::new(5);
    let pool = Pool::new(2);
    for kernels in every_isa() {
        for bits in [Bits::Four, Bits::Eight] {
            for block in [16, 32, 64, 128, 256] {
                for k in [
                    1, 15, 16, 17, 31, 32, 33, 48, 63, 65, 128, 130, 144, 255, 256, 400, 520,
                ] {
                    let n = 1 + random.bits() as usize % 37;
                    let weights = Weights::new(&mut random, n, k, bits, block);
                    for rows in [1, 2 + random.bits() as usize % 8] {
                        check_shape(&mut random, &pool, &weights, rows, kernels);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]
    #[test]
    fn any_shape(n in 1..70_usize, k in 1..600_usize, rows in 1..30_usize, block in 4..=8_u32, eight: bool, seed: u64) {
        let mut random = Random::new(seed);
        let bits = if eight { Bits::Eight } else { Bits::Four };
        let weights = Weights::new(&mut random, n, k, bits, 1 << block);
        check_shape(&mut random, &Pool::new(2), &weights, rows, Kernels::best());
    }
}

#[test]
fn every_number_of_rows_and_features() {
    let mut random = Random::new(6);
    let pool = Pool::new(2);
    for kernels in every_isa() {
        for bits in [Bits::Four, Bits::Eight] {
            for rows in (1..=9).chain([12, 13, 17, 24, 25, 33]) {
                let weights = Weights::new(&mut random, 1 + rows * 3, 96, bits, 32);
                check_shape(&mut random, &pool, &weights, rows, kernels);
            }
        }
    }
}

#[test]
fn long_rows_and_many_tasks() {
    let mut random = Random::new(8);
    for kernels in every_isa() {
        for (n, k, rows) in [(301, 1088, 1), (150, 1088, 3), (5, 3000, 14)] {
            let weights = Weights::new(&mut random, n, k, Bits::Four, 32);
            for threads in [1, 3] {
                check_shape(&mut random, &Pool::new(threads), &weights, rows, kernels);
            }
        }
    }
}

#[test]
fn more_rows_than_meet_all_weights_together() {
    let mut random = Random::new(9);
    // A megabyte of activations is 78 rows of 8192 values.
    let weights = Weights::new(&mut random, 50, 8192, Bits::Four, 32);
    check_shape(&mut random, &Pool::new(2), &weights, 165, Kernels::best());
}

#[test]
fn extreme_values_do_not_saturate() {
    for kernels in every_isa() {
        for (bits, quant) in [
            (Bits::Four, 0xFF),
            (Bits::Eight, 0xFF),
            (Bits::Eight, 0),
            (Bits::Four, 0),
        ] {
            for rows in [1, 5] {
                let (n, k) = (17, 512);
                let weights = Weights {
                    n,
                    k,
                    bits,
                    block: 256,
                    quants: vec![quant; n * k * bits.count() / 8],
                    scales: vec![1.0; n * 2],
                    bytes: vec![0; n * 2],
                    floats: vec![255.0; n * 2],
                };
                for sign in [-1.0, 1.0] {
                    let x = vec![sign * 127.0; rows * k];
                    for (depth, _) in DEPTHS {
                        let mut q = QuantizedRows::new();
                        let pool = Pool::new(1);
                        q.quantize(kernels, &pool, &x, rows, k, depth);
                        for zp in ZPS {
                            let mut out = vec![0.0; rows * n];
                            let how = (Join::Stacked, Then::Store);
                            packed_product(kernels, &pool, &[weights.view(zp)], how, &q, &mut out);
                            let want = weights.product(zp, 0, &vec![f64::from(sign) * 127.0; k]).0;
                            assert_close(
                                &out,
                                &vec![want; rows * n],
                                1.0,
                                1e-6,
                                &format!("{:?} {bits:?} {zp:?} {depth:?}", kernels.isa()),
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_follows_the_last_column_counts_for_nothing() {
    let mut random = Random::new(9);
    for kernels in every_isa() {
        for rows in [1, 4] {
            let mut weights = Weights::new(&mut random, 3, 40, Bits::Four, 32);
            let x = random.floats(rows * 40);
            let pool = Pool::new(1);
            let mut q = QuantizedRows::new();
            q.quantize(kernels, &pool, &x, rows, 40, Depth::Eight);
            let mut outs = [vec![0.0; rows * 3], vec![0.0; rows * 3]];
            for out in &mut outs {
                let how = (Join::Stacked, Then::Store);
                packed_product(kernels, &pool, &[weights.view(Zp::Bytes)], how, &q, out);
                // 40 values are 20 of the 32 bytes of a row.
                for row in weights.quants.chunks_exact_mut(32) {
                    row[20..].fill(0xFF);
                }
            }
            assert_eq!(outs[0], outs[1]);
        }
    }
}

#[test]
fn joined_matrices_give_what_each_gives_alone() {
    let mut random = Random::new(11);
    let pool = Pool::new(2);
    for kernels in every_isa() {
        for (n, others, k, rows) in [
            (16, 16, 64, 1),
            (40, 7, 96, 5),
            (3, 33, 32, 2),
            (100, 1, 64, 13),
        ] {
            let parts =
                [n, others, others].map(|n| Weights::new(&mut random, n, k, Bits::Four, 32));
            let views = parts.each_ref().map(|part| part.view(Zp::Bytes));
            let (mut q, x) = (QuantizedRows::new(), random.floats(rows * k));
            q.quantize(kernels, &pool, &x, rows, k, Depth::Eight);
            let alone = |part: &NBits<'_>| {
                let mut out = vec![0.0; rows * part.n];
                packed_product(
                    kernels,
                    &pool,
                    &[*part],
                    (Join::Stacked, Then::Store),
                    &q,
                    &mut out,
                );
                out
            };
            let all = n + 2 * others;
            let mut together = vec![1.5; rows * all];
            packed_product(
                kernels,
                &pool,
                &views,
                (Join::Stacked, Then::Add),
                &q,
                &mut together,
            );
            for row in 0..rows {
                let want: Vec<f64> = views
                    .iter()
                    .flat_map(|part| alone(part)[row * part.n..][..part.n].to_vec())
                    .map(|x| f64::from(x) + 1.5)
                    .collect();
                assert_close(&together[row * all..][..all], &want, 1.0, 1e-6, &"stacked");
            }
        }
    }
}

#[test]
fn a_gate_opens_what_is_beside_it() {
    let mut random = Random::new(12);
    let pool = Pool::new(2);
    for kernels in every_isa() {
        for (n, k, rows) in [
            (16, 64, 1),
            (40, 96, 5),
            (3, 32, 2),
            (200, 64, 13),
            (200, 64, 1),
        ] {
            let parts = [(); 2].map(|()| Weights::new(&mut random, n, k, Bits::Four, 32));
            let (mut q, x) = (QuantizedRows::new(), random.floats(rows * k));
            q.quantize(kernels, &pool, &x, rows, k, Depth::Eight);
            let [mut gate, up] = parts.each_ref().map(|part| {
                let (mut out, how) = (vec![0.0; rows * n], (Join::Stacked, Then::Store));
                packed_product(kernels, &pool, &[part.view(Zp::None)], how, &q, &mut out);
                out
            });
            let views = parts.each_ref().map(|part| part.view(Zp::None));
            for then in [Then::Silu, Then::GeluTanh] {
                let mut out = vec![f32::NAN; rows * n];
                packed_product(kernels, &pool, &views, (Join::Gated, then), &q, &mut out);
                let mut want = gate.clone();
                match then {
                    Then::Silu => kernels.silu_mul(&mut want, &up),
                    _ => kernels.gelu_tanh_mul(&mut want, &up),
                }
                let want: Vec<f64> = want.into_iter().map(f64::from).collect();
                assert_close(
                    &out,
                    &want,
                    1.0,
                    1e-6,
                    &format!("{then:?} {:?}", kernels.isa()),
                );
            }
            gate.clear();
        }
    }
}

#[test]
fn numbers_take_the_least_room_that_keeps_them() {
    let layout = |depth, scales: &[f32], floats: &[f32]| {
        let view = NBits {
            n: 2,
            k: 32,
            bits: Bits::Four,
            block: 32,
            quants: &[0; 32],
            scales,
            zero_points: ZeroPoints::Floats(floats),
        };
        let layout = PackedLayout::of(&[view], Join::Stacked, depth).expect("one matrix");
        (layout.scales, layout.zero_points)
    };
    let (f16, f32) = (Number::F16, Number::F32);
    let (eight, fifteen) = (Depth::Eight, Depth::Fifteen);
    assert_eq!(layout(eight, &[0.01, 0.013], &[7.3, 8.0]), (f16, Some(f16)));
    assert_eq!(
        layout(fifteen, &[0.01, 0.013], &[7.3, 8.0]),
        (f32, Some(f32))
    );
    assert_eq!(layout(fifteen, &[0.5, 0.25], &[7.5, 8.0]), (f16, Some(f16)));
    // Not a half itself, but what it takes off is one.
    assert_eq!(
        layout(fifteen, &[0.75, 0.75], &[0.1 / 0.75, 8.0]),
        (f16, Some(f32))
    );
    assert_eq!(
        layout(fifteen, &[0.75, 0.75], &[0.125 / 0.75, 8.0]),
        (f16, Some(f16))
    );
    // Next to nothing beside the largest.
    assert_eq!(layout(eight, &[0.01, 1e-9], &[7.3, 8.0]), (f16, Some(f16)));
    // Too large for half precision, and all of them too small for it.
    assert_eq!(layout(eight, &[0.01, 1e6], &[7.3, 8.0]), (f32, Some(f32)));
    assert_eq!(
        layout(eight, &[1e-7, 3e-7], &[7.3, f32::NAN]),
        (f32, Some(f32))
    );
}

#[test]
fn matrices_that_differ_are_not_joined() {
    let mut random = Random::new(13);
    let base = Weights::new(&mut random, 16, 64, Bits::Four, 32);
    let join = |other: &NBits<'_>, join| {
        PackedLayout::of(&[base.view(Zp::None), *other], join, Depth::Eight).is_some()
    };
    assert!(join(&base.view(Zp::None), Join::Gated));
    assert!(!join(&base.view(Zp::Bytes), Join::Stacked));
    for (n, k, bits, block, stacked) in [
        (17, 64, Bits::Four, 32, true),
        (16, 32, Bits::Four, 32, false),
        (16, 64, Bits::Eight, 32, false),
        (16, 64, Bits::Four, 64, false),
    ] {
        let other = Weights::new(&mut random, n, k, bits, block);
        assert_eq!(join(&other.view(Zp::None), Join::Stacked), stacked);
        assert!(!join(&other.view(Zp::None), Join::Gated));
    }
    let layout =
        PackedLayout::of(&[base.view(Zp::None)], Join::Stacked, Depth::Eight).expect("one matrix");
    let error = Packed::new(layout, &[0; 7]).expect_err("too short");
    assert!(error.to_string().contains("7 elements"), "{error}");
}

#[test]
fn rows_are_dequantised_exactly() {
    let mut random = Random::new(10);
    for kernels in every_isa() {
        for bits in [Bits::Four, Bits::Eight] {
            for block in [16, 32, 64, 128, 256] {
                for k in (1..=66).chain([127, 128, 129, 300]) {
                    let weights = Weights::new(&mut random, 3, k, bits, block);
                    for zp in ZPS {
                        let mut out = vec![0.0; k];
                        kernels.dequantize_row(&weights.view(zp), 1, &mut out);
                        for (i, &out) in out.iter().enumerate() {
                            let (q, scale) = weights.weight(zp, 1, i);
                            let want = q as f32 * scale as f32;
                            assert!(
                                (out - want).abs() <= want.abs() * 1e-6,
                                "{out} is not {want}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let weights = Weights::new(&mut Random::new(1), 3, 40, Bits::Four, 32);
    let good = weights.view(Zp::Bytes);
    assert_eq!(good.validate(), Ok(()));
    let length = |part, expected, actual| {
        Err(LayoutError::Length {
            part,
            expected,
            actual,
        })
    };
    assert_eq!(
        NBits {
            quants: &good.quants[1..],
            ..good
        }
        .validate(),
        length("quants", 96, 95)
    );
    assert_eq!(
        NBits {
            scales: &good.scales[1..],
            ..good
        }
        .validate(),
        length("scales", 6, 5)
    );
    let zero_points = ZeroPoints::Floats(&[1.0; 7]);
    assert_eq!(
        NBits {
            zero_points,
            ..good
        }
        .validate(),
        length("zero points", 6, 7)
    );
    assert_eq!(
        NBits { block: 48, ..good }.validate(),
        Err(LayoutError::Block(48))
    );
    assert_eq!(
        NBits { k: 0, ..good }.validate(),
        Err(LayoutError::Dimensions { n: 3, k: 0 })
    );
    let huge = NBits {
        n: usize::MAX,
        ..good
    };
    assert_eq!(
        huge.validate(),
        Err(LayoutError::Dimensions {
            n: usize::MAX,
            k: 40
        })
    );
    assert_eq!(
        LayoutError::Block(48).to_string(),
        "a block size of 48 is not one of 16, 32, 64, 128 and 256"
    );
}
