//! The arithmetic of a decoder, vectorised for the machine at hand.
//!
//! [`Kernels`] is a token: holding one proves that the processor has the instruction set it names,
//! so everything on it is safe to call. One row of values is worked on by the calling thread (norms,
//! rope, softmax, activations); matrix products and attention are spread over a [`Pool`].
//!
//! - [`NBits`] borrows weights of 4 or 8 bits in the layout of `com.microsoft.MatMulNBits`, and is
//!   multiplied with activations kept in `f32`.
//! - [`Packed`] borrows the same weights re-laid, and is multiplied with [`QuantizedRows`], activations as
//!   integers of 8 or 15 bits, which is many times faster.
//! - [`Dense`] borrows unquantised weights, as ONNX `MatMul` or as an embedding table has them.
//! - [`Kernels::attention`] reads keys and values by pages, so that a cache can grow and be shared.
//!
//! Algorithms are written once, over the vector operations of `simd::Simd`; `arch` has one file per
//! instruction set, of which [`Isa::Portable`] needs nothing but Rust.
//!
//! ```
//! use inhouse_kernels::{
//!     Bits, Depth, Join, Kernels, NBits, Packed, PackedLayout, Pool, QuantizedRows, Then, ZeroPoints,
//! };
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
//! let layout = PackedLayout::of(&[weights], Join::Stacked, Depth::Eight).expect("one matrix fits itself");
//! let mut bytes = vec![0; layout.bytes()];
//! layout.pack(&pool, &[weights], 0..layout.pieces(), &mut bytes);
//!
//! let mut x = QuantizedRows::new();
//! x.quantize(kernels, &pool, &[1.0; 32], 1, k, Depth::Eight);
//! let mut out = [0.0; 2];
//! kernels.matmul_packed(&pool, &Packed::new(layout, &bytes)?, &x, Then::Store, &mut out);
//! assert!((out[0] - 16.0).abs() < 1e-3 && (out[1] - 64.0).abs() < 1e-3);
//! # Ok::<(), inhouse_kernels::LayoutError>(())
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
pub use crate::nbits::packed::{Join, Number, Packed, PackedLayout, Then};
pub use crate::nbits::{Bits, LayoutError, NBits, ZeroPoints};
pub use crate::pool::{Awake, Pool};
pub use crate::probe::{Rates, read_rate};
pub use crate::quantized::{Depth, QuantizedRows};
