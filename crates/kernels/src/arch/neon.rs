//! NEON, which every 64-bit Arm has: four lanes, 32 registers.

use std::arch::aarch64::*;
use std::arch::asm;

use half::{bf16, f16};

use crate::simd::{Op, Simd};

/// Made by the functions below only, so having one proves the features: `BYTES` says how bytes are multiplied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon<const BYTES: u8>(());

/// With multiplications that every NEON has.
pub(crate) const PLAIN: u8 = 0;
/// With the dot products that came with Armv8.2.
pub(crate) const DOT: u8 = 1;
/// With those and the products of matrices that came with Armv8.6.
pub(crate) const I8MM: u8 = 2;

impl Neon<PLAIN> {
    pub(crate) fn detect() -> Option<Neon<PLAIN>> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    pub(crate) fn with_dot_products(self) -> Option<Neon<DOT>> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Neon(()))
    }
}

impl Neon<DOT> {
    pub(crate) fn with_matrices(self) -> Option<Neon<I8MM>> {
        std::arch::is_aarch64_feature_detected!("i8mm").then_some(Neon(()))
    }
}

/// An expression of intrinsics and, where the caller vouches for them, pointers.
macro_rules! vectors {
    ($($body:tt)*) => {
        // SAFETY: a `Neon` exists only where its features were seen. Pointers are read and written
        // as far as the contract of the method says, for which its caller vouches.
        unsafe { $($body)* }
    };
}

/// `sdot` in one of its forms. The intrinsics for it are not stable yet.
///
/// It is for use where dot products were seen, and touches nothing but its registers.
macro_rules! sdot {
    ($sum:expr, $weights:expr, $x:expr, $form:literal) => {{
        let mut sum: int32x4_t = $sum;
        asm!(
            ".arch_extension dotprod",
            concat!("sdot {sum:v}.4s, {weights:v}.16b, {x:v}", $form),
            sum = inout(vreg) sum,
            weights = in(vreg) $weights,
            x = in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        );
        sum
    }};
}

/// `smmla`: adds to the four sums the products of two rows of eight weights with two of eight activations.
/// The intrinsic for it is not stable yet.
///
/// It is for use where products of matrices were seen, and touches nothing but its registers.
macro_rules! smmla {
    ($sums:expr, $weights:expr, $x:expr) => {{
        let mut sums: int32x4_t = $sums;
        asm!(
            ".arch_extension i8mm",
            "smmla {sums:v}.4s, {weights:v}.16b, {x:v}.16b",
            sums = inout(vreg) sums,
            weights = in(vreg) $weights,
            x = in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        );
        sums
    }};
}

impl<const BYTES: u8> Simd for Neon<BYTES> {
    type F = float32x4_t;
    type I = int32x4_t;
    type B = uint8x16_t;

    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    const WIDE_BIAS: i32 = 128;

