//! How the next token is chosen and when an answer ends. What is not given is the model folder's own default.

use clap::Args;

/// The flags; each beats what `genai_config.json` says.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Sampling [default: what the model folder says]")]
pub(crate) struct SamplingFlags {
    /// Most tokens of an answer [default: until the model ends or its context is full]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_tokens: Option<u32>,
    /// How freely tokens are drawn; 0 always takes the likeliest
    #[arg(long, value_name = "T", value_parser = from_zero, allow_negative_numbers = true)]
    pub(super) temperature: Option<f32>,
    /// Draw from the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", value_parser = probability, allow_negative_numbers = true)]
    pub(super) top_p: Option<f32>,
    /// Draw from this many likeliest tokens; 0 means all
    #[arg(long, value_name = "K")]
    pub(super) top_k: Option<u32>,
    /// Draw from tokens at least this likely in relation to the likeliest
    #[arg(long, value_name = "P", value_parser = probability, allow_negative_numbers = true)]
    pub(super) min_p: Option<f32>,
    /// Above 1: make tokens that came before less likely
    #[arg(long, value_name = "R", value_parser = above_zero, allow_negative_numbers = true)]
    pub(super) repetition_penalty: Option<f32>,
    /// The same seed, prompt and settings give the same answer
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) stop: Vec<String>,
}

fn number(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|value: &f32| value.is_finite())
        .ok_or_else(|| "not a number".into())
}

fn from_zero(text: &str) -> Result<f32, String> {
    number(text).and_then(|value| {
        if value >= 0.0 {
            Ok(value)
        } else {
            Err("must be 0 or more".into())
        }
    })
}

fn above_zero(text: &str) -> Result<f32, String> {
    number(text).and_then(|value| {
        if value > 0.0 {
            Ok(value)
        } else {
            Err("must be more than 0".into())
        }
    })
}

fn probability(text: &str) -> Result<f32, String> {
    let inside = |value: &f32| (0.0..=1.0).contains(value);
    number(text).and_then(|value| {
        Some(value)
            .filter(inside)
            .ok_or_else(|| "must be from 0 to 1".into())
    })
}
