//! The tables of cosines and sines that `GroupQueryAttention` rotates by.

use crate::blocks::dequantise;
use crate::error::ConvertError;
use crate::family::Config;
use crate::gguf::Gguf;

/// Llama 3 files carry what each frequency is divided by; it depends on the model alone.
pub(crate) const FACTORS: &str = "rope_freqs.weight";

/// Angular frequency per pair of values.
pub(crate) fn frequencies(gguf: &Gguf, config: &Config) -> Result<Vec<f32>, ConvertError> {
    let pairs = config.head_size / 2;
    let factors = match gguf.tensor(FACTORS) {
        None => vec![1.0; pairs],
        Some(tensor) => dequantise(tensor.tensor_type(), &gguf.tensor_data(tensor)),
    };
    if factors.len() != pairs || factors.iter().any(|f| !(f.is_finite() && *f > 0.0)) {
        return Err(ConvertError::damaged(format!(
            "gguf tensor `{FACTORS}` must hold {pairs} positive factors"
        )));
    }
    let exponent = |pair: usize| 2.0 * pair as f64 / config.head_size as f64;
    let base = f64::from(config.rope_base);
    let frequency = |(pair, factor): (usize, &f32)| {
        let turned = base.powf(exponent(pair)) * f64::from(*factor);
        (1.0 / (turned * f64::from(config.rope_factor))) as f32
    };
    Ok(factors.iter().enumerate().map(frequency).collect())
}

/// One row per position of `wave(position * frequency)`, the angle in f32 as models are trained.
pub(crate) fn table(frequencies: &[f32], positions: usize, wave: fn(f64) -> f64) -> Vec<u8> {
    let mut table = Vec::with_capacity(positions * frequencies.len() * 4);
    for position in 0..positions {
        for frequency in frequencies {
            let angle = position as f32 * frequency;
            table.extend_from_slice(&(wave(f64::from(angle)) as f32).to_le_bytes());
        }
    }
    table
}
