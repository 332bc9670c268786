//! What a model needs, before any of it is loaded.

use std::path::Path;

use crate::config::GenaiConfig;
use crate::error::{EngineError, ErrorKind};
use crate::kv::KvType;

/// What a model folder will take once it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Bytes of the graph and its external data; they are mapped, and resident once they were read.
    pub weights: u64,
    /// Bytes of keys and values that one token takes.
    pub kv_per_token: u64,
    /// Bytes of activations in a prefill chunk, roughly.
    pub working: u64,
}

/// Rows of a prefill chunk that the estimate counts with.
const CHUNK_ROWS: u64 = 256;

impl MemoryEstimate {
    /// Reads the folder's configuration and the sizes of its files; opens no weights.
    ///
    /// # Errors
    /// The configuration is missing or broken.
    pub fn of_folder(folder: &Path, kv: KvType) -> Result<Self, EngineError> {
        let config = GenaiConfig::of_folder(folder)?;
        let weights = weight_files(folder, &config.decoder.filename);
        Ok(Self::new(&config, weights, kv))
    }

    pub(crate) fn new(config: &GenaiConfig, weights: u64, kv: KvType) -> Self {
        let decoder = &config.decoder;
        let head = match decoder.head_size {
            0 => decoder.hidden_size / decoder.num_attention_heads.max(1),
            size => size,
        };
        let kv_per_token = (decoder.num_hidden_layers as u64)
            .saturating_mul(decoder.num_key_value_heads as u64)
            .saturating_mul(kv.bytes(head) as u64);
        // The residual stream, its norm, q, k, v and a feed-forward about four times as wide, each in f32.
        let working = CHUNK_ROWS * (decoder.hidden_size as u64).saturating_mul(16 * 4)
            + 4 * config.vocab_size as u64;
        Self {
            weights,
            kv_per_token,
            working,
        }
    }

    /// Bytes in all with `tokens` in the cache.
    pub fn total(&self, tokens: usize) -> u64 {
        self.weights
            .saturating_add(self.kv_per_token.saturating_mul(tokens as u64))
            .saturating_add(self.working)
    }

    /// Refuses a model that does not fit into `available` bytes even with a short conversation.
    ///
    /// # Errors
    /// [`ErrorKind::Memory`], with the numbers.
    pub fn check(&self, available: u64) -> Result<(), EngineError> {
        const SHORT: usize = 512;
        let needed = self.total(SHORT);
        if needed <= available {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorKind::Memory,
            format!(
                "the model needs about {} ({} of weights, {} of activations, {} for {SHORT} tokens) and {} are free; \
                 close other programs or take a smaller model",
                gib(needed),
                gib(self.weights),
                gib(self.working),
                gib(self.kv_per_token.saturating_mul(SHORT as u64)),
                gib(available)
            ),
        ))
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
}

/// Bytes of the graph file and of the external data that lies beside it under its name.
fn weight_files(folder: &Path, filename: &str) -> u64 {
    let graph = folder.join(filename);
    let Some((directory, name)) = graph
        .parent()
        .zip(graph.file_name().and_then(|name| name.to_str()))
    else {
        return 0;
    };
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|other| other.starts_with(name))
        })
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .map(|meta| meta.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let estimate = MemoryEstimate {
            weights: 3 << 30,
            kv_per_token: 128 << 10,
            working: 1 << 20,
        };
        assert!(estimate.check(4 << 30).is_ok());
        let error = estimate.check(2 << 30).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Memory);
        let text = error.to_string();
        assert!(
            text.contains("3.00 GiB of weights") && text.contains("2.00 GiB are free"),
            "{text}"
        );
    }

    #[test]
    fn absurd_numbers_are_refused_as_others_are() {
        let estimate = MemoryEstimate {
            weights: u64::MAX,
            kv_per_token: u64::MAX,
            working: u64::MAX,
        };
        assert_eq!(estimate.check(1).unwrap_err().kind(), ErrorKind::Memory);
    }

    #[test]
    fn a_folder_is_estimated_from_its_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/llama-fp32");
        let estimate = MemoryEstimate::of_folder(&folder, KvType::F32).unwrap();
        assert_eq!(estimate.weights, 4_314_368 + 19_974);
        assert_eq!(estimate.kv_per_token, 3 * 2 * 2 * 32 * 4);
    }
}
