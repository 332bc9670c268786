//! Between `f32` and `f16`.

use half::f16;

use crate::simd::{MAX_LANES, Op, Simd};

pub(crate) struct F32ToF16<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [f16],
}

impl Op for F32ToF16<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert_eq!(
            self.from.len(),
            self.to.len(),
            "the operands are of unequal length"
        );
        for (from, to) in self.from.chunks(S::LANES).zip(self.to.chunks_mut(S::LANES)) {
            if from.len() == S::LANES {
                // SAFETY: there are `LANES` elements in both, which are cut alike.
                unsafe { s.store_f16(s.get(from), to.as_mut_ptr()) };
            } else {
                let mut buffer = [f16::ZERO; MAX_LANES];
                // SAFETY: the buffer has room for the widest vector.
                unsafe { s.store_f16(s.get_part(from, 0.0), buffer.as_mut_ptr()) };
                to.copy_from_slice(&buffer[..to.len()]);
            }
        }
    }
}

pub(crate) struct F16ToF32<'a> {
    pub(crate) from: &'a [f16],
    pub(crate) to: &'a mut [f32],
}

impl Op for F16ToF32<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        widen(s, self.from, self.to);
    }
}

/// 16-bit integers and their scale; see [`crate::Kernels::quantize_i16`].
pub(crate) struct QuantizeI16<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [i16],
}

impl Op for QuantizeI16<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f32 {
        quantize(
            self.from,
            self.to,
            32767.0,
            #[inline(always)]
            |x| x as i16,
        )
    }
}

/// 8-bit integers and their scale; see [`crate::Kernels::quantize_i8`].
pub(crate) struct QuantizeI8<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [i8],
}

impl Op for QuantizeI8<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f32 {
        quantize(
            self.from,
            self.to,
            127.0,
            #[inline(always)]
            |x| x as i8,
        )
    }
}

/// Rounds to integers of which `highest` is the largest magnitude, and gives their scale.
#[inline(always)]
fn quantize<T: Copy + Default>(
    from: &[f32],
    to: &mut [T],
    highest: f32,
    cast: impl Fn(f32) -> T,
) -> f32 {
    assert_eq!(from.len(), to.len(), "the operands are of unequal length");
    let largest = from.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    // 0 unless a value is not finite.
    let poison = from.iter().fold(0.0, |poison, x| poison + x * 0.0);
    if largest == 0.0 || poison.is_nan() {
        to.fill(T::default());
        return poison;
    }
    let inverse = highest / largest;
    for (from, to) in from.iter().zip(to) {
        // The cast saturates, which matters for subnormal magnitudes; adding a half towards the sign rounds.
        let x = from * inverse;
        *to = cast(x + 0.5_f32.copysign(x));
    }
    largest / highest
}

/// `to = from`, from whatever weights are stored as.
#[inline(always)]
pub(crate) fn widen<S: Simd, E: crate::simd::Element>(s: S, from: &[E], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "the operands are of unequal length");
    for (from, to) in from.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
        if from.len() == S::LANES {
            // SAFETY: there are `LANES` elements.
            s.put(unsafe { E::load(s, from.as_ptr()) }, to);
        } else {
            // SAFETY: just as many are asked for as there are.
            s.put_part(unsafe { E::load_part(s, from.as_ptr(), from.len()) }, to);
        }
    }
}
