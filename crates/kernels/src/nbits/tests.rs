//! Every variant against plain loops: one that quantises activations just so, and one in double
//! precision that does not.

use proptest::prelude::*;

use super::*;
use crate::Kernels;
use crate::testing::{Random, assert_close, every_isa};

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

/// What becomes of activations that are quantised by 32.
fn quantized(x: &[f32]) -> Vec<f64> {
    let mut out = Vec::new();
    for group in x.chunks(32) {
        let largest = group
            .iter()
            .fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let scale = f64::from(largest / 127.0);
        out.extend(
            group
                .iter()
                .map(|x| f64::from((x * (127.0 / largest)).round_ties_even()) * scale),
        );
    }
    out
}

fn check_shape(random: &mut Random, pool: &Pool, weights: &Weights, rows: usize, kernels: Kernels) {
    let (n, k) = (weights.n, weights.k);
    let x = random.floats(rows * k);
    let mut quantised_rows = QuantizedRows::new();
    quantised_rows.quantize(kernels, pool, &x, rows, k, weights.bits);
    let quantised_x: Vec<Vec<f64>> = x.chunks(k).map(quantized).collect();
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
        let (mut int8, mut float) = (vec![f32::NAN; rows * n], vec![f32::NAN; rows * n]);
        kernels.matmul_nbits_int8(pool, &view, &quantised_rows, &mut int8);
        kernels.matmul_nbits_f32(pool, &view, &x, &mut float);
        for row in 0..rows {
            for column in 0..n {
                let at = row * n + column;
                let (want, size) = weights.product(zp, column, &quantised_x[row]);
                assert_close(&int8[at..=at], &[want], size, 2e-6, &what("int8"));
                let (want, size) = weights.product(zp, column, &plain_x[row]);
                assert_close(&float[at..=at], &[want], size, 2e-6, &what("f32"));
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
                    let mut q = QuantizedRows::new();
                    let pool = Pool::new(1);
                    q.quantize(kernels, &pool, &x, rows, k, bits);
                    for zp in ZPS {
                        let mut out = vec![0.0; rows * n];
                        kernels.matmul_nbits_int8(&pool, &weights.view(zp), &q, &mut out);
                        let want = weights.product(zp, 0, &vec![f64::from(sign) * 127.0; k]).0;
                        assert_close(
                            &out,
                            &vec![want; rows * n],
                            1.0,
                            1e-6,
                            &format!("{:?} {bits:?} {zp:?}", kernels.isa()),
                        );
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
            q.quantize(kernels, &pool, &x, rows, 40, Bits::Four);
            let mut outs = [vec![0.0; rows * 3], vec![0.0; rows * 3]];
            for out in &mut outs {
                kernels.matmul_nbits_int8(&pool, &weights.view(Zp::Bytes), &q, out);
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

#[test]
#[should_panic(expected = "another width")]
fn activations_for_another_width_are_refused() {
    let weights = Weights::new(&mut Random::new(1), 3, 32, Bits::Four, 32);
    let mut x = QuantizedRows::new();
    let pool = Pool::new(1);
    x.quantize(Kernels::best(), &pool, &[1.0; 32], 1, 32, Bits::Eight);
    Kernels::best().matmul_nbits_int8(&pool, &weights.view(Zp::None), &x, &mut [0.0; 3]);
}
