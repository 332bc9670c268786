//! One file per instruction set: a token that proves it, with [`Simd`](crate::simd::Simd) on it.

pub(crate) mod portable;

#[cfg(any())]
pub(crate) mod avx2;
#[cfg(any())]
pub(crate) mod avx512;
#[cfg(all(any()))]
pub(crate) mod neon;
