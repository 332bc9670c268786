//! Weights that are fetched from memory while others are worked on.
//!
//! Processors foresee what a loop reads next, but not beyond a page of 4 KiB, and a panel is a few of those. Asking
//! in time is a quarter to a half of the speed of products of few rows.

use super::{PackedLayout, ROWS};
use crate::simd::Simd;

/// How far ahead of their use quants are fetched, in bytes, found by trying: 4 to 16 KiB are alike.
const AHEAD: usize = 8 << 10;

/// Where what comes next lies, for tiles of some panels that lie one behind the other.
pub(super) struct Ahead {
    panels: usize,
    panel_bytes: usize,
    groups: usize,
    group_bytes: usize,
    /// Of scales and zero points, a group's part.
    number_bytes: usize,
    /// [`AHEAD`] as groups, and whole tiles of them as panels.
    distance: (usize, usize),
}

impl Ahead {
    /// For tiles of `V` vectors of output features.
    #[inline(always)]
    pub(super) fn new<S: Simd, const V: usize>(layout: &PackedLayout) -> Ahead {
        let panels = (V * S::LANES).div_ceil(ROWS);
        let (groups, group_bytes) = (layout.groups(), layout.group_bytes());
        let distance = AHEAD / group_bytes / panels;
        Ahead {
            panels,
            panel_bytes: layout.panel_bytes(),
            groups,
            group_bytes,
            number_bytes: layout.panel_bytes() / groups - group_bytes,
            distance: (distance % groups, distance / groups * panels),
        }
    }

    /// Fetches, as a group of the tile that begins at `panel` is worked on, the quants that come a while later, and
    /// the numbers of the next tile: they lie behind its quants, and are needed with the first of them. None of it
    /// has to be there; asking for what is not does nothing.
    #[inline(always)]
    pub(super) fn fetch<S: Simd>(&self, s: S, panel: *const u8, group: usize) {
        let (mut ahead, mut tile) = (group + self.distance.0, self.distance.1);
        if ahead >= self.groups {
            ahead -= self.groups;
            tile += self.panels;
        }
        let quants = tile * self.panel_bytes + ahead * self.group_bytes;
        let numbers = (tile + self.panels) * self.panel_bytes
            + self.groups * self.group_bytes
            + group * self.number_bytes;
        for i in 0..self.panels {
            let panel = panel.wrapping_add(i * self.panel_bytes);
            s.prefetch(panel.wrapping_add(quants), self.group_bytes);
            s.prefetch(panel.wrapping_add(numbers), self.number_bytes);
        }
    }
}
