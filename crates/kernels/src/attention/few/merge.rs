//! Putting the stretches of a block together.

use super::{Part, reciprocal};
use crate::attention::weights::{add_scaled, scale};
use crate::simd::{Op, Simd};

/// Makes the results of the queries of a head of their partial results, which are there.
pub(super) struct Merge<'a> {
    /// Any of its stretches.
    pub(super) part: Part<'a>,
    pub(super) kv_head: usize,
}

impl Op for Merge<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let part = self.part;
        let stretches = part.block.stretches();
        for query in 0..part.queries() {
            let (row, at) = part.place(self.kv_head, query);
            // SAFETY: this row and head are this task's alone.
            let out = unsafe { part.output.row_part(row, at, part.few.shape.head_dim) };
            out.fill(0.0);
            // SAFETY: so are its partial results.
            let partial = |stretch: usize| unsafe { part.partial(self.kv_head, stretch, query) };
            let mut largest = f32::NEG_INFINITY;
            for stretch in 0..stretches {
                largest = largest.max(partial(stretch).1[0]);
            }
            let mut all = 0.0;
            for stretch in 0..stretches {
                let (sums, rest) = partial(stretch);
                let (own, total) = (rest[0], rest[1]);
                // It is 0 where the row attends to nothing in this stretch.
                if total != 0.0 {
                    let factor = (own - largest).exp();
                    all += total * factor;
                    add_scaled(s, out, sums, factor);
                }
            }
            scale(s, out, reciprocal(all));
        }
    }
}
