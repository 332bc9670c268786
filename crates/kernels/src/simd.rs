//! The vector operations that every instruction set offers, and which algorithms are written over.

use half::{bf16, f16};

/// The most `f32` lanes that any instruction set has.
pub(crate) const MAX_LANES: usize = 16;

/// `std::array::from_fn` and `map` for vectors, always inlined.
///
/// Those of the standard library become functions of their own where they please, and such a function
/// is compiled without the instruction set, with a call for every single instruction. Closures given
/// to this one are to be `#[inline(always)]` too.
#[inline(always)]
pub(crate) fn array_of<T: Copy, const N: usize>(start: T, mut f: impl FnMut(usize) -> T) -> [T; N] {
    let mut out = [start; N];
    for (i, x) in out.iter_mut().enumerate() {
        *x = f(i);
    }
    out
}

/// An algorithm written over [`Simd`], to be compiled once for each instruction set.
pub(crate) trait Op {
    type Output;
    /// Must be `#[inline(always)]`, as everything it calls that handles vectors: only what is
    /// inlined into [`Simd::vectorize`] is compiled with the instruction set enabled.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// A token which proves an instruction set, with the operations on its vectors.
///
/// `F` holds [`LANES`](Simd::LANES) `f32`, `I` as many `i32`, `B` four times as many bytes.
///
/// # Safety of the methods that take pointers
/// A load reads, and a store writes, one vector's worth of elements at the pointer; they need no
/// alignment. Where another length holds, the method says so.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    type F: Copy;
    type I: Copy;
    type B: Copy;

    /// How many `f32` a vector has: 4, 8 or 16.
    const LANES: usize;
    /// How many bytes a vector has.
    const BYTES: usize = Self::LANES * 4;
    /// How many vector registers there are, which is what tiles are sized by.
    const REGISTERS: usize;
    /// What [`dot_wide`](Simd::dot_wide) takes off each weight.
    const WIDE_BIAS: i32;

    /// Runs `op` compiled with the instruction set enabled.
    fn vectorize<O: Op>(self, op: O) -> O::Output;

    fn splat(self, x: f32) -> Self::F;
    unsafe fn load(self, from: *const f32) -> Self::F;
    unsafe fn store(self, x: Self::F, to: *mut f32);
    unsafe fn load_f16(self, from: *const f16) -> Self::F;
    unsafe fn store_f16(self, x: Self::F, to: *mut f16);
    unsafe fn load_bf16(self, from: *const bf16) -> Self::F;
    unsafe fn load_i16(self, from: *const i16) -> Self::F;

    /// Reads `LANES` bytes, as numbers from 0 to 255.
    unsafe fn load_u8(self, from: *const u8) -> Self::F;
    /// Reads `LANES` bytes, as numbers from -128 to 127.
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> Self::F {
        // SAFETY: passed on.
        let x = unsafe { self.load_u8(from.cast()) };
        // Those with the highest bit are 256 too large.
        self.sub(
            x,
            self.zero_if_less(x, self.splat(128.0), self.splat(256.0)),
        )
    }
    /// Reads `LANES` bytes: twice as many numbers from 0 to 15, of each byte the low half first.
    unsafe fn load_nibbles(self, from: *const u8) -> [Self::F; 2];

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger; `b` where either is not a number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller; `b` where either is not a number.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// To the nearest whole number, to the even one of two.
    fn round(self, a: Self::F) -> Self::F;
    /// Two to the power of a whole number from -127 (which gives 0) to 128 (infinity).
    fn pow2(self, a: Self::F) -> Self::F;
    /// `x` where `a >= b` or either is not a number, else 0.
    fn zero_if_less(self, a: Self::F, b: Self::F, x: Self::F) -> Self::F;
    fn reduce_add(self, a: Self::F) -> f32;
    /// The largest lane; lanes that are not a number are not to be given.
    fn reduce_max(self, a: Self::F) -> f32;

    fn splat_i(self, x: i32) -> Self::I;
    fn to_f32(self, a: Self::I) -> Self::F;
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// Shifts every lane left by seven bits.
    fn times_128(self, a: Self::I) -> Self::I;
    unsafe fn load_bytes(self, from: *const u8) -> Self::B;
    /// Four bytes, repeated.
    unsafe fn splat_bytes(self, from: *const i8) -> Self::B;
    /// The low half of every byte.
    fn low_nibbles(self, a: Self::B) -> Self::B;
    /// The high half of every byte.
    fn high_nibbles(self, a: Self::B) -> Self::B;
    /// Whole bytes as [`dot_wide`](Simd::dot_wide) wants its weights.
    fn wide_weights(self, a: Self::B) -> Self::B;
    /// Adds to each lane the products of its four weights, each 0 to 15, with as many activations,
    /// each -127 to 127.
    fn dot(self, sum: Self::I, weights: Self::B, activations: Self::B) -> Self::I;
    /// As [`dot`](Simd::dot) for weights of 0 to 255, passed through
    /// [`wide_weights`](Simd::wide_weights), and with [`WIDE_BIAS`](Simd::WIDE_BIAS) taken off each.
    fn dot_wide(self, sum: Self::I, weights: Self::B, activations: Self::B) -> Self::I;
    /// Stores `LANES` bytes: whole numbers from -127 to 127.
    unsafe fn store_i8(self, x: Self::F, to: *mut i8);

