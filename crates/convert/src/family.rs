//! What the GGUF architectures that are converted have in common, and where they differ.

use crate::error::ConvertError;
use crate::gguf::Gguf;

/// One architecture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// `general.architecture`, which is also the prefix of its keys.
    pub(crate) architecture: &'static str,
    /// `model.type` in `genai_config.json`.
    pub(crate) genai_type: &'static str,
    /// Whether the rows of q and k were reordered for rotary embeddings of neighbouring pairs.
    pub(crate) interleaved: bool,
    /// Whether q and k are normalised head by head.
    pub(crate) qk_norm: bool,
    /// Whether q, k and v are one tensor, and gate and up another.
    pub(crate) fused: bool,
}

const ALL: &[Family] = &[
    Family {
        architecture: "llama",
        genai_type: "llama",
        interleaved: true,
        qk_norm: false,
        fused: false,
    },
    Family {
        architecture: "qwen2",
        genai_type: "qwen2",
        interleaved: false,
        qk_norm: false,
        fused: false,
    },
    Family {
        architecture: "qwen3",
        genai_type: "qwen3",
        interleaved: false,
        qk_norm: true,
        fused: false,
    },
    Family {
        architecture: "phi3",
        genai_type: "phi3",
        interleaved: false,
        qk_norm: false,
        fused: true,
    },
];

/// A longer table of cosines is more likely a damaged file than a model.
const MAX_CONTEXT: usize = 1 << 21;
const MAX_LAYERS: usize = 1024;

/// A model's measurements, read from the metadata and held against the tensors.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) family: Family,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) feed_forward: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_size: usize,
    pub(crate) vocab: usize,
    pub(crate) context: usize,
    pub(crate) epsilon: f32,
    pub(crate) rope_base: f32,
    /// What positions are divided by (linear scaling); 1 otherwise.
    pub(crate) rope_factor: f32,
    /// How many values of a head are rotated.
    pub(crate) rotary: usize,
    /// How far back attention looks, where that is less than the context.
    pub(crate) window: Option<usize>,
    /// LongRoPE: the context the model was first trained for.
    pub(crate) original_context: usize,
    /// LongRoPE: what the tables are multiplied by.
    pub(crate) magnitude: f32,
}

impl Config {
    pub(crate) fn read(gguf: &Gguf) -> Result<Config, ConvertError> {
        let keys = Keys::of(gguf)?;
        let hidden = keys.size("embedding_length", None)?;
        let heads = keys.size("attention.head_count", None)?;
        if heads == 0 || hidden == 0 {
            return Err(ConvertError::damaged(
                "gguf file describes a model without heads",
            ));
        }
        let head_size = keys.size("attention.key_length", Some(hidden / heads))?;
        let context = keys.size("context_length", None)?;
        let original_context = keys.size("rope.scaling.original_context_length", Some(context))?;
        let window = keys.size("attention.sliding_window", Some(0))?;
        let config = Config {
            family: keys.family,
            layers: keys.size("block_count", None)?,
            original_context,
            magnitude: keys.float(
                "rope.scaling.attn_factor",
                Some(long_rope_magnitude(context, original_context)),
            )?,
            // Only these files are known to mean it; others repeat a setting that is off.
            window: Some(window).filter(|&w| keys.family.fused && (1..context).contains(&w)),
            rotary: keys.size("rope.dimension_count", Some(head_size))?,
            hidden,
            feed_forward: keys.size("feed_forward_length", None)?,
            heads,
            kv_heads: keys.size("attention.head_count_kv", Some(heads))?,
            head_size,
            vocab: vocabulary_rows(gguf)?,
            context,
            epsilon: keys.float("attention.layer_norm_rms_epsilon", None)?,
            rope_base: keys.float("rope.freq_base", Some(10_000.0))?,
            rope_factor: rope_factor(&keys)?,
        };
        config.check(&keys)?;
        Ok(config)
    }

