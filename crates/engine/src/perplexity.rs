//! How well a model predicts a text: mean negative log-likelihood and perplexity.

use inhouse_kernels::Kernels;

use crate::error::EngineError;
use crate::session::{Cancel, Session, Want};

/// Tokens whose logits are held at a time.
const CHUNK: usize = 64;

/// What [`measure`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// Tokens that were predicted: all but the first.
    pub tokens: usize,
    /// Mean negative log-likelihood, in nats a token.
    pub mean_nll: f64,
}

impl Perplexity {
    /// `exp(mean_nll)`.
    pub fn perplexity(&self) -> f64 {
        self.mean_nll.exp()
    }
}

/// Measures `ids` on an empty session, each token predicted from all before it.
///
/// # Errors
/// Fewer than two ids, more than the context holds, an id out of range, or the cancellation.
pub fn measure(
    session: &mut dyn Session,
    ids: &[u32],
    cancel: &Cancel,
) -> Result<Perplexity, EngineError> {
    if ids.len() < 2 {
        return Err(EngineError::options(format!(
            "{} tokens predict nothing; two are the least",
            ids.len()
        )));
    }
    if session.len() + ids.len() > session.context_length() {
        return Err(EngineError::context_overflow(
            session.len() + ids.len(),
            session.context_length(),
        ));
    }
    let kernels = Kernels::best();
    let mut sum = 0.0;
    for start in (0..ids.len() - 1).step_by(CHUNK) {
        let end = (start + CHUNK).min(ids.len() - 1);
        let logits = session.extend(&ids[start..end], Want::All, cancel)?;
        for (row, &next) in ids[start + 1..=end].iter().enumerate() {
            let row = logits.row(row);
            let of_next = row.get(next as usize).copied().unwrap_or(f32::NEG_INFINITY);
            sum += f64::from(kernels.log_sum_exp(row)) - f64::from(of_next);
        }
    }
    let tokens = ids.len() - 1;
    Ok(Perplexity {
        tokens,
        mean_nll: sum / tokens as f64,
    })
}
