//! Plain Rust, eight lanes wide: what every build has, and what the others are held against.

use half::{bf16, f16};

use crate::simd::{Op, Simd, array_of};

/// Needs nothing, so anyone may make one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

const LANES: usize = 8;

#[inline(always)]
fn map(a: [f32; LANES], f: impl Fn(f32) -> f32) -> [f32; LANES] {
    let mut out = a;
    for x in &mut out {
        *x = f(*x);
    }
    out
}

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut out = a;
    for (x, y) in out.iter_mut().zip(b) {
        *x = f(*x, y);
    }
    out
}

// SAFETY of the reads and writes below: each is of one vector's worth of elements at a pointer for
// which the caller vouches, as `Simd` says.
impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type B = [u8; LANES * 4];

    const LANES: usize = LANES;
    const REGISTERS: usize = 8;
    const WIDE_BIAS: i32 = 0;

    #[inline(always)]
    fn vectorize<O: Op>(self, op: O) -> O::Output {
        op.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        // SAFETY: see above.
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, x: Self::F, to: *mut f32) {
        // SAFETY: see above.
        unsafe { to.cast::<Self::F>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> Self::F {
        // SAFETY: see above.
        let x = unsafe { from.cast::<[f16; LANES]>().read_unaligned() };
        // The `const` conversions do not ask the processor what it has at every value.
        array_of(0.0, |i| x[i].to_f32_const())
    }
    #[inline(always)]
    unsafe fn store_f16(self, x: Self::F, to: *mut f16) {
        let x: [f16; LANES] = array_of(f16::ZERO, |i| f16::from_f32_const(x[i]));
        // SAFETY: see above.
        unsafe { to.cast::<[f16; LANES]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const bf16) -> Self::F {
        // SAFETY: see above.
        let x = unsafe { from.cast::<[bf16; LANES]>().read_unaligned() };
        array_of(0.0, |i| x[i].to_f32_const())
    }
    #[inline(always)]
    unsafe fn load_i16(self, from: *const i16) -> Self::F {
        // SAFETY: see above.
        let x = unsafe { from.cast::<[i16; LANES]>().read_unaligned() };
        array_of(0.0, |i| f32::from(x[i]))
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: *const u8) -> Self::F {
        // SAFETY: see above.
        let x = unsafe { from.cast::<[u8; LANES]>().read() };
        array_of(0.0, |i| f32::from(x[i]))
    }
    #[inline(always)]
    unsafe fn load_nibbles(self, from: *const u8) -> [Self::F; 2] {
        // SAFETY: see above.
        let x = unsafe { from.cast::<[u8; LANES]>().read() };
        let value = |i: usize| f32::from(x[i / 2] >> (i % 2 * 4) & 15);
        [array_of(0.0, value), array_of(0.0, |i| value(LANES + i))]
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    // Not fused: without the instruction, `f32::mul_add` is a call into the C library.
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        self.sub(c, self.mul(a, b))
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        map(a, f32::abs)
    }
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        map(a, f32::round_ties_even)
    }
    #[inline(always)]
    fn pow2(self, a: Self::F) -> Self::F {
        map(a, |x| f32::from_bits(((x as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn zero_if_less(self, a: Self::F, b: Self::F, x: Self::F) -> Self::F {
        array_of(0.0, |i| if a[i] < b[i] { 0.0 } else { x[i] })
    }
    #[inline(always)]
    fn reduce_add(self, a: Self::F) -> f32 {
        let b: [f32; 4] = array_of(0.0, |i| a[i] + a[i + 4]);
        (b[0] + b[2]) + (b[1] + b[3])
    }
    #[inline(always)]
    fn reduce_max(self, a: Self::F) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    fn to_f32(self, a: Self::I) -> Self::F {
        array_of(0.0, |i| a[i] as f32)
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        array_of(0, |i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn times_128(self, a: Self::I) -> Self::I {
        array_of(0, |i| a[i] << 7)
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> Self::B {
        // SAFETY: see above.
        unsafe { from.cast::<Self::B>().read() }
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, from: *const i8) -> Self::B {
        // SAFETY: the caller vouches for four bytes.
        let x = unsafe { from.cast::<[u8; 4]>().read() };
        array_of(0, |i| x[i % 4])
    }
    #[inline(always)]
    fn low_nibbles(self, a: Self::B) -> Self::B {
        array_of(0, |i| a[i] & 15)
    }
    #[inline(always)]
    fn high_nibbles(self, a: Self::B) -> Self::B {
        array_of(0, |i| a[i] >> 4)
    }
    #[inline(always)]
    fn wide_weights(self, a: Self::B) -> Self::B {
        a
    }
    #[inline(always)]
    fn dot(self, mut sum: Self::I, weights: Self::B, activations: Self::B) -> Self::I {
        for (lane, sum) in sum.iter_mut().enumerate() {
            for i in lane * 4..lane * 4 + 4 {
                *sum += i32::from(weights[i]) * i32::from(activations[i] as i8);
            }
        }
        sum
    }
    #[inline(always)]
    fn dot_wide(self, sum: Self::I, weights: Self::B, activations: Self::B) -> Self::I {
        self.dot(sum, weights, activations)
    }
    #[inline(always)]
    unsafe fn store_i8(self, x: Self::F, to: *mut i8) {
        // SAFETY: the caller vouches for `LANES` bytes.
        unsafe { to.cast::<[i8; LANES]>().write(array_of(0, |i| x[i] as i8)) }
    }
}
