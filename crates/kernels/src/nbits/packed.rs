//! Weights re-laid for products in integers.
//!
//! Sixteen rows (output features) make a panel. What a panel holds for 32 values of `k` comes in units of
//! 64 bytes, four bytes a row: for 4 bits four units, of which byte `4 r + j` of unit `d` has in its low half
//! the value `4 d + j` of row `r`, and in its high half the value `16 + 4 d + j`; for 8 bits eight units,
//! whose byte `4 r + j` is the value `4 d + j`. Four bytes are what a dot product of bytes adds up in one
//! lane, so that a vector of any width up to 64 bytes is a whole number of rows, and one layout serves every
//! instruction set. After the quants of a panel come its scales, `[block][row]`, and its zero points likewise.
//!
//! Rows beyond the last are zeros, and so is all that follows the last column.

mod ahead;
mod pack;
mod product;
mod shares;

use std::fmt;

use super::{Bits, LayoutError, NBits, ZeroPoints};
use crate::quantized::{Depth, GROUP};

pub use product::Then;
pub(crate) use product::matmul;

/// Rows of a panel.
pub(crate) const ROWS: usize = 16;

/// How several matrices become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Join {
    /// Rows below rows: queries, keys and values, or a single matrix.
    Stacked,
    /// Panels of a gate and of what it opens in turn, so that one task has both results at hand.
    Gated,
}

/// What scales and zero points are kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// One byte; zero points only.
    U8,
    /// Half precision, where it is enough for every number: see [`PackedLayout::of`].
    F16,
    /// Single precision.
    F32,
}

impl Number {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Number::U8 => 1,
            Number::F16 => 2,
            Number::F32 => 4,
        }
    }
}

/// How packed weights lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackedLayout {
    /// Output features of all matrices together.
    pub n: usize,
    /// Input features.
    pub k: usize,
    /// The width of a weight.
    pub bits: Bits,
    /// How many weights share a scale.
    pub block: usize,
    /// What scales are kept as.
    pub scales: Number,
    /// What zero points are kept as; the middle where there are none. Floats are kept multiplied by their
    /// scale: that is what formats with a minimum for each block, which such exports come from, have in half
    /// precision.
    pub zero_points: Option<Number>,
    /// How matrices were joined.
    pub join: Join,
}

impl PackedLayout {
    /// The layout for some matrices, or `None` where they differ in more than their rows, where a joint of
    /// gates has not just two of one size, or where the result would be too large to address.
    ///
    /// Numbers are kept in half precision where that changes none of them by more than 2^-11 of itself, or of a
    /// 4096th of the largest one for those that are smaller still. For activations of 15 bits, whose products
    /// are to be as good as those of floats, it may be 2^-20.
    ///
    /// # Panics
    /// When a matrix is not [valid](NBits::validate).
    pub fn of(parts: &[NBits<'_>], join: Join, depth: Depth) -> Option<PackedLayout> {
        let mut layout = *PackedLayout::candidates(parts, join).first()?;
        let scales = parts.iter().flat_map(|part| part.scales.iter().copied());
        layout.scales = number(depth, scales);
        if layout.zero_points.is_some_and(|kind| kind != Number::U8) {
            layout.zero_points = Some(number(depth, parts.iter().flat_map(offsets)));
        }
        Some(layout)
    }

    /// The layouts of which [`of`](PackedLayout::of) gives one, without a look at the numbers.
    ///
    /// # Panics
    /// When a matrix is not [valid](NBits::validate).
    pub fn candidates(parts: &[NBits<'_>], join: Join) -> Vec<PackedLayout> {
        let Some(first) = parts.first() else {
            return Vec::new();
        };
        parts.iter().for_each(NBits::assert_valid);
        let alike = |part: &NBits<'_>| {
            (part.k, part.bits, part.block) == (first.k, first.bits, first.block)
                && kind(part) == kind(first)
        };
        let paired = join == Join::Stacked || (parts.len() == 2 && parts[0].n == parts[1].n);
        if !paired || !parts.iter().all(alike) {
            return Vec::new();
        }
        let zero_points: &[Option<Number>] = match kind(first) {
            Kind::Middle => &[None],
            Kind::Bytes => &[Some(Number::U8)],
            Kind::Floats => &[Some(Number::F16), Some(Number::F32)],
        };
        let layout = |scales, zero_points| PackedLayout {
            n: parts.iter().map(|part| part.n).sum(),
            k: first.k,
            bits: first.bits,
            block: first.block,
            scales,
            zero_points,
            join,
        };
        let with = |scales| zero_points.iter().map(move |&kind| layout(scales, kind));
        let layouts = [Number::F16, Number::F32].into_iter().flat_map(with);
        layouts
            .filter(|layout| layout.checked_bytes().is_some())
            .collect()
    }

    /// How many bytes weights take in this layout.
    pub fn bytes(&self) -> usize {
        self.checked_bytes().unwrap_or(usize::MAX)
    }

    fn checked_bytes(&self) -> Option<usize> {
        let groups = self.k.checked_next_multiple_of(self.block.max(GROUP))? / GROUP;
        let panel = groups.checked_mul(ROWS * GROUP)?.checked_mul(4)?;
        panel.checked_mul(self.panels())?;
        self.panel_bytes().checked_mul(self.panels())
    }

    /// How many panels there are.
    pub(crate) fn panels(&self) -> usize {
        match self.join {
            Join::Stacked => self.n.div_ceil(ROWS),
            Join::Gated => 2 * (self.n / 2).div_ceil(ROWS),
        }
    }

    /// Groups of 32 values of `k`, of which the last may be cut short.
    pub(crate) fn groups(&self) -> usize {
        self.k.div_ceil(GROUP)
    }

    /// Bytes of quants of a panel in a group.
    pub(crate) fn group_bytes(&self) -> usize {
        ROWS * GROUP * self.bits.count() / 8
    }

    pub(crate) fn quant_bytes(&self) -> usize {
        self.groups() * self.group_bytes()
    }

    /// Blocks of a row, those counted in that only padding is in.
    pub(crate) fn blocks(&self) -> usize {
        (self.groups() * GROUP).div_ceil(self.block)
    }

    pub(crate) fn scale_bytes(&self) -> usize {
        self.blocks() * ROWS * self.scales.bytes()
    }

    pub(crate) fn panel_bytes(&self) -> usize {
        let zero_points = self.zero_points.map_or(0, Number::bytes) * self.blocks() * ROWS;
        self.quant_bytes() + self.scale_bytes() + zero_points
    }
}

/// What a file of packed weights says of them; the same for the same layout only.
impl fmt::Display for PackedLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |number: Number| match number {
            Number::U8 => "u8",
            Number::F16 => "f16",
            Number::F32 => "f32",
        };
        let PackedLayout { n, k, block, .. } = self;
        let (bits, scales) = (self.bits.count(), name(self.scales));
        let zero_points = self.zero_points.map_or("middle", name);
        let join = match self.join {
            Join::Stacked => "stacked",
            Join::Gated => "gated",
        };
        write!(
            f,
            "panels of {ROWS}, {n} x {k}, {bits} bits by {block}, scales {scales}, zero points {zero_points}, {join}"
        )
    }
}

