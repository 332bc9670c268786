//! The tables of cosines and sines that `GroupQueryAttention` rotates by.

use std::ops::Range;

use crate::blocks::dequantise;
use crate::error::ConvertError;
use crate::family::Config;
use crate::gguf::Gguf;

/// Llama 3 files carry what each frequency is divided by; it depends on the model alone.
const FACTORS: &str = "rope_freqs.weight";
/// LongRoPE's factors, for contexts up to the original length and beyond it.
const SHORT: &str = "rope_factors_short.weight";
const LONG: &str = "rope_factors_long.weight";

/// A longer table is more likely a damaged file than a model: 2 to the 20 positions need half of it.
const MAX_BYTES: usize = 512 << 20;
/// LongRoPE's tables lie inside the graph, which is held in memory.
const MAX_BYTES_INLINE: usize = 128 << 20;
/// Positions computed at a time.
const PIECE: usize = 1024;

/// Tensors that are read here rather than converted.
pub(crate) const TENSORS: [&str; 3] = [FACTORS, SHORT, LONG];

/// Cosine or sine.
pub(crate) type Wave = fn(f64) -> f64;

/// A model's rotation: one table, or one up to the original length and one beyond.
pub(crate) enum Rotation {
    One(Table),
    Two { short: Table, long: Table },
}

/// How one table of cosines or sines is computed.
pub(crate) struct Table {
    frequencies: Vec<f32>,
    positions: usize,
    magnitude: f32,
}

impl Rotation {
    pub(crate) fn read(gguf: &Gguf, config: &Config) -> Result<Rotation, ConvertError> {
        let table = |name: &str, positions, magnitude| {
            let frequencies = frequencies(gguf, config, name)?;
            check_size(positions, frequencies.len(), MAX_BYTES)?;
            Ok(Table {
                frequencies,
                positions,
                magnitude,
            })
        };
        let factors = [SHORT, LONG].map(|name| gguf.tensor(name).is_some());
        match factors {
            [false, false] => Ok(Rotation::One(table(FACTORS, config.context, 1.0)?)),
            // A context within the original length never takes the long table.
            _ if config.context <= config.original_context => Ok(Rotation::One(table(
                SHORT,
                config.context,
                config.magnitude,
            )?)),
            _ => {
                check_size(config.context, config.rotary / 2, MAX_BYTES_INLINE)?;
                Ok(Rotation::Two {
                    short: table(SHORT, config.original_context, config.magnitude)?,
                    long: table(LONG, config.context, config.magnitude)?,
                })
            }
        }
    }
}

fn check_size(positions: usize, pairs: usize, max: usize) -> Result<(), ConvertError> {
    // Both are 32-bit numbers, so this fits.
    let bytes = positions as u128 * pairs as u128 * 4;
    if bytes > max as u128 {
        return Err(ConvertError::damaged(format!(
            "gguf file has a context of {positions} positions, whose rope table would be {bytes} bytes; {max} are accepted"
        )));
    }
    Ok(())
}

/// Angular frequency per pair of values.
fn frequencies(gguf: &Gguf, config: &Config, factors: &str) -> Result<Vec<f32>, ConvertError> {
    let pairs = config.rotary / 2;
    let values = match gguf.tensor(factors) {
        None if factors == FACTORS => vec![1.0; pairs],
        None => Vec::new(),
        Some(tensor) => dequantise(tensor.tensor_type(), &gguf.tensor_data(tensor)),
    };
    if values.len() != pairs || values.iter().any(|f| !(f.is_finite() && *f > 0.0)) {
        return Err(ConvertError::damaged(format!(
            "gguf tensor `{factors}` must hold {pairs} positive factors"
        )));
    }
    let exponent = |pair: usize| 2.0 * pair as f64 / config.rotary as f64;
    let base = f64::from(config.rope_base);
    let frequency = |(pair, factor): (usize, &f32)| {
        let turned = base.powf(exponent(pair)) * f64::from(*factor);
        (1.0 / (turned * f64::from(config.rope_factor))) as f32
    };
    Ok(values.iter().enumerate().map(frequency).collect())
}

impl Table {
    pub(crate) fn dims(&self) -> [usize; 2] {
        [self.positions, self.frequencies.len()]
    }

    /// Rows of `wave(position * frequency)`, a piece of them at a time; the angle in f32, as
    /// models are trained.
    pub(crate) fn pieces(&self, wave: Wave) -> impl Iterator<Item = Vec<u8>> {
        let starts = (0..self.positions).step_by(PIECE);
        starts.map(move |start| self.rows(start..(start + PIECE).min(self.positions), wave))
    }

    fn rows(&self, positions: Range<usize>, wave: Wave) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(positions.len() * self.frequencies.len() * 4);
        for position in positions {
            for frequency in &self.frequencies {
                let angle = position as f32 * frequency;
                let value = wave(f64::from(angle)) * f64::from(self.magnitude);
                bytes.extend_from_slice(&(value as f32).to_le_bytes());
            }
        }
        bytes
    }
}
