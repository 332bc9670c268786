//! The whole chain against what Hugging Face transformers and llama.cpp make of the same logits and options.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{Numbered, congruential, sampling};
use crate::sampling::{DryOptions, Sampler, SearchOptions};

#[derive(Deserialize)]
struct Recorded {
    logits: HashMap<String, Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    logits: String,
    options: RecordedOptions,
    prompt: Vec<u32>,
    answer: Vec<u32>,
    stop_tokens: Vec<u32>,
    kept: usize,
    ids: Vec<u32>,
    probabilities: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedOptions {
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    typical_p: Option<f32>,
    repetition_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    dry: Option<RecordedDry>,
    no_repeat_ngram_size: Option<usize>,
    #[serde(default)]
    logit_bias: BTreeMap<u32, f32>,
    min_length: Option<usize>,
    min_new_tokens: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedDry {
    multiplier: f32,
    base: f32,
    allowed_length: usize,
    penalty_last_n: Option<usize>,
    #[serde(default)]
    breaker_tokens: Vec<u32>,
}

impl RecordedOptions {
    fn to_search(&self) -> SearchOptions {
        let off = sampling(|_| {});
        SearchOptions {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k.unwrap_or(0),
            top_p: self.top_p.unwrap_or(1.0),
            min_p: self.min_p.unwrap_or(0.0),
            typical_p: self.typical_p.unwrap_or(1.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            dry: self
                .dry
                .as_ref()
                .map_or_else(DryOptions::default, RecordedDry::to_options),
            no_repeat_ngram_size: self.no_repeat_ngram_size.unwrap_or(0),
            logit_bias: self.logit_bias.clone(),
            min_length: self.min_length.unwrap_or(0),
            min_new_tokens: self.min_new_tokens.unwrap_or(0),
            ..off
        }
    }
}

impl RecordedDry {
    fn to_options(&self) -> DryOptions {
        DryOptions {
            multiplier: self.multiplier,
            base: self.base,
            allowed_length: self.allowed_length,
            penalty_last_n: self.penalty_last_n,
            sequence_breakers: self
                .breaker_tokens
                .iter()
                .map(|id| format!("<{id}>"))
                .collect(),
        }
    }
}

fn check_case(case: &Case, mut logits: Vec<f32>) {
    let options = case.options.to_search();
    let mut sampler = Sampler::new(
        &options,
        logits.len(),
        &case.prompt,
        &case.stop_tokens,
        None,
        &Numbered,
    )
    .unwrap();
    case.answer
        .iter()
        .for_each(|&id| sampler.accept(id, &Numbered));
    let mut found = sampler.distribution(&mut logits).unwrap();
    // What filters drop has no probability at all; below this, the recording's arithmetic says nothing.
    found.retain(|&(_, probability)| probability > 1e-12);
    let context = format!("{} {:?}", case.logits, case.options);
    assert_eq!(found.len(), case.kept, "{context}: tokens left");
    let found: HashMap<u32, f64> = found.into_iter().collect();
    for (id, &expected) in case.ids.iter().zip(&case.probabilities) {
        let found = found.get(id).copied().unwrap_or(0.0);
        assert!(
            (found - expected).abs() <= 2e-5 * expected,
            "{context}: token {id} has {found}, not {expected}"
        );
    }
}

#[test]
fn distributions_are_those_that_other_software_makes() {
    let file = include_str!("../../../tests/data/sampling.json");
    let mut recorded: Recorded = serde_json::from_str(file).unwrap();
    recorded
        .logits
        .insert("large".to_owned(), congruential(5000));
    assert!(recorded.cases.len() > 100);
    for case in &recorded.cases {
        check_case(case, recorded.logits[&case.logits].clone());
    }
}
