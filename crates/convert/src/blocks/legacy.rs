//! Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

use super::{Row, half_at};

pub(super) fn q4_0(row: &mut Row, block: &[u8]) {
    row.scales.push(half_at(block, 0));
    push_nibbles(row, block.get(2..).unwrap_or_default());
}

pub(super) fn q4_1(row: &mut Row, block: &[u8]) {
    row.scales.push(half_at(block, 0));
    row.offsets.push(half_at(block, 2));
    push_nibbles(row, block.get(4..).unwrap_or_default());
}

pub(super) fn q5_0(row: &mut Row, block: &[u8]) {
    row.scales.push(half_at(block, 0));
    push_fives(row, block.get(2..).unwrap_or_default());
}

pub(super) fn q5_1(row: &mut Row, block: &[u8]) {
    row.scales.push(half_at(block, 0));
    row.offsets.push(half_at(block, 2));
    push_fives(row, block.get(4..).unwrap_or_default());
}

pub(super) fn q8_0(row: &mut Row, block: &[u8]) {
    row.scales.push(half_at(block, 0));
    // Two's complement to offset binary: -128 becomes level 0.
    let values = block.get(2..).unwrap_or_default();
    row.levels.extend(values.iter().map(|&v| v ^ 0x80));
}

fn push_nibbles(row: &mut Row, packed: &[u8]) {
    row.levels.extend(packed.iter().map(|&b| b & 0x0f));
    row.levels.extend(packed.iter().map(|&b| b >> 4));
}

/// Four bytes with a fifth bit for each value, then the nibbles.
fn push_fives(row: &mut Row, packed: &[u8]) {
    let Some((high, nibbles)) = packed.split_first_chunk::<4>() else {
        return;
    };
    let high = u32::from_le_bytes(*high);
    let fifth = |index: usize| (((high >> index) & 1) << 4) as u8;
    let low = nibbles.iter().map(|&b| b & 0x0f);
    let upper = nibbles.iter().map(|&b| b >> 4);
    let levels = low.chain(upper).enumerate();
    row.levels
        .extend(levels.take(32).map(|(i, nibble)| nibble | fifth(i)));
}
