//! Super-blocks of 256 whose sub-blocks have small integer scales: Q4_K, Q5_K, Q6_K.

use super::{Row, half_at};

const SUB_BLOCKS: usize = 8;

pub(super) fn q4_k(row: &mut Row, block: &[u8]) {
    let (Some(scales), Some(nibbles)) = (block.get(4..16), block.get(16..144)) else {
        return;
    };
    push_scales(row, block, scales);
    // 32 bytes hold two sub-blocks: the low nibbles one, the high nibbles the next.
    for pair in nibbles.chunks_exact(32) {
        row.levels.extend(pair.iter().map(|&b| b & 0x0f));
        row.levels.extend(pair.iter().map(|&b| b >> 4));
    }
}

pub(super) fn q5_k(row: &mut Row, block: &[u8]) {
    let (Some(scales), Some(high)) = (block.get(4..16), block.get(16..48)) else {
        return;
    };
    push_scales(row, block, scales);
    let nibbles = block.get(48..176).unwrap_or_default();
    for (index, pair) in nibbles.chunks_exact(32).enumerate() {
        // Bit j of the 32 high bytes is the fifth bit of sub-block j.
        let fifth = |h: u8, sub_block: usize| ((h >> sub_block) & 1) << 4;
        let both = || pair.iter().zip(high);
        row.levels
            .extend(both().map(|(&b, &h)| (b & 0x0f) | fifth(h, 2 * index)));
        row.levels
            .extend(both().map(|(&b, &h)| (b >> 4) | fifth(h, 2 * index + 1)));
    }
}

/// Eight 6-bit scales and eight 6-bit minimums in twelve bytes.
fn push_scales(row: &mut Row, block: &[u8], packed: &[u8]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let byte = |i: usize| packed.get(i).copied().unwrap_or(0);
    for j in 0..SUB_BLOCKS {
        let (s, m) = if j < 4 {
            (byte(j) & 63, byte(j + 4) & 63)
        } else {
            // The upper two bits live on top of the first eight bytes.
            let low = byte(j + 4);
            (
                (low & 0x0f) | ((byte(j - 4) >> 6) << 4),
                (low >> 4) | ((byte(j) >> 6) << 4),
            )
        };
        row.scales.push(scale * f32::from(s));
        row.offsets.push(-(minimum * f32::from(m)));
    }
}

pub(super) fn q6_k(row: &mut Row, block: &[u8]) {
    let (Some(low), Some(high)) = (block.get(..128), block.get(128..192)) else {
        return;
    };
    let scale = half_at(block, 208);
    let scales = block.get(192..208).unwrap_or_default();
    row.scales
        .extend(scales.iter().map(|&s| scale * f32::from(s as i8)));
    // Each half of 128 values: 64 bytes of nibbles, 32 bytes of two upper bits.
    for (low, high) in low.chunks_exact(64).zip(high.chunks_exact(32)) {
        for quarter in 0..4 {
            let nibbles = low.get((quarter % 2) * 32..).unwrap_or_default();
            row.levels.extend(nibbles.iter().zip(high).map(|(&b, &h)| {
                let nibble = if quarter < 2 { b & 0x0f } else { b >> 4 };
                nibble | (((h >> (2 * quarter)) & 3) << 4)
            }));
        }
    }
}
