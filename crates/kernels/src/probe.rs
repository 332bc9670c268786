//! What this machine can do at most: multiply-adds a second and bytes read a second.
//!
//! A forward is held against these. They are measured with the instructions that the kernels in use
//! have, not those of the processor: with fewer instructions the limit is another one.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::simd::{Op, Simd, array_of};
use crate::{Kernels, Pool};

/// How long a probe repeats itself; the best repetition counts, as disturbances only take away.
const LONGEST: Duration = Duration::from_millis(120);
/// About how long one thread works on one task: long against handing it out.
const TASK: Duration = Duration::from_millis(1);

/// Multiply-adds a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Products of bytes added up in 32 bits.
    pub int8: f64,
    /// Single precision.
    pub f32: f64,
}

impl Kernels {
    /// How many multiply-adds all threads of `pool` do a second with operands in registers.
    ///
    /// Takes a third of a second.
    pub fn multiply_add_rates(self, pool: &Pool) -> Rates {
        Rates {
            int8: rate(pool, |steps| self.run(Int8Steps { steps })),
            f32: rate(pool, |steps| self.run(FloatSteps { steps })),
        }
    }
}

/// How many bytes of `buffer` all threads of `pool` read a second, at best.
///
/// Takes a quarter of a second and at least two passes over the buffer. It should be far larger than the caches,
/// and written to before: pages that never were are all one and the same.
pub fn read_rate(pool: &Pool, buffer: &[u8]) -> f64 {
    const PIECE: usize = 1 << 20; // large enough that handing it out costs nothing
    let (start, mut best, mut passes) = (Instant::now(), f64::INFINITY, 0);
    while passes < 2 || start.elapsed() < 2 * LONGEST {
        let pass = Instant::now();
        pool.for_each(buffer.len().div_ceil(PIECE), |i| {
            let bytes = &buffer[i * PIECE..buffer.len().min((i + 1) * PIECE)];
            black_box(read(bytes));
        });
        best = best.min(pass.elapsed().as_secs_f64());
        passes += 1;
    }
    buffer.len() as f64 / best
}

/// The multiply-adds a second of a loop that does as many as it returns in so many steps.
fn rate(pool: &Pool, work: impl Fn(usize) -> usize + Sync) -> f64 {
    // How many steps are long enough to be timed; the first ones also wake a processor that sleeps.
    let mut steps = 1 << 10;
    while steps < 1 << 30 {
        let start = Instant::now();
        work(steps);
        if start.elapsed() >= TASK {
            break;
        }
        steps *= 2;
    }
    let tasks = pool.threads() * 4;
    let (start, mut best) = (Instant::now(), 0.0_f64);
    while best == 0.0 || start.elapsed() < LONGEST {
        let pass = Instant::now();
        let done = AtomicUsize::new(0);
        pool.for_each(tasks, |_| {
            done.fetch_add(work(steps), Relaxed);
        });
        best = best.max(done.into_inner() as f64 / pass.elapsed().as_secs_f64());
    }
    best
}

/// Weights that are loaded anew each step, so that nothing of a product made of several instructions
/// is moved out of the loop; they stay in the first cache, and each is used four times.
const WEIGHTS: usize = 4096;

struct Int8Steps {
    steps: usize,
}

impl Op for Int8Steps {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        // What a tile has: as many sums as leave room for weights and activations.
        if S::REGISTERS >= 32 {
            dots::<S, 4>(s, self.steps)
        } else {
            dots::<S, 2>(s, self.steps)
        }
    }
}

#[inline(always)]
fn dots<S: Simd, const W: usize>(s: S, steps: usize) -> usize {
    const A: usize = 4;
    let memory = black_box([0x37_u8; WEIGHTS]);
    let values = black_box([[1_i8, -2, 3, -4]; A]);
    let mut sums = [[s.splat_i(0); A]; W];
    // SAFETY: each of the arrays has four bytes.
    let activations: [S::B; A] = array_of(
        unsafe { s.splat_bytes(values[0].as_ptr()) },
        #[inline(always)]
        // SAFETY: as above.
        |i| unsafe { s.splat_bytes(values[i].as_ptr()) },
    );
    let round = WEIGHTS / S::BYTES;
    for step in 0..steps {
        for (w, sums) in sums.iter_mut().enumerate() {
            let at = (step * W + w) % round * S::BYTES;
            // SAFETY: `at` is a vector's length or more before the end.
            let weights = s.low_nibbles(unsafe { s.load_bytes(memory.as_ptr().add(at)) });
            for (sum, &x) in sums.iter_mut().zip(&activations) {
                *sum = s.dot(*sum, weights, x);
            }
        }
    }
    for sum in sums.iter().flatten() {
        black_box(s.reduce_add(s.to_f32(*sum)));
    }
    steps * W * A * S::BYTES
}

struct FloatSteps {
    steps: usize,
}

impl Op for FloatSteps {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        // Latencies are four cycles or five, and two are begun in one.
        const SUMS: usize = 12;
        let (factor, term) = (s.splat(black_box(0.5)), s.splat(black_box(1.0)));
        let mut sums = [term; SUMS];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = s.mul_add(*sum, factor, term);
            }
        }
        for sum in sums {
            black_box(s.reduce_add(sum));
        }
        self.steps * SUMS * S::LANES
    }
}

/// Reads everything, and gives the bits that are set anywhere.
///
/// Plain words, which become vectors of 16 bytes by themselves: wider ones are not faster from memory.
fn read(bytes: &[u8]) -> u64 {
    const WORDS: usize = 16;
    let mut all = [0_u64; WORDS];
    for bytes in bytes.as_chunks::<{ WORDS * 8 }>().0 {
        for (all, &word) in all.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *all |= u64::from_ne_bytes(word);
        }
    }
    all.into_iter().fold(0, |all, word| all | word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::every_isa;

    #[test]
    fn every_instruction_set_has_limits() {
        let pool = Pool::new(2);
        for kernels in every_isa() {
            let rates = kernels.multiply_add_rates(&pool);
            for rate in [rates.int8, rates.f32] {
                // Between what a processor of the seventies does and what none will.
                assert!(
                    (1e5..1e16).contains(&rate),
                    "{:?}: {rates:?}",
                    kernels.isa()
                );
            }
        }
    }

    #[test]
    fn memory_has_a_rate() {
        let rate = read_rate(&Pool::new(2), &vec![1; (1 << 20) + 12345]);
        assert!((1e5..1e16).contains(&rate), "{rate}");
    }

    #[test]
    fn work_is_counted_as_it_is_done() {
        for kernels in every_isa() {
            let (once, twice) = (
                kernels.run(Int8Steps { steps: 10 }),
                kernels.run(Int8Steps { steps: 20 }),
            );
            assert!(once > 0 && twice == 2 * once);
            assert_eq!(kernels.run(Int8Steps { steps: 0 }), 0);
            let (once, twice) = (
                kernels.run(FloatSteps { steps: 10 }),
                kernels.run(FloatSteps { steps: 20 }),
            );
            assert!(once > 0 && twice == 2 * once);
        }
    }

    #[test]
    fn every_byte_is_read() {
        for at in 0..1024 {
            let mut bytes = [0; 1024];
            bytes[at] = 1;
            assert_eq!(read(&bytes).count_ones(), 1, "{at}");
        }
    }
}