    #[inline(always)]
    fn vectorize<O: Op>(self, op: O) -> O::Output {
        // Part of the target's base, so there is nothing to enable; the dot products are assembly.
        op.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        vectors! { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        vectors! { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, x: float32x4_t, to: *mut f32) {
        vectors! { vst1q_f32(to, x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> float32x4_t {
        // The type `f16` of the intrinsics is not stable yet, the instruction is as old as NEON.
        vectors! {
            let half: uint16x4_t = vld1_u16(from.cast());
            let wide: float32x4_t;
            asm!(
                "fcvtl {wide:v}.4s, {half:v}.4h",
                wide = out(vreg) wide,
                half = in(vreg) half,
                options(pure, nomem, nostack, preserves_flags)
            );
            wide
        }
    }
    #[inline(always)]
    unsafe fn store_f16(self, x: float32x4_t, to: *mut f16) {
        vectors! {
            let half: uint16x4_t;
            asm!(
                "fcvtn {half:v}.4h, {x:v}.4s",
                half = out(vreg) half,
                x = in(vreg) x,
                options(pure, nomem, nostack, preserves_flags)
            );
            vst1_u16(to.cast(), half)
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const bf16) -> float32x4_t {
        vectors! { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn load_i16(self, from: *const i16) -> float32x4_t {
        vectors! { vcvtq_f32_s32(vmovl_s16(vld1_s16(from))) }
    }

    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> float32x4_t {
        vectors! {
            let x = vcreate_u8(u64::from(from.cast::<u32>().read_unaligned()));
            vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(x))))
        }
    }
    #[inline(always)]
    unsafe fn load_nibbles(self, from: *const u8) -> [float32x4_t; 2] {
        vectors! {
            let x = vcreate_u8(u64::from(from.cast::<u32>().read_unaligned()));
            let x = vmovl_u8(vzip1_u8(vand_u8(x, vdup_n_u8(15)), vshr_n_u8::<4>(x)));
            [vcvtq_f32_u32(vmovl_u16(vget_low_u16(x))), vcvtq_f32_u32(vmovl_high_u16(x))]
        }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vectors! { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vectors! { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vectors! { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vectors! { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vectors! { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vectors! { vfmsq_f32(c, a, b) }
    }
    // The instructions for the maximum and the minimum pass on what is not a number from either side.
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vectors! { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vectors! { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        vectors! { vabsq_f32(a) }
    }
    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        vectors! { vrndnq_f32(a) }
    }
    #[inline(always)]
    fn pow2(self, a: float32x4_t) -> float32x4_t {
        vectors! {
            let exponent = vaddq_s32(vcvtnq_s32_f32(a), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }
    }
    #[inline(always)]
    fn zero_if_less(self, a: float32x4_t, b: float32x4_t, x: float32x4_t) -> float32x4_t {
        vectors! { vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vcltq_f32(a, b))) }
    }
    #[inline(always)]
    fn reduce_add(self, a: float32x4_t) -> f32 {
        vectors! { vaddvq_f32(a) }
    }
    #[inline(always)]
    fn reduce_max(self, a: float32x4_t) -> f32 {
        vectors! { vmaxvq_f32(a) }
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> int32x4_t {
        vectors! { vdupq_n_s32(x) }
    }
    #[inline(always)]
    fn to_f32(self, a: int32x4_t) -> float32x4_t {
        vectors! { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    fn add_i(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vectors! { vaddq_s32(a, b) }
    }
    #[inline(always)]
    fn times_128(self, a: int32x4_t) -> int32x4_t {
        vectors! { vshlq_n_s32::<7>(a) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> uint8x16_t {
        vectors! { vld1q_u8(from) }
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, from: *const i8) -> uint8x16_t {
        vectors! { vreinterpretq_u8_u32(vdupq_n_u32(from.cast::<u32>().read_unaligned())) }
    }
    #[inline(always)]
    fn low_nibbles(self, a: uint8x16_t) -> uint8x16_t {
        vectors! { vandq_u8(a, vdupq_n_u8(15)) }
    }
    #[inline(always)]
    fn high_nibbles(self, a: uint8x16_t) -> uint8x16_t {
        vectors! { vshrq_n_u8::<4>(a) }
    }
    #[inline(always)]
    fn wide_weights(self, a: uint8x16_t) -> uint8x16_t {
        vectors! { veorq_u8(a, vdupq_n_u8(128)) }
    }
    #[inline(always)]
    fn dot(self, sum: int32x4_t, weights: uint8x16_t, activations: uint8x16_t) -> int32x4_t {
        vectors! {
            let (weights, x) = (vreinterpretq_s8_u8(weights), vreinterpretq_s8_u8(activations));
            if BYTES >= DOT {
                sdot!(sum, weights, x, ".16b")
            } else {
                let low = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
                let high = vmull_high_s8(weights, x);
                vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)))
            }
        }
    }
    #[inline(always)]
    fn dot_wide(self, sum: int32x4_t, weights: uint8x16_t, activations: uint8x16_t) -> int32x4_t {
        // Weights are signed here, and so were halves of bytes, being small.
        self.dot(sum, weights, activations)
    }
    #[inline(always)]
    unsafe fn store_i8(self, x: float32x4_t, to: *mut i8) {
        vectors! {
            let x = vmovn_s32(vcvtnq_s32_f32(x));
            let x = vreinterpret_u32_s8(vmovn_s16(vcombine_s16(x, x)));
            to.cast::<u32>().write_unaligned(vget_lane_u32::<0>(x))
        }
    }

    /// With four rows, one load brings the activations of all of them to the dot products.
    #[inline(always)]
    unsafe fn dot_units<const M: usize, const V: usize, const WIDE: bool, const PART: usize>(
        self,
        mut sums: [[int32x4_t; V]; M],
        weights: [*const u8; V],
        activations: *const i8,
    ) -> [[int32x4_t; V]; M] {
        vectors! {
            if BYTES == I8MM && M == 4 {
                return self.matrix_units::<M, V, WIDE, PART>(sums, weights, activations);
            }
            for d in 0..4 {
                for half in 0..2 {
                    if PART == 2 - half {
                        continue;
                    }
                    let rows = activations.add((half * 4 + d) * M * 4);
                    for v in 0..V {
                        let unit = self.unit::<WIDE>(weights[v], d, half);
                        if BYTES >= DOT && M == 4 {
                            let (unit, x) = (vreinterpretq_s8_u8(unit), vld1q_s8(rows));
                            sums[0][v] = sdot!(sums[0][v], unit, x, ".4b[0]");
                            sums[1][v] = sdot!(sums[1][v], unit, x, ".4b[1]");
                            sums[2][v] = sdot!(sums[2][v], unit, x, ".4b[2]");
                            sums[3][v] = sdot!(sums[3][v], unit, x, ".4b[3]");
                        } else {
                            for (m, sums) in sums.iter_mut().enumerate() {
                                sums[v] = self.dot(sums[v], unit, self.splat_bytes(rows.add(m * 4)));
                            }
                        }
                    }
                }
            }
            sums
        }
    }
}

impl<const BYTES: u8> Neon<BYTES> {
    /// Four values of four features, of the first 16 values of each or of the last.
    ///
    /// # Safety
    /// As that of `dot_units`.
    #[inline(always)]
    unsafe fn unit<const WIDE: bool>(
        self,
        weights: *const u8,
        d: usize,
        half: usize,
    ) -> uint8x16_t {
        vectors! {
            let unit = self.load_bytes(weights.add(64 * if WIDE { half * 4 + d } else { d }));
            match (WIDE, half) {
                (true, _) => self.wide_weights(unit),
                (false, 0) => self.low_nibbles(unit),
                (false, _) => self.high_nibbles(unit),
            }
        }
    }

    /// `dot_units` of four rows with products of matrices: two units are eight values of two features and
    /// of two more, which meet eight of two rows.
    ///
    /// # Safety
    /// As that of `dot_units`. The processor has the instruction, and `M` is 4.
    #[inline(always)]
    unsafe fn matrix_units<const M: usize, const V: usize, const WIDE: bool, const PART: usize>(
        self,
        mut sums: [[int32x4_t; V]; M],
        weights: [*const u8; V],
        activations: *const i8,
    ) -> [[int32x4_t; V]; M] {
        vectors! {
            // For each pair of features and pair of rows: both sums of the first feature, both of the other.
            let mut squares = [[[vdupq_n_s32(0); 2]; 2]; V];
            for v in 0..V {
                for r in 0..2 {
                    squares[v][0][r] = vzip1q_s32(sums[2 * r][v], sums[2 * r + 1][v]);
                    squares[v][1][r] = vzip2q_s32(sums[2 * r][v], sums[2 * r + 1][v]);
                }
            }
            for d in [0, 2] {
                for half in 0..2 {
                    if PART == 2 - half {
                        continue;
                    }
                    let rows = activations.add((half * 4 + d) * 16).cast::<u8>();
                    let rows = zip_words(vld1q_u8(rows), vld1q_u8(rows.add(16)));
                    for v in 0..V {
                        let features = zip_words(
                            self.unit::<WIDE>(weights[v], d, half),
                            self.unit::<WIDE>(weights[v], d + 1, half),
                        );
                        for f in 0..2 {
                            for r in 0..2 {
                                squares[v][f][r] = smmla!(squares[v][f][r], features[f], rows[r]);
                            }
                        }
                    }
                }
            }
            for v in 0..V {
                for r in 0..2 {
                    sums[2 * r][v] = vuzp1q_s32(squares[v][0][r], squares[v][1][r]);
                    sums[2 * r + 1][v] = vuzp2q_s32(squares[v][0][r], squares[v][1][r]);
                }
            }
            sums
        }
    }
}

/// Words of both vectors in turn, as two vectors.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn zip_words(a: uint8x16_t, b: uint8x16_t) -> [uint8x16_t; 2] {
    vectors! {
        let (a, b) = (vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b));
        [vreinterpretq_u8_u32(vzip1q_u32(a, b)), vreinterpretq_u8_u32(vzip2q_u32(a, b))]
    }
}
