//! NEON, which every 64-bit Arm has: four lanes, 32 registers.

use std::arch::aarch64::*;
use std::arch::asm;

use half::{bf16, f16};

use crate::simd::{Op, Simd};

/// Made by [`detect`](Neon::detect) only, so having one proves the features: NEON, and where `DOT` is
/// set the dot products of bytes that came with Armv8.2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon<const DOT: bool>(());

impl Neon<false> {
    pub(crate) fn detect() -> Option<Neon<false>> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    /// The same with dot products, if the processor has them.
    pub(crate) fn with_dot_products(self) -> Option<Neon<true>> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Neon(()))
    }
}

/// An expression of intrinsics and, where the caller vouches for them, pointers.
macro_rules! vectors {
    ($($body:tt)*) => {
        // SAFETY: a `Neon` exists only where `detect` saw the feature. Pointers are read and written
        // as far as the contract of the method says, for which its caller vouches.
        unsafe { $($body)* }
    };
}

/// `sdot` in one of its forms. The intrinsics for it are not stable yet.
///
/// It is for use where `DOT` is set, and touches nothing but its registers.
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

impl<const DOT: bool> Simd for Neon<DOT> {
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
            if DOT {
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
}
