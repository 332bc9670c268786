//! AVX-512 with dot products of bytes: sixteen lanes, 32 registers.

use std::arch::x86_64::*;

use half::{bf16, f16};

use crate::simd::{Op, Simd};

/// Made by [`detect`](Avx512::detect) only, so having one proves the features.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The features named here are those that `vectorize` enables.
    pub(crate) fn detect() -> Option<Avx512> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        all.then_some(Avx512(()))
    }
}

/// An expression of intrinsics and, where the caller vouches for them, pointers.
macro_rules! vectors {
    ($($body:tt)*) => {
        // SAFETY: an `Avx512` exists only where `detect` saw the features. Pointers are read and
        // written as far as the contract of the method says, for which its caller vouches.
        unsafe { $($body)* }
    };
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type B = __m512i;

    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    const WIDE_BIAS: i32 = 0;

    #[inline(always)]
    fn vectorize<O: Op>(self, op: O) -> O::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
        fn inner<O: Op>(s: Avx512, op: O) -> O::Output {
            op.run(s)
        }
        vectors! { inner(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        vectors! { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        vectors! { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, x: __m512, to: *mut f32) {
        vectors! { _mm512_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> __m512 {
        vectors! { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_f16(self, x: __m512, to: *mut f16) {
        vectors! { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x)) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const bf16) -> __m512 {
        vectors! {
            let x = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(x))
        }
    }

    #[inline(always)]
    unsafe fn load_i16(self, from: *const i16) -> __m512 {
        vectors! { _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> __m512 {
        vectors! { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> __m512 {
        vectors! { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_nibbles(self, from: *const u8) -> [__m512; 2] {
        vectors! {
            // Each byte in 16 bits, the high half moved up to the byte beside it.
            let x = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
            let x = _mm256_or_si256(x, _mm256_slli_epi16::<4>(x));
            let x = _mm256_and_si256(x, _mm256_set1_epi8(15));
            let low = _mm512_cvtepu8_epi32(_mm256_castsi256_si128(x));
            let high = _mm512_cvtepu8_epi32(_mm256_extracti128_si256::<1>(x));
            [_mm512_cvtepi32_ps(low), _mm512_cvtepi32_ps(high)]
        }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        vectors! { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        vectors! { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        vectors! { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        vectors! { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        vectors! { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        vectors! { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        vectors! { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        vectors! { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        vectors! { _mm512_abs_ps(a) }
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        vectors! { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn pow2(self, a: __m512) -> __m512 {
        vectors! {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn zero_if_less(self, a: __m512, b: __m512, x: __m512) -> __m512 {
        vectors! { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(a, b), x) }
    }
    #[inline(always)]
    fn reduce_add(self, a: __m512) -> f32 {
        vectors! { _mm512_reduce_add_ps(a) }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m512) -> f32 {
        vectors! { _mm512_reduce_max_ps(a) }
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> __m512i {
        vectors! { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    fn to_f32(self, a: __m512i) -> __m512 {
        vectors! { _mm512_cvtepi32_ps(a) }
    }
    #[inline(always)]
    fn add_i(self, a: __m512i, b: __m512i) -> __m512i {
        vectors! { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    fn times_128(self, a: __m512i) -> __m512i {
        vectors! { _mm512_slli_epi32::<7>(a) }
    }
    #[inline(always)]
    fn prefetch(self, from: *const u8, bytes: usize) {
        for line in (0..bytes).step_by(64) {
            // Into the second-level cache: more lines can be on their way there than to the first.
            vectors! { _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(line).cast()) }
        }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m512i {
        vectors! { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, from: *const i8) -> __m512i {
        vectors! { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    fn low_nibbles(self, a: __m512i) -> __m512i {
        vectors! { _mm512_and_si512(a, _mm512_set1_epi8(15)) }
    }
    #[inline(always)]
    fn high_nibbles(self, a: __m512i) -> __m512i {
        vectors! { _mm512_and_si512(_mm512_srli_epi16::<4>(a), _mm512_set1_epi8(15)) }
    }
    #[inline(always)]
    fn wide_weights(self, a: __m512i) -> __m512i {
        a
    }
    #[inline(always)]
    fn dot(self, sum: __m512i, weights: __m512i, activations: __m512i) -> __m512i {
        vectors! { _mm512_dpbusd_epi32(sum, weights, activations) }
    }
    #[inline(always)]
    fn dot_wide(self, sum: __m512i, weights: __m512i, activations: __m512i) -> __m512i {
        self.dot(sum, weights, activations)
    }
    #[inline(always)]
    unsafe fn store_i8(self, x: __m512, to: *mut i8) {
        vectors! { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x))) }
    }
}