    /// Asks for bytes that will be read soon to be brought nearer, where the processor takes such hints. The
    /// address need not be valid.
    #[inline(always)]
    fn prefetch(self, from: *const u8, bytes: usize) {
        let _ = (from, bytes);
    }

    /// The inner loop of a product with packed weights: adds to `sums` the products of `M` rows of 32
    /// activations with `V` vectors of features. `PART` 0 is all 32, 1 and 2 are the first and the last 16.
    ///
    /// # Safety
    /// At each pointer of `weights` there is a vector every 64 bytes, of four units for 4 bits and of eight if
    /// `WIDE`; `activations` has eight times four bytes for each of `M` rows.
    #[inline(always)]
    unsafe fn dot_units<const M: usize, const V: usize, const WIDE: bool, const PART: usize>(
        self,
        mut sums: [[Self::I; V]; M],
        weights: [*const u8; V],
        activations: *const i8,
    ) -> [[Self::I; V]; M] {
        for d in 0..4 {
            // SAFETY: the first unit is there; what is read is overwritten.
            let mut units = [unsafe { self.load_bytes(weights[0]) }; V];
            for (first, last) in [(true, false), (false, true)] {
                if (first && PART == 2) || (last && PART == 1) {
                    continue;
                }
                for v in 0..V {
                    // SAFETY: there are as many units, by the caller's promise.
                    units[v] = unsafe {
                        let unit = weights[v].add(64 * if WIDE && last { 4 + d } else { d });
                        match (WIDE, last) {
                            (true, _) => self.wide_weights(self.load_bytes(unit)),
                            (false, false) => self.low_nibbles(self.load_bytes(unit)),
                            (false, true) => self.high_nibbles(self.load_bytes(unit)),
                        }
                    };
                }
                let four = if last { 4 + d } else { d };
                for (m, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let x = unsafe { self.splat_bytes(activations.add((four * M + m) * 4)) };
                    for (sum, &unit) in sums.iter_mut().zip(&units) {
                        *sum = if WIDE {
                            self.dot_wide(*sum, unit, x)
                        } else {
                            self.dot(*sum, unit, x)
                        };
                    }
                }
            }
        }
        sums
    }

    /// The vector at the front of `x`.
    #[inline(always)]
    fn get(self, x: &[f32]) -> Self::F {
        assert!(x.len() >= Self::LANES);
        // SAFETY: there are as many elements as a vector has.
        unsafe { self.load(x.as_ptr()) }
    }

    /// Writes a vector to the front of `to`.
    #[inline(always)]
    fn put(self, x: Self::F, to: &mut [f32]) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: there is room for as many elements as a vector has.
        unsafe { self.store(x, to.as_mut_ptr()) }
    }

    /// A vector that starts with `x`, at most `LANES` values, and goes on with `fill`.
    #[inline(always)]
    fn get_part(self, x: &[f32], fill: f32) -> Self::F {
        let mut buffer = [fill; MAX_LANES];
        buffer[..x.len()].copy_from_slice(x);
        self.get(&buffer)
    }

    /// Writes as much of a vector as `to` has room for.
    #[inline(always)]
    fn put_part(self, x: Self::F, to: &mut [f32]) {
        let mut buffer = [0.0; MAX_LANES];
        self.put(x, &mut buffer);
        to.copy_from_slice(&buffer[..to.len()]);
    }
}

/// A number that weights, keys or values are stored as.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    const ZERO: Self;
    /// # Safety
    /// There are `LANES` elements at `from`.
    unsafe fn load<S: Simd>(s: S, from: *const Self) -> S::F;

    /// A vector that starts with `len` elements, at most `LANES`, and goes on with 0.
    ///
    /// # Safety
    /// There are `len` elements at `from`.
    #[inline(always)]
    unsafe fn load_part<S: Simd>(s: S, from: *const Self, len: usize) -> S::F {
        let mut buffer = [Self::ZERO; MAX_LANES];
        for (i, to) in buffer.iter_mut().enumerate().take(len) {
            // SAFETY: `i < len`.
            *to = unsafe { from.add(i).read() };
        }
        // SAFETY: the buffer has as many elements as the widest vector.
        unsafe { Self::load(s, buffer.as_ptr()) }
    }
}

macro_rules! element {
    ($type:ty, $zero:expr, $load:ident) => {
        impl Element for $type {
            const ZERO: Self = $zero;
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, from: *const Self) -> S::F {
                // SAFETY: the caller's promise is the one that is asked for.
                unsafe { s.$load(from) }
            }
        }
    };
}
element!(f32, 0.0, load);
element!(f16, f16::ZERO, load_f16);
element!(bf16, bf16::ZERO, load_bf16);
element!(i16, 0, load_i16);
element!(i8, 0, load_i8);
