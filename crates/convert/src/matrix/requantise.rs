//! The nearest integer zero point and scale for a block that has an offset of its own.
//!
//! Everything is measured in the block's own steps: its values are `level + shift` with
//! `shift = offset / scale`, of which at most 32 differ, so errors are summed over a histogram.

/// A block's own form: `scale * level + offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) scale: f32,
    pub(super) offset: f32,
}

/// Which encodings may be tried.
pub(super) struct Search {
    top: f32,
    middle: u8,
    /// Whether the zero point is free, or always the middle.
    free: bool,
}

/// `step * (level - zero)`, the step in units of the block's own.
#[derive(Clone, Copy, Debug)]
struct Grid {
    step: f32,
    zero: f32,
    /// `1 / step`: there are many more values than grids.
    inverse: f32,
}

impl Grid {
    fn new(step: f32, zero: f32) -> Grid {
        Grid {
            step,
            zero,
            inverse: 1.0 / step,
        }
    }
}

/// Distinct values of a block with their counts.
struct Histogram {
    values: [(f32, f32); 32],
    len: usize,
}

/// Scales tried, as parts of the one at which nothing is cut off. Cutting off a little
/// often pays, as the steps between become finer.
const SHRINK: [f32; 4] = [1.0, 0.94, 0.88, 0.8];

impl Search {
    pub(super) fn new(bits: usize, free: bool) -> Search {
        let levels = 1u32 << bits;
        Search {
            top: (levels - 1) as f32,
            middle: (levels / 2) as u8,
            free,
        }
    }

    /// Replaces the levels; returns the scale and the zero point.
    pub(super) fn encode(&self, affine: Affine, levels: &mut [u8]) -> (f32, u8) {
        let shift = affine.offset / affine.scale;
        if affine.scale == 0.0 || !shift.is_finite() {
            return self.constant(affine.offset, levels);
        }
        let histogram = Histogram::of(levels, shift);
        let grid = self.best(&histogram, shift);
        for level in levels.iter_mut() {
            *level = self.level(grid, f32::from(*level) + shift) as u8;
        }
        (affine.scale * grid.step, grid.zero as u8)
    }

    /// One level above zero, in steps of the value itself: exact.
    fn constant(&self, value: f32, levels: &mut [u8]) -> (f32, u8) {
        let zero = if self.free { 0 } else { self.middle };
        levels.fill(zero + 1);
        (value, zero)
    }

    fn best(&self, histogram: &Histogram, shift: f32) -> Grid {
        let mut best = (f32::INFINITY, Grid::new(1.0, f32::from(self.middle)));
        let mut consider = |grid: Grid| {
            let error = self.error(grid, histogram);
            if error < best.0 {
                best = (error, grid);
            }
        };
        let (low, high) = histogram.range();
        if self.free {
            self.whole_steps(low, high, shift, &mut consider);
        }
        for zero in self.zeros(low, high) {
            for sign in [1.0, -1.0] {
                let widest = self.widest_step(zero, low * sign, high * sign) * sign;
                if widest == 0.0 {
                    continue;
                }
                for part in SHRINK {
                    let step = widest * part;
                    consider(self.refined(Grid::new(step, zero), histogram));
                }
                if self.free {
                    // With a free zero point a negative scale is only a mirror image.
                    break;
                }
            }
        }
        best.1
    }

    /// Grids `1/r` as fine as the block's own: every step is kept, and the offset is off by a
    /// part of `1/r`.
    fn whole_steps(&self, low: f32, high: f32, shift: f32, consider: &mut impl FnMut(Grid)) {
        let span = high - low;
        let finest = if span > 0.0 {
            self.top / span
        } else {
            self.top
        };
        for r in 1..=finest as u32 {
            let r = r as f32;
            // The block's level 0 comes to lie on a whole number of fine steps.
            let offset = (r * shift).round();
            let first = offset + (low - shift).round() * r;
            let last = first + span.round() * r;
            let (least, most) = ((-first).max(0.0), (self.top - last).min(self.top));
            if least <= most {
                consider(Grid {
                    step: 1.0 / r,
                    zero: least,
                    inverse: r,
                });
            }
        }
    }

    /// Zero points worth trying: those around the one that spreads the levels evenly.
    fn zeros(&self, low: f32, high: f32) -> impl Iterator<Item = f32> + use<> {
        let middle = f32::from(self.middle);
        let span = high.max(0.0) - low.min(0.0);
        let ideal = (-low.min(0.0) / span * self.top).round();
        let (from, to) = match self.free {
            true if ideal.is_finite() => (ideal - 1.0, ideal + 1.0),
            _ => (middle, middle),
        };
        let top = self.top;
        [from, (from + to) / 2.0, to]
            .into_iter()
            .take(if from == to { 1 } else { 3 })
            .map(move |zero| zero.clamp(0.0, top))
    }

    /// The smallest step with which `low..=high` fits.
    fn widest_step(&self, zero: f32, low: f32, high: f32) -> f32 {
        let (low, high) = (low.min(high), high.max(low));
        let below = if low < 0.0 && zero > 0.0 {
            -low / zero
        } else {
            0.0
        };
        let above = self.top - zero;
        let above = if high > 0.0 && above > 0.0 {
            high / above
        } else {
            0.0
        };
        below.max(above)
    }

    /// The step that suits the levels which `grid` gives, by least squares.
    fn refined(&self, grid: Grid, histogram: &Histogram) -> Grid {
        let (mut product, mut square) = (0.0, 0.0);
        for (value, count) in histogram.iter() {
            let steps = self.level(grid, value) - grid.zero;
            product += count * value * steps;
            square += count * steps * steps;
        }
        let step = if square > 0.0 {
            product / square
        } else {
            grid.step
        };
        Grid::new(step, grid.zero)
    }

    fn level(&self, grid: Grid, value: f32) -> f32 {
        let level = (value * grid.inverse + grid.zero).clamp(0.0, self.top);
        // Rounds by cutting off, which every processor does in one instruction.
        (level + 0.5) as u32 as f32
    }

    fn error(&self, grid: Grid, histogram: &Histogram) -> f32 {
        let difference = |value| grid.step * (self.level(grid, value) - grid.zero) - value;
        histogram
            .iter()
            .map(|(value, count)| count * difference(value) * difference(value))
            .sum()
    }
}

impl Histogram {
    fn of(levels: &[u8], shift: f32) -> Histogram {
        let mut counts = [0.0f32; 32];
        for &level in levels {
            if let Some(count) = counts.get_mut(usize::from(level)) {
                *count += 1.0;
            }
        }
        let mut histogram = Histogram {
            values: [(0.0, 0.0); 32],
            len: 0,
        };
        let used = counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
        for (slot, (level, &count)) in histogram.values.iter_mut().zip(used) {
            *slot = (level as f32 + shift, count);
            histogram.len += 1;
        }
        histogram
    }

    fn iter(&self) -> impl Iterator<Item = (f32, f32)> + '_ {
        self.values.iter().copied().take(self.len)
    }

    fn range(&self) -> (f32, f32) {
        let values = || self.iter().map(|(value, _)| value);
        (
            values().fold(f32::INFINITY, f32::min),
            values().fold(f32::NEG_INFINITY, f32::max),
        )
    }
}
