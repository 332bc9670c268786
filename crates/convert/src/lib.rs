//! Converts model files into ONNX Runtime GenAI folders: GGUF in.
//!
//! [`convert_gguf`] reads a Llama-like GGUF file and writes the folder that onnxruntime-genai's
//! own model builder would: `model.onnx` with external data, `genai_config.json`,
//! `tokenizer.json`, `tokenizer_config.json` and the chat template. Weights are carried over
//! block by block, never quantised again where ONNX can hold them; the [`Report`] says which
//! kept their values. The file is mapped and converted tensor by tensor, so memory is
//! bounded by the largest of them.
//!
//! | GGUF | ONNX | values |
//! |---|---|---|
//! | Q4_0 | 4 bits, block 32 | same |
//! | Q4_1, Q4_K | 4 bits, block 32, float zero points (or packed or none, on request) | same (nearest) |
//! | Q5_0, Q8_0 | 8 bits, block 32 | same |
//! | Q6_K | 8 bits, block 16 | same |
//! | Q5_1, Q5_K | 8 bits, block 32, packed zero points | nearest: steps kept, offset rounded |
//! | F32, F16, BF16 | the same type, widened by a `Cast` in the graph | same |
//!
//! An embedding in Q4_1 or Q4_K becomes 8 bits with packed zero points like Q5_1, because
//! `GatherBlockQuantized` takes no float ones; the others share the head's weights when tied.
//!
//! ```no_run
//! use std::path::Path;
//! use inhouse_convert::{GgufOptions, convert_gguf};
//!
//! let options = GgufOptions::default();
//! let report = convert_gguf(Path::new("model.gguf"), Path::new("model"), &options, &mut |_| {})?;
//! println!("exact: {}", report.is_exact());
//! # Ok::<(), inhouse_convert::ConvertError>(())
//! ```

mod blocks;
mod convert;
mod decoder;
mod error;
mod family;
mod folder;
mod genai_config;
pub mod gguf;
mod graph;
mod matrix;
mod report;
mod rope;
mod tokenizer;
mod weights;

pub use convert::{GgufOptions, ZeroPoints, convert_gguf};
pub use error::{ConvertError, ConvertErrorKind};
pub use report::{Conversion, Progress, Report};
