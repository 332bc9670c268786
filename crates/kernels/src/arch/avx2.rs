//! AVX2 with fused multiplication and half precision: eight lanes, 16 registers; and the same with the dot
//! products of bytes (VNNI) that processors without AVX-512 got later.

use std::arch::x86_64::*;

use half::{bf16, f16};

use crate::simd::{Op, Simd};

/// Made by the functions below only, so having one proves the features: `DOT` says how bytes are multiplied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2<const DOT: u8>(());

/// As AVX2 does: pairs of products in 16 bits first.
pub(crate) const PAIRS: u8 = 0;
/// With AVX-VNNI.
pub(crate) const VNNI: u8 = 1;
/// With the same instruction as AVX-512 has it: what tests run where there is no AVX-VNNI.
pub(crate) const VNNI_OF_AVX512: u8 = 2;

// The features named here are those that `vectorize` enables.
impl Avx2<PAIRS> {
    pub(crate) fn detect() -> Option<Avx2<PAIRS>> {
        let all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        all.then_some(Avx2(()))
    }

    pub(crate) fn with_vnni(self) -> Option<Avx2<VNNI>> {
        is_x86_feature_detected!("avxvnni").then_some(Avx2(()))
    }

    #[cfg(test)]
    pub(crate) fn with_vnni_of_avx512(self) -> Option<Avx2<VNNI_OF_AVX512>> {
        let all = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni");
        all.then_some(Avx2(()))
    }
}

/// An expression of intrinsics and, where the caller vouches for them, pointers.
macro_rules! vectors {
    ($($body:tt)*) => {
        // SAFETY: an `Avx2` exists only where its features were seen. Pointers are read and
        // written as far as the contract of the method says, for which its caller vouches.
        unsafe { $($body)* }
    };
}

impl<const DOT: u8> Simd for Avx2<DOT> {
    type F = __m256;
    type I = __m256i;
    type B = __m256i;

    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    const WIDE_BIAS: i32 = if DOT == PAIRS { 128 } else { 0 };