/// Which zero points a matrix has.
#[derive(PartialEq)]
enum Kind {
    Middle,
    Bytes,
    Floats,
}

fn kind(part: &NBits<'_>) -> Kind {
    match part.zero_points {
        ZeroPoints::None => Kind::Middle,
        ZeroPoints::Bytes(_) => Kind::Bytes,
        ZeroPoints::Floats(_) => Kind::Floats,
    }
}

/// Float zero points times their scales.
fn offsets<'a>(part: &NBits<'a>) -> impl Iterator<Item = f32> + Clone + use<'a> {
    let floats = match part.zero_points {
        ZeroPoints::Floats(floats) => floats,
        _ => &[],
    };
    floats.iter().zip(part.scales).map(|(x, scale)| x * scale)
}

/// The least room that keeps numbers well enough.
fn number(depth: Depth, all: impl Iterator<Item = f32> + Clone) -> Number {
    let bound = match depth {
        Depth::Eight => 1.0 / 2048.0,
        Depth::Fifteen => 1.0 / 1_048_576.0,
    };
    let floor = all.clone().fold(0.0, |most: f32, x| most.max(x.abs())) / 4096.0;
    let fits = |x: f32| (half::f16::from_f32(x).to_f32() - x).abs() <= bound * x.abs().max(floor);
    if all.into_iter().all(fits) {
        Number::F16
    } else {
        Number::F32
    }
}

/// Packed weights, borrowed from wherever they are kept.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    layout: PackedLayout,
    bytes: &'a [u8],
}

impl<'a> Packed<'a> {
    /// Takes bytes that [`PackedLayout::pack`] wrote; their alignment does not matter, though lines of 64
    /// are read fastest.
    ///
    /// # Errors
    /// When there are more or fewer bytes than the layout has.
    pub fn new(layout: PackedLayout, bytes: &'a [u8]) -> Result<Packed<'a>, LayoutError> {
        super::check_length("packed weights", layout.bytes(), bytes.len())?;
        Ok(Packed { layout, bytes })
    }

    /// How they lie.
    pub fn layout(&self) -> &PackedLayout {
        &self.layout
    }

    pub(crate) fn panel(&self, panel: usize) -> &'a [u8] {
        let bytes = self.layout.panel_bytes();
        &self.bytes[panel * bytes..][..bytes]
    }
}
