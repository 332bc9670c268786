//! What the tests of this crate share.

use crate::{Isa, Kernels};

/// The same numbers on every run (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// Between -1 and 1.
    pub(crate) fn float(&mut self) -> f32 {
        ((self.bits() % (1 << 24)) as f64 / f64::from(1 << 23) - 1.0) as f32
    }

    pub(crate) fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }
}

/// The kernels of every instruction set this machine has, and what AVX-VNNI computes where AVX-512 can.
pub(crate) fn every_isa() -> impl Iterator<Item = Kernels> {
    let all = Isa::available().map(|isa| Kernels::new(isa).expect("it is available"));
    #[cfg(target_arch = "x86_64")]
    let all = all.chain(Kernels::avx_vnni_of_avx512());
    all
}

/// Asserts that all values are within `tolerance` of those wanted, relative to `size` or to the
/// value itself, whichever is larger.
#[track_caller]
pub(crate) fn assert_close(
    got: &[f32],
    want: &[f64],
    size: f64,
    tolerance: f64,
    what: &dyn std::fmt::Display,
) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - want).abs() / want.abs().max(size).max(f64::MIN_POSITIVE);
        assert!(
            error <= tolerance,
            "{what}: value {i} is {got}, not {want}: off by {error:e}"
        );
    }
}
