//! Chance, seeded: for jitter, exploration and the power of two choices. Not for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

/// A generator that threads share: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014), whose state is one number that every draw moves on by a constant.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Seeded by the system; by the clock of nobody where it has no randomness.
    pub(crate) fn from_system() -> Self {
        Self::seeded(getrandom::u64().unwrap_or(STEP))
    }

    pub(crate) fn draw(&self) -> u64 {
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to and without 1.
    pub(crate) fn fraction(&self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 up to and without `bound`, which is not 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        // The bias of the remainder is below 2^-50 for any number of providers.
        usize::try_from(self.draw() % bound.max(1) as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_comes_out() {
        // The first values of the reference implementation, seeded with 1234567 (prng.di.unimi.it, splitmix64.c).
        let random = Random::seeded(1_234_567);
        let drawn = [random.draw(), random.draw(), random.draw()];
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn fractions_and_choices_stay_in_their_bounds() {
        let random = Random::seeded(7);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.fraction())));
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(1), 0);
    }
}
