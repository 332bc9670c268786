//! The step from a GGUF file to a model folder.

use std::error::Error;
use std::path::Path;

use inhouse_convert::{GgufOptions, ZeroPoints, convert_gguf};

/// Turns a GGUF file into a model folder.
pub trait Converter: Send + Sync {
    /// Writes the model folder `folder`, which is empty, from the file `gguf`. `progress` takes bytes done, bytes in
    /// all, and what is being worked on.
    fn convert(
        &self,
        gguf: &Path,
        folder: &Path,
        progress: &mut dyn FnMut(u64, u64, &str),
    ) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// At most so many bytes the folder of a GGUF file of this size will take.
    fn room(&self, gguf_bytes: u64) -> u64 {
        // Four-bit blocks keep their size but for wider scales; five and six bits become eight, bf16 may become f32.
        gguf_bytes.saturating_mul(2).saturating_add(64 << 20)
    }
}

/// The converter of this project.
#[derive(Clone, Copy, Debug, Default)]
pub struct GgufConverter {}

impl Converter for GgufConverter {
    fn convert(
        &self,
        gguf: &Path,
        folder: &Path,
        progress: &mut dyn FnMut(u64, u64, &str),
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Our own engine is as fast with float zero points, and only they keep every value.
        let options = GgufOptions {
            zero_points: ZeroPoints::Float,
        };
        convert_gguf(gguf, folder, &options, &mut |done| {
            progress(done.bytes_done, done.bytes_total, done.tensor);
        })?;
        Ok(())
    }
}
