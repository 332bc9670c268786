//! The numbers that draws are made from.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::error::EngineError;

/// A seeded source of uniform numbers: ChaCha8, so that streams of neighbouring seeds share nothing and the numbers
/// are the same on every platform.
#[derive(Debug)]
pub(super) struct Random {
    seed: u64,
    generator: ChaCha8Rng,
}

impl Random {
    /// Starts from `seed`, or from one that the operating system draws.
    pub(super) fn new(seed: Option<u64>) -> Result<Self, EngineError> {
        let seed = match seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| {
                EngineError::options(format!(
                    "the operating system gives no random seed ({error}); give one"
                ))
            })?,
        };
        Ok(Self {
            seed,
            generator: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// A number of at least 0 and below 1, one of 2^53.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changing the generator would change every recorded answer; these numbers hold it in place.
    #[test]
    fn the_stream_of_a_seed_never_changes() {
        let mut random = Random::new(Some(42)).unwrap();
        let drawn: Vec<f64> = (0..4).map(|_| random.uniform()).collect();
        assert_eq!(
            drawn,
            [
                0.6818961923066714,
                0.950275407672484,
                0.4275164028565197,
                0.6273605211973403
            ]
        );
    }

    #[test]
    fn numbers_are_uniform_and_seeds_differ() {
        let mut random = Random::new(Some(1)).unwrap();
        let drawn: Vec<f64> = (0..10_000).map(|_| random.uniform()).collect();
        assert!(drawn.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert_ne!(random.uniform(), Random::new(Some(2)).unwrap().uniform());
        assert_ne!(
            Random::new(None).unwrap().seed(),
            Random::new(None).unwrap().seed()
        );
    }
}
