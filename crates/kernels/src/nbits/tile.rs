//! Several rows of activations: weights are packed once and met by four rows or more at a time.

use super::panel::{self, Panel, PanelSize};
use super::{Bits, Int8Task, ZeroPoints};
use crate::quantized::{GROUP, QuadBlock};
use crate::scratch;
use crate::simd::Simd;

#[inline(always)]
pub(super) fn multiply<S: Simd>(s: S, task: Int8Task<'_>) {
    // Blocks of 16 cut the 32 values of a scale in two, and have their sums apart; they are rare
    // enough to take the general way for zero points.
    let constant = matches!(task.weights.zero_points, ZeroPoints::None);
    match (task.weights.bits, task.weights.block < GROUP, constant) {
        (Bits::Four, false, true) => multiply_as::<S, 8, false, false>(s, task),
        (Bits::Four, false, false) => multiply_as::<S, 8, false, true>(s, task),
        (Bits::Four, true, _) => multiply_as::<S, 4, false, true>(s, task),
        (Bits::Eight, false, true) => multiply_as::<S, 8, true, false>(s, task),
        (Bits::Eight, false, false) => multiply_as::<S, 8, true, true>(s, task),
        (Bits::Eight, true, _) => multiply_as::<S, 4, true, true>(s, task),
    }
}

/// `G`: how many times four values share both scales; `WIDE`: 8 bits; `ZP`: zero points are read.
#[inline(always)]
fn multiply_as<S: Simd, const G: usize, const WIDE: bool, const ZP: bool>(
    s: S,
    task: Int8Task<'_>,
) {
    let size = PanelSize::of::<S>(task.weights);
    scratch::with(
        size.bytes(),
        #[inline(always)]
        |room| {
            for start in task.range.clone().step_by(S::LANES) {
                let panel = panel::pack::<S, ZP>(s, task.weights, start, size, room);
                let columns = Columns {
                    task: &task,
                    panel,
                    start,
                    len: S::LANES.min(task.range.end - start),
                };
                let quads = task.x.rows().div_ceil(4);
                let mut quad = 0;
                if S::REGISTERS >= 32 {
                    while quads - quad >= 3 {
                        columns.tile::<S, 3, G, WIDE, ZP>(s, quad);
                        quad += 3;
                    }
                    if quads - quad == 2 {
                        columns.tile::<S, 2, G, WIDE, ZP>(s, quad);
                        quad += 2;
                    }
                }
                while quad < quads {
                    columns.tile::<S, 1, G, WIDE, ZP>(s, quad);
                    quad += 1;
                }
            }
        },
    );
}

/// A panel and where its products go.
struct Columns<'a> {
    task: &'a Int8Task<'a>,
    panel: Panel<'a>,
    start: usize,
    len: usize,
}

impl Columns<'_> {
    /// The product with `Q` quads of rows.
    #[inline(always)]
    fn tile<S: Simd, const Q: usize, const G: usize, const WIDE: bool, const ZP: bool>(
        &self,
        s: S,
        quad: usize,
    ) {
        let quads: [&[QuadBlock]; Q] = std::array::from_fn(|i| self.task.x.quad(quad + i));
        // SAFETY: panel and activations were made for the same `k`, which `matmul_int8` asserts.
        let sums =
            unsafe { self.products::<S, Q, G, WIDE, ZP>(s, quads.map(<[QuadBlock]>::as_ptr)) };
        for (q, sums) in sums.iter().enumerate() {
            for (m, &sum) in sums.iter().enumerate() {
                let row = (quad + q) * 4 + m;
                if row < self.task.output.rows() {
                    // SAFETY: these columns are this task's alone.
                    let out = unsafe { self.task.output.row_part(row, self.start, self.len) };
                    if out.len() == S::LANES {
                        s.put(sum, out)
                    } else {
                        s.put_part(sum, out)
                    }
                }
            }
        }
    }

    /// # Safety
    /// The panel is of `LANES` rows and, like the quads, of the `k` of the weights.
    #[inline(always)]
    unsafe fn products<
        S: Simd,
        const Q: usize,
        const G: usize,
        const WIDE: bool,
        const ZP: bool,
    >(
        &self,
        s: S,
        quads: [*const QuadBlock; Q],
    ) -> [[S::F; 4]; Q] {
        let weights = self.task.weights;
        let block_log = weights.block.ilog2();
        let per_record = 8 / G;
        let mut totals = [[s.splat(0.0); 4]; Q];
        for g in 0..weights.k.div_ceil(G * 4) {
            let half = g % per_record;
            let block = (g * G * 4) >> block_log;
            // SAFETY: `g` counts groups below `k`, of which the panel has all quants and scales, and the
            // quads a record for each 32.
            unsafe {
                let mut records = quads;
                let mut values = [std::ptr::null(); Q];
                for (record, values) in records.iter_mut().zip(&mut values) {
                    *record = record.add(g / per_record);
                    *values = (&raw const (**record).values).cast::<i8>().add(half * 64);
                }
                let mut sums = [[s.splat_i(0); 4]; Q];
                // Nothing is left to take off where the middle is the bias that `dot_wide` has.
                let balanced = WIDE && S::WIDE_BIAS == 128;
                if !(ZP || balanced) {
                    for (sums, &record) in sums.iter_mut().zip(&records) {
                        for (sum, &bias) in sums.iter_mut().zip(&(*record).bias) {
                            *sum = s.splat_i(bias);
                        }
                    }
                }
                let panel = self.panel.quants.as_ptr().add(g * G * S::BYTES);
                let sums = s.tile_dot::<Q, G, WIDE>(sums, panel, values);
                let scale = s.load(self.panel.scales.as_ptr().add(block * S::LANES));
                let zero_point = if ZP {
                    s.load(self.panel.zero_points.as_ptr().add(block * S::LANES))
                } else {
                    s.splat(0.0)
                };
                for ((totals, sums), &record) in totals.iter_mut().zip(&sums).zip(&records) {
                    for m in 0..4 {
                        let mut product = s.to_f32(sums[m]);
                        if ZP {
                            let halves = &(*record).half_sums;
                            let sum = if G == 8 {
                                halves[0][m] + halves[1][m]
                            } else {
                                halves[half][m]
                            };
                            product = s.neg_mul_add(zero_point, s.splat(sum), product);
                        }
                        let scale = s.mul(scale, s.splat((*record).scales[m]));
                        totals[m] = s.mul_add(product, scale, totals[m]);
                    }
                }
            }
        }
        totals
    }
}
