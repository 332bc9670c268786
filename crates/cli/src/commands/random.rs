//! Tokens that mean nothing, the same on every machine.

/// SplitMix64: ids need to be spread, not secret.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// The ids of a prompt.
    pub(super) fn prompt(&mut self, tokens: u32, vocab: usize) -> Vec<u32> {
        (0..tokens)
            .map(|_| self.below(vocab as u64) as u32)
            .collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}
