//! How well a model predicts a text: mean negative log-likelihood and perplexity.

use inhouse_kernels::Kernels;

use crate::backend::Backend;
use crate::cancel::Cancel;
use crate::error::EngineError;
use crate::session::{Session, Want};

/// Tokens whose logits are held at a time.
const CHUNK: usize = 64;

/// What [`measure`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// Tokens that were predicted: all but the first of each window.
    pub tokens: usize,
    /// Windows the ids were cut into: one, unless they are more than the context holds.
    pub windows: usize,
    /// Mean negative log-likelihood, in nats a token.
    pub mean_nll: f64,
}

impl Perplexity {
    /// `exp(mean_nll)`.
    pub fn perplexity(&self) -> f64 {
        self.mean_nll.exp()
    }
}

/// Measures `ids`, each token predicted from all before it in its window; windows are as long as the context.
///
/// # Errors
/// Fewer than two ids, an id out of range, a graph that gives the last row of logits only, or the cancellation.
pub fn measure(
    model: &dyn Backend,
    ids: &[u32],
    cancel: &Cancel,
) -> Result<Perplexity, EngineError> {
    let windows: Vec<&[u32]> = ids.chunks(model.info().context_length.max(1)).collect();
    let (mut sum, mut tokens) = (0.0, 0);
    for window in &windows {
        sum += nll(model.session()?.as_mut(), window, cancel)?;
        tokens += window.len() - 1;
    }
    if tokens == 0 {
        let message = format!("{} tokens predict nothing; two are the least", ids.len());
        return Err(EngineError::options(message));
    }
    Ok(Perplexity {
        tokens,
        windows: windows.len(),
        mean_nll: sum / tokens as f64,
    })
}

/// The negative log-likelihood of all ids but the first, summed up.
fn nll(session: &mut dyn Session, ids: &[u32], cancel: &Cancel) -> Result<f64, EngineError> {
    let kernels = Kernels::best();
    let mut sum = 0.0;
    for start in (0..ids.len() - 1).step_by(CHUNK) {
        let end = (start + CHUNK).min(ids.len() - 1);
        let logits = session.extend(&ids[start..end], Want::All, cancel)?;
        if logits.rows != end - start {
            return Err(EngineError::options(format!(
                "the model gives {} of the {} rows of logits that were asked for; export it with the whole head",
                logits.rows,
                end - start
            )));
        }
        for (row, &next) in ids[start + 1..=end].iter().enumerate() {
            let row = logits.row(row);
            let of_next = row.get(next as usize).copied().unwrap_or(f32::NEG_INFINITY);
            sum += f64::from(kernels.log_sum_exp(row)) - f64::from(of_next);
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{KvType, LoadOptions, Model, Precision};

    #[test]
    fn a_text_beyond_the_context_is_measured_in_windows() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/llama-fp32");
        let options = LoadOptions {
            precision: Precision::Exact,
            kv: KvType::F32,
            ..LoadOptions::default()
        };
        let model = Model::load(&folder, &options).unwrap();
        let ids: Vec<u32> = (0..1034).map(|i| i * 31 % 509).collect();
        let whole = measure(&model, &ids, &Cancel::new()).unwrap();
        assert_eq!((whole.tokens, whole.windows), (1032, 2));
        let first = measure(&model, &ids[..1024], &Cancel::new()).unwrap();
        let second = measure(&model, &ids[1024..], &Cancel::new()).unwrap();
        let mean = (first.mean_nll * 1023.0 + second.mean_nll * 9.0) / 1032.0;
        assert!((whole.mean_nll - mean).abs() < 1e-6, "{whole:?} and {mean}");
        assert!(measure(&model, &[5], &Cancel::new()).is_err());
        assert!(measure(&model, &[], &Cancel::new()).is_err());
    }
}
