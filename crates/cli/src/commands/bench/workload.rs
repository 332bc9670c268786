//! What is timed: prompts, decoding, several sequences together, and sampling.

use std::time::Instant;

use inhouse_engine::sampling::{SearchOptions, Vocabulary};
use inhouse_engine::{Backend, Cancel, EngineError, Logits, Want};
use inhouse_kernels::Kernels;

/// How long a prompt took, and the tokens after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) ttft_s: f64,
    pub(super) decode_s: f64,
}

/// Times one sequence from an empty cache, greedy; the first token counts to the prompt, as it comes out of it.
pub(super) fn one(
    model: &dyn Backend,
    prompt: &[u32],
    new: u32,
    cancel: &Cancel,
) -> Result<Run, EngineError> {
    let kernels = Kernels::best();
    let mut session = model.session()?;
    let start = Instant::now();
    let logits = session.extend(prompt, Want::Last, cancel)?;
    let mut id = kernels.argmax(logits.row(0)) as u32;
    let ttft_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for _ in 0..new {
        let logits = session.extend(&[id], Want::Last, cancel)?;
        id = kernels.argmax(logits.row(0)) as u32;
    }
    Ok(Run {
        ttft_s,
        decode_s: start.elapsed().as_secs_f64(),
    })
}

/// Seconds in which `prompts.len()` sequences, each behind its prompt, decode `new` tokens each, a forward for all.
pub(super) fn together(
    model: &dyn Backend,
    prompts: &[Vec<u32>],
    new: u32,
    cancel: &Cancel,
) -> Result<f64, EngineError> {
    let kernels = Kernels::best();
    let best = |logits: &Logits| -> Vec<u32> {
        (0..logits.rows)
            .map(|row| kernels.argmax(logits.row(row)) as u32)
            .collect()
    };
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let mut batch = model.batch()?;
    let mut next = best(&batch.prefill(&prompts, cancel)?);
    let start = Instant::now();
    for _ in 0..new {
        next = best(&batch.step(&next, cancel)?);
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The settings whose sampling is timed: every filter and penalty that is common.
pub(super) fn common_settings() -> SearchOptions {
    let mut options = SearchOptions {
        top_k: 50,
        top_p: 0.9,
        min_p: 0.05,
        repetition_penalty: 1.1,
        seed: Some(0),
        ..SearchOptions::default()
    };
    options.set_temperature(0.7);
    options
}

/// The median of the seconds in which one token is chosen from the logits behind `prompt`.
pub(super) fn sampling(
    model: &dyn Backend,
    prompt: &[u32],
    cancel: &Cancel,
) -> Result<f64, EngineError> {
    const TURNS: usize = 25;
    let logits = model.session()?.extend(prompt, Want::Last, cancel)?;
    let row = logits.row(0);
    let mut sampler = inhouse_engine::sampling::Sampler::new(
        &common_settings(),
        row.len(),
        prompt,
        &[],
        None,
        &NoText,
    )?;
    let mut times = Vec::new();
    let mut changed = Vec::new();
    for _ in 0..TURNS {
        changed.clear();
        changed.extend_from_slice(row);
        let start = Instant::now();
        let id = sampler.sample(&mut changed)?.id;
        sampler.accept(id, &NoText);
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TURNS / 2])
}

/// Tokens that stand for nothing: no setting here looks at their text.
struct NoText;

impl Vocabulary for NoText {
    fn token_bytes(&self, _: u32) -> Option<Vec<u8>> {
        None
    }
}
