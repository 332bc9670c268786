//! Choosing a token from Phi-4-mini's 200,064 logits, with each setting alone and with common ones together.
//!
//! `cargo bench -p inhouse-engine --bench sampling`. A token of that model takes about 75 ms, so 0.3 ms is well under
//! one hundredth of it.
#![allow(missing_docs, reason = "the macro makes public items")]

use divan::Bencher;
use inhouse_engine::sampling::{Sampler, SearchOptions, Vocabulary};

const VOCAB: usize = 200_064;
/// Tokens of the conversation so far.
const HISTORY: u32 = 4000;

fn main() {
    divan::main();
}

/// Two kinds of logits: as a model gives them, with few tokens that matter, and as flat as they come.
#[derive(Clone, Copy)]
enum Shape {
    Peaked,
    Flat,
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Shape::Peaked => "peaked",
            Shape::Flat => "flat",
        })
    }
}

const SHAPES: [Shape; 2] = [Shape::Peaked, Shape::Flat];

fn logits(shape: Shape) -> Vec<f32> {
    let mut state = 7_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    // Sums of twelve uniform numbers are near enough to a normal distribution.
    let width = match shape {
        Shape::Peaked => 2.5,
        Shape::Flat => 0.01,
    };
    (0..VOCAB)
        .map(|_| width * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0))
        .collect()
}

struct NoText;

impl Vocabulary for NoText {
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        Some(format!("token {id}").into_bytes())
    }
}

fn run(
    bencher: Bencher<'_, '_>,
    shape: Shape,
    logprobs: Option<usize>,
    change: impl Fn(&mut SearchOptions),
) {
    let mut options = SearchOptions {
        top_k: 0,
        seed: Some(1),
        ..SearchOptions::default()
    };
    options.set_temperature(0.7);
    change(&mut options);
    let history: Vec<u32> = (0..HISTORY).map(|i| i * 7919 % 30_011 % 2000).collect();
    let mut sampler = Sampler::new(&options, VOCAB, &history, &[199_999], logprobs, &NoText)
        .expect("the options are in range");
    let row = logits(shape);
    bencher
        .with_inputs(|| row.clone())
        .bench_local_refs(|logits| sampler.sample(logits).expect("the logits are finite").id);
}

#[divan::bench(args = SHAPES)]
fn greedy(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| o.set_temperature(0.0));
}

#[divan::bench(args = SHAPES)]
fn temperature(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |_| ());
}

#[divan::bench(args = SHAPES)]
fn top_k(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| o.top_k = 50);
}

#[divan::bench(args = SHAPES)]
fn top_p(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| o.top_p = 0.9);
}

#[divan::bench(args = SHAPES)]
fn min_p(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| o.min_p = 0.05);
}

#[divan::bench(args = SHAPES)]
fn typical_p(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| o.typical_p = 0.9);
}

#[divan::bench(args = SHAPES)]
fn penalties(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| {
        o.set_temperature(0.0);
        (
            o.repetition_penalty,
            o.presence_penalty,
            o.frequency_penalty,
        ) = (1.1, 0.5, 0.5);
    });
}

#[divan::bench(args = SHAPES)]
fn dry(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| {
        o.set_temperature(0.0);
        o.dry.multiplier = 0.8;
    });
}

#[divan::bench(args = SHAPES)]
fn no_repeated_ngrams(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| {
        o.set_temperature(0.0);
        o.no_repeat_ngram_size = 4;
    });
}

#[divan::bench(args = SHAPES)]
fn logprobs(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, Some(20), |o| o.set_temperature(0.0));
}

#[divan::bench(args = SHAPES)]
fn common_settings(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| {
        (o.top_k, o.top_p, o.min_p, o.repetition_penalty) = (50, 0.9, 0.05, 1.1);
    });
}

#[divan::bench(args = SHAPES)]
fn common_settings_without_top_k(bencher: Bencher<'_, '_>, shape: Shape) {
    run(bencher, shape, None, |o| {
        (o.top_p, o.min_p, o.repetition_penalty) = (0.9, 0.05, 1.1);
    });
}
