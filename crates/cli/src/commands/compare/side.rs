//! One backend's run: what it said at every position, and how long that took.

use std::time::{Duration, Instant};

use inhouse_engine::{Backend, Cancel, EngineError, Want};
use inhouse_kernels::Kernels;
use serde::Serialize;

use super::prompts::{Prompt, Prompts};
use crate::commands::computed::Computed;

/// One backend in figures.
#[derive(Serialize)]
pub(super) struct Side {
    #[serde(flatten)]
    pub(super) computed: Computed,
    pub(super) load_s: f64,
    pub(super) prefill_tok_s: f64,
    /// `None` where one token behind each prompt leaves nothing to decode.
    pub(super) decode_tok_s: Option<f64>,
    /// Beyond what the program had before, where the system tells.
    pub(super) memory_bytes: Option<u64>,
}

/// What followed a prompt.
pub(super) struct Course {
    /// A row of logits before each token.
    pub(super) rows: Vec<Vec<f32>>,
    /// The tokens that the backend would take there.
    pub(super) best: Vec<u32>,
}

/// Time that was taken for so many tokens.
#[derive(Default)]
struct Spent {
    tokens: usize,
    time: Duration,
}

impl Spent {
    fn during<T>(&mut self, tokens: usize, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.time += started.elapsed();
        self.tokens += tokens;
        result
    }

    fn rate(&self) -> Option<f64> {
        let seconds = self.time.as_secs_f64();
        (self.tokens > 0 && seconds > 0.0).then(|| self.tokens as f64 / seconds)
    }
}

/// Runs all prompts, and behind each the best tokens of the reference, or of this backend where there is none.
pub(super) fn run(
    model: &dyn Backend,
    prompts: &Prompts,
    reference: Option<&[Course]>,
    cancel: &Cancel,
) -> Result<(Side, Vec<Course>), EngineError> {
    // What is made at the first run is no part of the speed.
    model.session()?.extend(&[0], Want::Last, cancel)?;
    let (mut prefill, mut decode) = (Spent::default(), Spent::default());
    let mut courses = Vec::new();
    for (index, prompt) in prompts.all.iter().enumerate() {
        let forced = reference.and_then(|courses| courses.get(index));
        let forced = forced.map(|course| course.best.as_slice());
        let spent = (&mut prefill, &mut decode);
        courses.push(course(model, prompt, prompts.new, forced, spent, cancel)?);
    }
    let side = Side {
        computed: Computed::of(model),
        load_s: f64::NAN,
        prefill_tok_s: prefill.rate().unwrap_or(f64::NAN),
        decode_tok_s: decode.rate(),
        memory_bytes: None,
    };
    Ok((side, courses))
}

fn course(
    model: &dyn Backend,
    prompt: &Prompt,
    new: usize,
    forced: Option<&[u32]>,
    (prefill, decode): (&mut Spent, &mut Spent),
    cancel: &Cancel,
) -> Result<Course, EngineError> {
    let kernels = Kernels::best();
    let mut session = model.session()?;
    let ids = prompt.ids.as_slice();
    let first = prefill.during(ids.len(), || session.extend(ids, Want::Last, cancel))?;
    let mut course = Course {
        best: vec![kernels.argmax(&first.data) as u32],
        rows: vec![first.data],
    };
    for step in 0..new.saturating_sub(1) {
        let next = match forced {
            Some(forced) => forced.get(step),
            None => course.best.get(step),
        };
        let Some(&next) = next else { break };
        let row = decode.during(1, || session.extend(&[next], Want::Last, cancel))?;
        course.best.push(kernels.argmax(&row.data) as u32);
        course.rows.push(row.data);
    }
    Ok(course)
}