    /// Refuses what the graph could not express, rather than dropping it.
    fn check(&self, keys: &Keys<'_>) -> Result<(), ConvertError> {
        let sizes = [
            ("context_length", self.context, MAX_CONTEXT),
            ("block_count", self.layers, MAX_LAYERS),
            (
                "attention.key_length",
                self.head_size,
                self.hidden.max(1024),
            ),
            ("attention.head_count_kv", self.kv_heads, self.heads),
            ("rope.dimension_count", self.rotary, self.head_size),
            (
                "rope.scaling.original_context_length",
                self.original_context,
                MAX_CONTEXT,
            ),
        ];
        for (name, value, max) in sizes {
            if value == 0 || value > max {
                return Err(ConvertError::damaged(format!(
                    "gguf key `{}` is {value}; 1 to {max} are accepted",
                    keys.key(name)
                )));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads)
            || !self.head_size.is_multiple_of(2)
            || !self.rotary.is_multiple_of(2)
        {
            return Err(ConvertError::damaged(format!(
                "gguf file has {} heads of {} values ({} rotated) and {} key heads, which do not fit together",
                self.heads, self.head_size, self.rotary, self.kv_heads
            )));
        }
        let value_size = keys.size("attention.value_length", Some(self.head_size))?;
        if value_size != self.head_size
            || (self.family.interleaved && self.rotary != self.head_size)
        {
            return Err(ConvertError::unsupported(format!(
                "gguf file has heads of {} values, {value_size} in v and {} rotated: only models where these are equal are converted",
                self.head_size, self.rotary
            )));
        }
        if keys.size("expert_count", Some(0))? != 0 {
            return Err(ConvertError::unsupported(
                "gguf file is a mixture of experts, which is not converted",
            ));
        }
        let positive = [self.rope_base, self.rope_factor, self.magnitude];
        let usable = |v: f32| v.is_finite() && v > 0.0;
        if !(positive.into_iter().all(usable) && self.epsilon.is_finite() && self.epsilon >= 0.0) {
            return Err(ConvertError::damaged(format!(
                "gguf file has epsilon {}, rope base {}, factor {} and magnitude {}, which make no model",
                self.epsilon, self.rope_base, self.rope_factor, self.magnitude
            )));
        }
        Ok(())
    }
}

/// Reads keys under the architecture's prefix.
struct Keys<'a> {
    gguf: &'a Gguf,
    family: Family,
}

impl<'a> Keys<'a> {
    fn of(gguf: &'a Gguf) -> Result<Keys<'a>, ConvertError> {
        let known: Vec<&str> = ALL.iter().map(|family| family.architecture).collect();
        let name = gguf.string("general.architecture")?.ok_or_else(|| {
            ConvertError::damaged("gguf key `general.architecture` is missing: this is not a model")
        })?;
        match ALL.iter().find(|family| family.architecture == name) {
            Some(&family) => Ok(Keys { gguf, family }),
            None => Err(ConvertError::unsupported(format!(
                "gguf architecture `{name}` is not converted; known are {}",
                known.join(", ")
            ))),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family.architecture)
    }

    fn missing(&self, name: &str) -> ConvertError {
        ConvertError::damaged(format!(
            "gguf key `{}` is missing: the file is no complete model",
            self.key(name)
        ))
    }

    fn size(&self, name: &str, default: Option<usize>) -> Result<usize, ConvertError> {
        let key = self.key(name);
        let value = match self.gguf.get(&key).and_then(|value| value.as_array()) {
            // Some writers give one number per layer; only equal ones make one graph pattern.
            Some(array) => Some(uniform(array.numbers().into_iter().flatten(), &key)?),
            None => self.gguf.uint(&key)?,
        };
        match value {
            Some(value) => usize::try_from(value)
                .ok()
                .filter(|&v| v <= u32::MAX as usize)
                .ok_or_else(|| {
                    ConvertError::damaged(format!("gguf key `{key}` is {value}, an absurd size"))
                }),
            None => default.ok_or_else(|| self.missing(name)),
        }
    }

    fn float(&self, name: &str, default: Option<f32>) -> Result<f32, ConvertError> {
        let value = self.gguf.float(&self.key(name))?.map(|value| value as f32);
        value.or(default).ok_or_else(|| self.missing(name))
    }
}

fn uniform(mut numbers: impl Iterator<Item = f64>, key: &str) -> Result<u64, ConvertError> {
    let first = numbers.next().unwrap_or(-1.0);
    if first < 0.0 || numbers.any(|number| number != first) {
        return Err(ConvertError::unsupported(format!(
            "gguf key `{key}` differs from layer to layer, which is not converted"
        )));
    }
    Ok(first as u64)
}

fn rope_factor(keys: &Keys<'_>) -> Result<f32, ConvertError> {
    let key = keys.key("rope.scaling.type");
    let factor = keys.float("rope.scaling.factor", Some(1.0))?;
    match keys.gguf.string(&key)? {
        None | Some("none") => keys.float("rope.scale_linear", Some(1.0)),
        Some("linear") => Ok(factor),
        Some(_) if factor == 1.0 => Ok(1.0),
        Some(other) => Err(ConvertError::unsupported(format!(
            "gguf key `{key}` is `{other}`, which is not converted: only linear scaling and frequency factors are"
        ))),
    }
}

/// LongRoPE's own rule, for files that do not say.
fn long_rope_magnitude(context: usize, original: usize) -> f32 {
    if context <= original || original < 2 {
        return 1.0;
    }
    let (context, original) = (context as f64, original as f64);
    (1.0 + (context / original).ln() / original.ln()).sqrt() as f32
}

/// The embedding's rows are the vocabulary's true size; metadata may leave it out.
fn vocabulary_rows(gguf: &Gguf) -> Result<usize, ConvertError> {
    match gguf.tensor("token_embd.weight").map(|t| t.dims()) {
        Some(&[_, rows]) => Ok(rows),
        _ => Err(ConvertError::damaged(
            "gguf tensor `token_embd.weight` is missing or no matrix: the file is no complete model",
        )),
    }
}
