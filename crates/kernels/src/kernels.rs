//! The token that everything is called on.

use half::f16;

#[cfg(target_arch = "aarch64")]
use crate::arch::neon;
use crate::arch::portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::arch::wasm;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2, avx512};
use crate::attention::{self, AttentionShape, KvPage, QueryRow};
use crate::dense::{self, Dense};
use crate::nbits::float::DequantizeRow;
use crate::nbits::packed::{Packed, Then};
use crate::nbits::{self, NBits};
use crate::quantized::QuantizedRows;
use crate::simd::{Op, Simd};
use crate::{Isa, Pool, ops};

/// An instruction set that this processor is known to have, with what is computed in it.
///
/// Lengths that do not fit together are a mistake of the caller and panic.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    token: Token,
}

/// Names each token and its type once, of those that this build has.
macro_rules! tokens {
    ($($(#[$built:meta])* $token:ident($type:ty): $isa:ident,)*) => {
        #[derive(Clone, Copy, Debug)]
        enum Token {
            $($(#[$built])* $token($type),)*
        }

        impl Kernels {
            /// Which instruction set it is.
            pub fn isa(self) -> Isa {
                match self.token {
                    $($(#[$built])* Token::$token(_) => Isa::$isa,)*
                }
            }

            /// Runs an algorithm as it was compiled for this instruction set.
            pub(crate) fn run<O: Op>(self, op: O) -> O::Output {
                match self.token {
                    $($(#[$built])* Token::$token(s) => s.vectorize(op),)*
                }
            }
        }
    };
}

tokens! {
    Portable(Portable): Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2<{ avx2::PAIRS }>): Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni(avx2::Avx2<{ avx2::VNNI }>): AvxVnni,
    #[cfg(all(test, target_arch = "x86_64"))]
    AvxVnniOfAvx512(avx2::Avx2<{ avx2::VNNI_OF_AVX512 }>): AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(avx512::Avx512): Avx512Vnni,
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon<{ neon::PLAIN }>): Neon,
    #[cfg(target_arch = "aarch64")]
    NeonDot(neon::Neon<{ neon::DOT }>): NeonDot,
    #[cfg(target_arch = "aarch64")]
    NeonI8mm(neon::Neon<{ neon::I8MM }>): NeonI8mm,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm(wasm::Wasm): Wasm,
}

impl Kernels {
    /// The kernels in an instruction set, if this build and this processor have it.
    pub fn new(isa: Isa) -> Option<Kernels> {
        let token = match isa {
            Isa::Portable => Token::Portable(Portable),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Token::Avx2(avx2::Avx2::detect()?),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => Token::AvxVnni(avx2::Avx2::detect()?.with_vnni()?),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Token::Avx512Vnni(avx512::Avx512::detect()?),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Token::Neon(neon::Neon::detect()?),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => Token::NeonDot(neon::Neon::detect()?.with_dot_products()?),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => {
                Token::NeonI8mm(neon::Neon::detect()?.with_dot_products()?.with_matrices()?)
            }
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Wasm => Token::Wasm(wasm::Wasm::new()),
            #[allow(
                unreachable_patterns,
                reason = "which ones are left depends on the target"
            )]
            _ => return None,
        };
        Some(Kernels { token })
    }

    /// The kernels in the fastest instruction set that is available.
    pub fn best() -> Kernels {
        Kernels::new(Isa::best()).unwrap_or(Kernels {
            token: Token::Portable(Portable),
        })
    }

    /// What AVX-VNNI computes, with the instructions of AVX-512.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(crate) fn avx_vnni_of_avx512() -> Option<Kernels> {
        let token = avx2::Avx2::detect()?.with_vnni_of_avx512()?;
        Some(Kernels {
            token: Token::AvxVnniOfAvx512(token),
        })
    }
}

/// One row of values, on the calling thread.
impl Kernels {
    /// `out = x / sqrt(mean(x^2) + eps) * weight`
    pub fn rms_norm(self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        self.run(ops::RmsNorm {
            x,
            weight,
            eps,
            out,
        });
    }

    /// `x += y`
    pub fn add_assign(self, x: &mut [f32], y: &[f32]) {
        self.run(ops::AddAssign { x, y });
    }

    /// `x *= factor`
    pub fn scale_assign(self, x: &mut [f32], factor: f32) {
        self.run(ops::ScaleAssign { x, factor });
    }

    /// The sum of the products.
    pub fn dot(self, x: &[f32], y: &[f32]) -> f32 {
        self.run(ops::Dot { x, y })
    }

    /// `gate = gate * sigmoid(gate) * up`
    pub fn silu_mul(self, gate: &mut [f32], up: &[f32]) {
        self.run(ops::SiluMul { gate, up });
    }

    /// `gate = gelu(gate) * up`, with the approximation of GELU by a hyperbolic tangent.
    pub fn gelu_tanh_mul(self, gate: &mut [f32], up: &[f32]) {
        self.run(ops::GeluTanhMul { gate, up });
    }

    /// Rotates the first `2 * cos.len()` values of a head and leaves the others: value `i` together
    /// with value `i + cos.len()`, or where `interleaved` value `2 i` with the one after it.
    pub fn rope(self, head: &mut [f32], cos: &[f32], sin: &[f32], interleaved: bool) {
        self.run(ops::Rope {
            head,
            cos,
            sin,
            interleaved,
        });
    }

    /// Rounds to half precision, to nearest.
    pub fn f32_to_f16(self, from: &[f32], to: &mut [f16]) {
        self.run(ops::F32ToF16 { from, to });
    }

    /// Widens from half precision.
    pub fn f16_to_f32(self, from: &[f16], to: &mut [f32]) {
        self.run(ops::F16ToF32 { from, to });
    }

    /// Rounds to 16-bit integers, `from = to * scale`, and gives the scale: the largest magnitude
    /// divided by 32767. Where a value is not finite, neither is the scale.
    pub fn quantize_i16(self, from: &[f32], to: &mut [i16]) -> f32 {
        self.run(ops::QuantizeI16 { from, to })
    }

    /// As [`quantize_i16`](Kernels::quantize_i16), to 8-bit integers from -127 to 127.
    pub fn quantize_i8(self, from: &[f32], to: &mut [i8]) -> f32 {
        self.run(ops::QuantizeI8 { from, to })
    }

    /// The index of the largest value, the first of equals. What is not a number never wins; where
    /// nothing else is there, and for no values at all, it is 0.
    pub fn argmax(self, x: &[f32]) -> usize {
        self.run(ops::Argmax { x })
    }

    /// The largest value that is a number; -infinity where there is none.
    pub fn max(self, x: &[f32]) -> f32 {
        self.run(ops::Max { x })
    }

    /// `exp(x)` divided by its sum. Values of -infinity become 0; where there are no others, all do.
    pub fn softmax(self, x: &mut [f32]) {
        self.run(ops::Softmax { x });
    }

    /// `ln(sum(exp(x)))`, the logarithm of what softmax divides by.
    pub fn log_sum_exp(self, x: &[f32]) -> f32 {
        self.run(ops::LogSumExp { x })
    }

    /// The largest of a row of logits, of which -infinity is one; `None` where a value is not a number or infinite.
    pub fn max_of_logits(self, x: &[f32]) -> Option<f32> {
        self.run(ops::MaxOfLogits { x })
    }

    /// `out = exp((x - max) / temperature)`, where no `x` is above `max`; gives the sum. Results have the same bits in
    /// every instruction set.
    pub fn exp_weights(self, x: &[f32], max: f32, temperature: f32, out: &mut [f32]) -> f64 {
        self.run(ops::ExpWeights {
            x,
            max,
            temperature,
            out,
        })
    }

    /// For each bound the sum of the values that are not below it, to about four digits.
    pub fn sums_from<const N: usize>(self, x: &[f32], bounds: [f32; N]) -> [f64; N] {
        self.run(ops::SumsFrom { x, bounds })
    }

    /// One row of quantised weights as floats, `k` of them: an embedding.
    pub fn dequantize_row(self, weights: &NBits<'_>, row: usize, out: &mut [f32]) {
        weights.assert_valid();
        assert!(row < weights.n, "row {row} is beyond {}", weights.n);
        assert_eq!(out.len(), weights.k, "a row has {} values", weights.k);
        self.run(DequantizeRow { weights, row, out });
    }
}

/// Matrices, over a pool. Activations are row-major `[rows, k]`, results `[rows, n]` and overwritten.
impl Kernels {
    /// The product of quantised activations and packed weights, in integers; `then` says what becomes of it.
    ///
    /// # Panics
    /// When the activations have another `k`, `out` another length, or `then` asks for a gate of weights that
    /// were not joined as one.
    pub fn matmul_packed(
        self,
        pool: &Pool,
        weights: &Packed<'_>,
        x: &QuantizedRows,
        then: Then,
        out: &mut [f32],
    ) {
        nbits::packed::matmul(self, pool, weights, x, then, out);
    }

    /// The product of unquantised activations and quantised weights, in single precision.
    pub fn matmul_nbits_f32(self, pool: &Pool, weights: &NBits<'_>, x: &[f32], out: &mut [f32]) {
        weights.assert_valid();
        dense::matmul_rows(self, pool, weights, weights.n, weights.k, x, out);
    }

    /// The product of activations and unquantised weights, in single precision.
    pub fn matmul_dense(self, pool: &Pool, weights: &Dense<'_>, x: &[f32], out: &mut [f32]) {
        dense::matmul(self, pool, weights, x, out);
    }

    /// Attention: each head of each row of `q` is held against the keys of the positions of its row,
    /// and the softmax of the products weighs their values. `q` and `out` are `[rows, heads, head_dim]`;
    /// query heads `h * g..(h + 1) * g` share head `h` of the keys, `g` being `heads / kv_heads`.
    pub fn attention(
        self,
        pool: &Pool,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[QueryRow],
        sequences: &[&[KvPage<'_>]],
        out: &mut [f32],
    ) {
        attention::attention(self, pool, shape, q, rows, sequences, out);
    }
}
