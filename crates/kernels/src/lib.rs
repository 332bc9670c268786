//! The arithmetic of a decoder, vectorised for the machine at hand.
//!
//! [`Kernels`] is a token: holding one proves that the processor has the instruction set it names,
//! so everything on it is safe to call. One row of values is worked on by the calling thread (norms,
//! rope, softmax, activations); matrix products and attention are spread over a [`Pool`].
//!
//! - [`NBits`] borrows weights of 4 or 8 bits in the layout of `com.microsoft.MatMulNBits`, and is
//!   multiplied either with activations kept in `f32` or with [`QuantizedRows`], activations
//!   quantised to 8 bits, which is several times faster.
//! - [`Dense`] borrows unquantised weights, as ONNX `MatMul` or as an embedding table has them.
//! - [`Kernels::attention`] reads keys and values by pages, so that a cache can grow and be shared.
//!
//! Algorithms are written once, over the vector operations of `simd::Simd`; `arch` has one file per
//! instruction set, of which [`Isa::Portable`] needs nothing but Rust.
//!
//! ```
//! use inhouse_kernels::{Bits, Kernels, NBits, Pool, QuantizedRows, ZeroPoints};
//!
//! let (n, k) = (2, 32);
//! let weights = NBits {
//!     n,
//!     k,
//!     bits: Bits::Four,
//!     block: 32,
//!     quants: &[0x99; 32], // every weight is (9 - 8) * scale
//!     scales: &[0.5, 2.0],
//!     zero_points: ZeroPoints::None,
//! };
//! let (kernels, pool) = (Kernels::best(), Pool::new(2));
//! let mut x = QuantizedRows::new();
//! x.quantize(kernels, &pool, &[1.0; 32], 1, k, Bits::Four);
//! let mut out = [0.0; 2];
//! kernels.matmul_nbits_int8(&pool, &weights, &x, &mut out);
//! assert!((out[0] - 16.0).abs() < 1e-3 && (out[1] - 64.0).abs() < 1e-3);
//! ```
#![allow(
    unsafe_code,
    reason = "vector instructions and pointers into matrices that threads share; every block says why it is sound"
)]

mod arch;
mod attention;
mod dense;
mod isa;
mod kernels;
mod math;
mod nbits;
mod ops;
mod output;
mod pool;
mod probe;
mod quantized;
mod scratch;
mod simd;
#[cfg(test)]
mod testing;

pub use crate::attention::{AttentionShape, KvPage, QueryRow};
pub use crate::dense::{Dense, DenseData, Layout};
pub use crate::isa::Isa;
pub use crate::kernels::Kernels;
pub use crate::nbits::{Bits, LayoutError, NBits, ZeroPoints};
pub use crate::pool::{Awake, Pool};
pub use crate::probe::{Rates, read_rate};
pub use crate::quantized::QuantizedRows;