    #[inline(always)]
    fn vectorize<O: Op>(self, op: O) -> O::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn pairs<S: Simd, O: Op>(s: S, op: O) -> O::Output {
            op.run(s)
        }
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        fn vnni<S: Simd, O: Op>(s: S, op: O) -> O::Output {
            op.run(s)
        }
        #[target_feature(enable = "avx2,fma,f16c,avx512vl,avx512vnni")]
        fn vnni_of_avx512<S: Simd, O: Op>(s: S, op: O) -> O::Output {
            op.run(s)
        }
        vectors! {
            match DOT {
                PAIRS => pairs(self, op),
                VNNI => vnni(self, op),
                _ => vnni_of_avx512(self, op),
            }
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        vectors! { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        vectors! { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, x: __m256, to: *mut f32) {
        vectors! { _mm256_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> __m256 {
        vectors! { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_f16(self, x: __m256, to: *mut f16) {
        vectors! { _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x)) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const bf16) -> __m256 {
        vectors! {
            let x = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x))
        }
    }

    #[inline(always)]
    unsafe fn load_i16(self, from: *const i16) -> __m256 {
        vectors! { _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> __m256 {
        vectors! { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> __m256 {
        vectors! { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_nibbles(self, from: *const u8) -> [__m256; 2] {
        vectors! {
            // Each byte in 16 bits, the high half moved up to the byte beside it.
            let x = _mm_cvtepu8_epi16(_mm_loadl_epi64(from.cast()));
            let x = _mm_and_si128(_mm_or_si128(x, _mm_slli_epi16::<4>(x)), _mm_set1_epi8(15));
            let low = _mm256_cvtepu8_epi32(x);
            let high = _mm256_cvtepu8_epi32(_mm_srli_si128::<8>(x));
            [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
        }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        vectors! { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        vectors! { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        vectors! { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        vectors! { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        vectors! { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        vectors! { _mm256_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        vectors! { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        vectors! { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        vectors! { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        vectors! { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn pow2(self, a: __m256) -> __m256 {
        vectors! {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn zero_if_less(self, a: __m256, b: __m256, x: __m256) -> __m256 {
        vectors! { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(a, b), x) }
    }
    #[inline(always)]
    fn reduce_add(self, a: __m256) -> f32 {
        vectors! {
            let x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m256) -> f32 {
        vectors! {
            let x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> __m256i {
        vectors! { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    fn to_f32(self, a: __m256i) -> __m256 {
        vectors! { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    fn add_i(self, a: __m256i, b: __m256i) -> __m256i {
        vectors! { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    fn times_128(self, a: __m256i) -> __m256i {
        vectors! { _mm256_slli_epi32::<7>(a) }
    }
    #[inline(always)]
    fn prefetch(self, from: *const u8, bytes: usize) {
        for line in (0..bytes).step_by(64) {
            // Into the second-level cache: more lines can be on their way there than to the first.
            vectors! { _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(line).cast()) }
        }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m256i {
        vectors! { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, from: *const i8) -> __m256i {
        vectors! { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    fn low_nibbles(self, a: __m256i) -> __m256i {
        vectors! { _mm256_and_si256(a, _mm256_set1_epi8(15)) }
    }
    #[inline(always)]
    fn high_nibbles(self, a: __m256i) -> __m256i {
        vectors! { _mm256_and_si256(_mm256_srli_epi16::<4>(a), _mm256_set1_epi8(15)) }
    }
    #[inline(always)]
    fn wide_weights(self, a: __m256i) -> __m256i {
        if DOT != PAIRS {
            return a;
        }
        vectors! { _mm256_xor_si256(a, _mm256_set1_epi8(-128)) }
    }
    #[inline(always)]
    fn dot(self, sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        vectors! {
            match DOT {
                VNNI => _mm256_dpbusd_avx_epi32(sum, weights, activations),
                VNNI_OF_AVX512 => _mm256_dpbusd_epi32(sum, weights, activations),
                _ => {
                    // Two products of at most 15 * 127 do not saturate the 16 bits they are added up in.
                    let pairs = _mm256_maddubs_epi16(weights, activations);
                    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
                }
            }
        }
    }
    #[inline(always)]
    fn dot_wide(self, sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        if DOT != PAIRS {
            return self.dot(sum, weights, activations);
        }
        // Weights are -128 to 127 here. With the sign moved to the activations, two products are at
        // most 2 * 128 * 127, which is just below what 16 bits hold.
        vectors! {
            let signed = _mm256_sign_epi8(activations, weights);
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), signed);
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    unsafe fn store_i8(self, x: __m256, to: *mut i8) {
        vectors! {
            let x = _mm256_cvtps_epi32(x);
            let x = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            _mm_storel_epi64(to.cast(), _mm_packs_epi16(x, x));
        }
    }

    /// Without VNNI, sums of pairs stay in 16 bits for all 32 values: eight times two products of at most
    /// 15 * 127.
    #[inline(always)]
    unsafe fn dot_units<const M: usize, const V: usize, const WIDE: bool, const PART: usize>(
        self,
        mut sums: [[__m256i; V]; M],
        weights: [*const u8; V],
        activations: *const i8,
    ) -> [[__m256i; V]; M] {
        vectors! {
            let mut pairs = [[_mm256_setzero_si256(); V]; M];
            for v in 0..V {
                for d in 0..4 {
                    for half in 0..2 {
                        if PART == 2 - half {
                            continue;
                        }
                        let four = half * 4 + d;
                        let unit = self.load_bytes(weights[v].add(64 * if WIDE { four } else { d }));
                        let unit = match (WIDE, half) {
                            (true, _) => self.wide_weights(unit),
                            (false, 0) => self.low_nibbles(unit),
                            (false, _) => self.high_nibbles(unit),
                        };
                        for m in 0..M {
                            let x = self.splat_bytes(activations.add((four * M + m) * 4));
                            if WIDE {
                                sums[m][v] = self.dot_wide(sums[m][v], unit, x);
                            } else if DOT != PAIRS {
                                sums[m][v] = self.dot(sums[m][v], unit, x);
                            } else {
                                pairs[m][v] = _mm256_add_epi16(pairs[m][v], _mm256_maddubs_epi16(unit, x));
                            }
                        }
                    }
                }
            }
            if !WIDE && DOT == PAIRS {
                let ones = _mm256_set1_epi16(1);
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = _mm256_add_epi32(sums[m][v], _mm256_madd_epi16(pairs[m][v], ones));
                    }
                }
            }
            sums
        }
    }
}
