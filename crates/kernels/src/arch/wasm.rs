//! WebAssembly's fixed vectors: four lanes. What a browser or another host makes of them are the registers of its
//! processor, of which the smallest have 16.
//!
//! Nothing of relaxed SIMD is used: its dot products of bytes may take weights of more than seven bits either
//! way, its fused multiplication may not be fused, and a module that names one instruction a host does not
//! know is refused as a whole.

use std::arch::wasm32::*;

use half::{bf16, f16};

use crate::simd::{Op, Simd, array_of};

/// Built only where the whole program has the feature, for a module has it or has not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wasm(());

impl Wasm {
    pub(crate) fn new() -> Wasm {
        Wasm(())
    }
}

/// Pointers that are read or written as far as the contract of the method says.
macro_rules! memory {
    ($($body:tt)*) => {
        // SAFETY: the caller of the method vouches for what is read and written.
        unsafe { $($body)* }
    };
}

impl Simd for Wasm {
    type F = v128;
    type I = v128;
    type B = v128;

    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    const WIDE_BIAS: i32 = 0;

    #[inline(always)]
    fn vectorize<O: Op>(self, op: O) -> O::Output {
        op.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> v128 {
        memory! { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, x: v128, to: *mut f32) {
        memory! { v128_store(to.cast(), x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> v128 {
        let x = memory! { i32x4_load_extend_u16x4(from.cast()) };
        let magnitude = v128_and(x, i32x4_splat(0x7FFF));
        // The exponent of a half is 112 less, and this product brings what is below the normal numbers in order.
        let finite = f32x4_mul(
            i32x4_shl(magnitude, 13),
            f32x4_splat(f32::from_bits((127 + 112) << 23)),
        );
        let beyond = i32x4_gt(magnitude, i32x4_splat(0x7BFF));
        let exponent = v128_and(beyond, i32x4_splat(0x7F80_0000));
        let sign = i32x4_shl(v128_and(x, i32x4_splat(0x8000)), 16);
        v128_or(v128_or(finite, exponent), sign)
    }
    #[inline(always)]
    unsafe fn store_f16(self, x: v128, to: *mut f16) {
        let mut lanes = [0.0; 4];
        self.put(x, &mut lanes);
        let halves: [f16; 4] = array_of(f16::ZERO, |i| f16::from_f32_const(lanes[i]));
        memory! { to.cast::<[f16; 4]>().write_unaligned(halves) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const bf16) -> v128 {
        i32x4_shl(memory! { i32x4_load_extend_u16x4(from.cast()) }, 16)
    }
    #[inline(always)]
    unsafe fn load_i16(self, from: *const i16) -> v128 {
        f32x4_convert_i32x4(memory! { i32x4_load_extend_i16x4(from) })
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> v128 {
        let x = memory! { v128_load32_zero(from.cast()) };
        f32x4_convert_i32x4(i32x4_extend_low_u16x8(i16x8_extend_low_u8x16(x)))
    }
    #[inline(always)]
    unsafe fn load_nibbles(self, from: *const u8) -> [v128; 2] {
        let x = i16x8_extend_low_u8x16(memory! { v128_load32_zero(from.cast()) });
        // The high half of each byte moves up to the byte beside it.
        let x = v128_and(v128_or(x, i16x8_shl(x, 4)), i8x16_splat(15));
        let x = i16x8_extend_low_u8x16(x);
        [
            f32x4_convert_i32x4(i32x4_extend_low_u16x8(x)),
            f32x4_convert_i32x4(i32x4_extend_high_u16x8(x)),
        ]
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_sub(c, f32x4_mul(a, b))
    }
    // These give the first where either is not a number.
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    fn abs(self, a: v128) -> v128 {
        f32x4_abs(a)
    }
    #[inline(always)]
    fn round(self, a: v128) -> v128 {
        f32x4_nearest(a)
    }
    #[inline(always)]
    fn pow2(self, a: v128) -> v128 {
        i32x4_shl(i32x4_add(i32x4_trunc_sat_f32x4(a), i32x4_splat(127)), 23)
    }
    #[inline(always)]
    fn zero_if_less(self, a: v128, b: v128, x: v128) -> v128 {
        v128_andnot(x, f32x4_lt(a, b))
    }
    #[inline(always)]
    fn reduce_add(self, a: v128) -> f32 {
        let x = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(x) + f32x4_extract_lane::<1>(x)
    }
    #[inline(always)]
    fn reduce_max(self, a: v128) -> f32 {
        let x = f32x4_pmax(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(x).max(f32x4_extract_lane::<1>(x))
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> v128 {
        i32x4_splat(x)
    }
    #[inline(always)]
    fn to_f32(self, a: v128) -> v128 {
        f32x4_convert_i32x4(a)
    }
    #[inline(always)]
    fn add_i(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn times_128(self, a: v128) -> v128 {
        i32x4_shl(a, 7)
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> v128 {
        memory! { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, from: *const i8) -> v128 {
        memory! { v128_load32_splat(from.cast()) }
    }
    #[inline(always)]
    fn low_nibbles(self, a: v128) -> v128 {
        v128_and(a, i8x16_splat(15))
    }
    #[inline(always)]
    fn high_nibbles(self, a: v128) -> v128 {
        u8x16_shr(a, 4)
    }
    #[inline(always)]
    fn wide_weights(self, a: v128) -> v128 {
        a
    }
    #[inline(always)]
    fn dot(self, sum: v128, weights: v128, activations: v128) -> v128 {
        i32x4_add(
            sum,
            joined(pairs([i32x4_splat(0); 2], widened(weights), activations)),
        )
    }
    #[inline(always)]
    fn dot_wide(self, sum: v128, weights: v128, activations: v128) -> v128 {
        self.dot(sum, weights, activations)
    }
    #[inline(always)]
    unsafe fn store_i8(self, x: v128, to: *mut i8) {
        let x = i32x4_trunc_sat_f32x4(x);
        let x = i16x8_narrow_i32x4(x, x);
        memory! { v128_store32_lane::<0>(i8x16_narrow_i16x8(x, x), to.cast()) }
    }

    /// Sums of pairs are joined after all 32 values.
    #[inline(always)]
    unsafe fn dot_units<const M: usize, const V: usize, const WIDE: bool, const PART: usize>(
        self,
        mut sums: [[v128; V]; M],
        weights: [*const u8; V],
        activations: *const i8,
    ) -> [[v128; V]; M] {
        for v in 0..V {
            let mut halves = [[i32x4_splat(0); 2]; M];
            for d in 0..4 {
                for half in 0..2 {
                    if PART == 2 - half {
                        continue;
                    }
                    let four = half * 4 + d;
                    // SAFETY: the caller vouches for as many units, and for the activations below.
                    let unit = memory! { self.load_bytes(weights[v].add(64 * if WIDE { four } else { d })) };
                    let unit = widened(match (WIDE, half) {
                        (true, _) => unit,
                        (false, 0) => self.low_nibbles(unit),
                        (false, _) => self.high_nibbles(unit),
                    });
                    for (m, halves) in halves.iter_mut().enumerate() {
                        let x = memory! { self.splat_bytes(activations.add((four * M + m) * 4)) };
                        *halves = pairs(*halves, unit, x);
                    }
                }
            }
            for (sums, halves) in sums.iter_mut().zip(halves) {
                sums[v] = i32x4_add(sums[v], joined(halves));
            }
        }
        sums
    }
}

/// Weights as 16-bit numbers.
#[inline(always)]
fn widened(weights: v128) -> [v128; 2] {
    [
        i16x8_extend_low_u8x16(weights),
        i16x8_extend_high_u8x16(weights),
    ]
}

/// Adds the products of two neighbours to each lane. Activations are four bytes, repeated.
#[inline(always)]
fn pairs(sums: [v128; 2], weights: [v128; 2], activations: v128) -> [v128; 2] {
    let x = i16x8_extend_low_i8x16(activations);
    [
        i32x4_add(sums[0], i32x4_dot_i16x8(weights[0], x)),
        i32x4_add(sums[1], i32x4_dot_i16x8(weights[1], x)),
    ]
}

/// Adds up neighbours.
#[inline(always)]
fn joined([low, high]: [v128; 2]) -> v128 {
    i32x4_add(
        i32x4_shuffle::<0, 2, 4, 6>(low, high),
        i32x4_shuffle::<1, 3, 5, 7>(low, high),
    )
}
