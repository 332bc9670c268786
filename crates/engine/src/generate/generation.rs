//! A generation on a session.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::decoding::{Decoding, Step};
use super::event::{Event, Finish, FinishReason, Timings, Usage};
use super::options::GenerateOptions;
use super::words::Detokenize;
use crate::cancel::Cancel;
use crate::error::{EngineError, ErrorKind};
use crate::session::{Session, Want};

/// An answer in the making: an iterator that runs the model as far as the next event needs.
///
/// It ends after [`Event::Done`] or an error. Dropping it is fine at any time; the session keeps what was fed.
pub struct Generation<'a> {
    session: &'a mut dyn Session,
    decoding: Decoding,
    clock: Box<dyn Clock + Send>,
    cancel: Cancel,
    /// The callback has had enough.
    abandoned: bool,
    events: VecDeque<Event>,
    state: State,
    usage: Usage,
    timings: Timings,
}

/// What the next turn of the loop does.
#[derive(Clone, Copy, Debug)]
enum State {
    Prefill,
    Feed(u32),
    Over,
}

impl<'a> Generation<'a> {
    /// Prepares an answer to `prompt`. The session holds nothing or a beginning of the prompt, which is not run
    /// again.
    ///
    /// # Errors
    /// Options out of range, an empty prompt, a session that holds the whole prompt or more, or more tokens than the
    /// context holds; nothing has run then.
    pub fn new(
        session: &'a mut dyn Session,
        prompt: &[u32],
        options: &GenerateOptions,
        text: Box<dyn Detokenize + Send>,
    ) -> Result<Self, EngineError> {
        let decoding = Decoding::new(
            prompt,
            session.vocab_size(),
            session.context_length(),
            options,
            text,
        )?;
        let cached_tokens = session.len();
        if cached_tokens >= prompt.len() {
            return Err(EngineError::options(format!(
                "the session holds {cached_tokens} tokens and the prompt has {}; at least its last one must be left \
                 to run",
                prompt.len()
            )));
        }
        Ok(Self {
            session,
            decoding,
            clock: Box::new(SystemClock::default()),
            cancel: Cancel::new(),
            abandoned: false,
            events: VecDeque::new(),
            state: State::Prefill,
            usage: Usage {
                prompt_tokens: prompt.len(),
                cached_tokens,
                completion_tokens: 0,
            },
            timings: Timings::default(),
        })
    }

    /// Stops, within one token, once `cancel` is set.
    pub fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Takes the time from `clock`.
    pub fn with_clock(mut self, clock: impl Clock + Send + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Prompt and answer so far; of these the session holds a beginning, [`Session::len`] tokens long.
    pub fn tokens(&self) -> &[u32] {
        self.decoding.tokens()
    }

    /// Runs to the end and hands every event but the last to `on_event`, which breaks to cancel.
    ///
    /// # Errors
    /// What the model or the sampler fails with.
    pub fn run(
        &mut self,
        mut on_event: impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Finish, EngineError> {
        while let Some(event) = self.next() {
            match event? {
                Event::Done(finish) => return Ok(finish),
                event => self.abandoned = self.abandoned || on_event(event).is_break(),
            }
        }
        Err(EngineError::options(
            "the generation has already ended; start another",
        ))
    }

    /// One turn: run the model, choose a token, tell about it.
    fn advance(&mut self) -> Result<(), EngineError> {
        let started = self.clock.now();
        let step = if self.decoding.is_done_at_once() {
            Step::Done(FinishReason::Length)
        } else if self.abandoned || self.cancel.is_cancelled() {
            self.cancelled()
        } else {
            match self.forward_and_choose(started) {
                Err(error) if error.kind() == ErrorKind::Cancelled => self.cancelled(),
                step => step?,
            }
        };
        self.account(started);
        match step {
            Step::Feed(id) => self.state = State::Feed(id),
            Step::Done(reason) => self.finish(reason),
        }
        Ok(())
    }

    fn forward_and_choose(&mut self, started: Duration) -> Result<Step, EngineError> {
        let cached = self.usage.cached_tokens;
        let mut logits = match self.state {
            State::Feed(id) => self.session.extend(&[id], Want::Last, &self.cancel)?,
            _ => {
                let ids = self.decoding.tokens().get(cached..).unwrap_or_default();
                let logits = self.session.extend(ids, Want::Last, &self.cancel)?;
                self.timings.prefill_tokens = ids.len();
                self.timings.prefill = self.clock.now().saturating_sub(started);
                logits
            }
        };
        // A flag set while the model ran: the token that would follow is not wanted any more.
        if self.cancel.is_cancelled() {
            return Ok(self.cancelled());
        }
        self.decoding.step(logits.last_row_mut(), &mut self.events)
    }

    fn cancelled(&mut self) -> Step {
        self.decoding.flush(&mut self.events);
        Step::Done(FinishReason::Cancelled)
    }

    /// Books the time and tokens of a turn that began at `started`.
    fn account(&mut self, started: Duration) {
        let spent = self.clock.now().saturating_sub(started);
        self.usage.completion_tokens = self.decoding.generated().len();
        match self.state {
            State::Feed(_) => self.timings.decode += spent,
            _ if self.usage.completion_tokens > 0 => self.timings.time_to_first_token = spent,
            _ => {}
        }
        self.timings.decode_tokens = self.usage.completion_tokens.saturating_sub(1);
    }

    fn finish(&mut self, reason: FinishReason) {
        self.state = State::Over;
        let (usage, timings, seed) = (self.usage, self.timings, self.decoding.seed());
        self.events.push_back(Event::Done(Finish {
            reason,
            usage,
            timings,
            seed,
        }));
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<Event, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if matches!(self.state, State::Over) {
                return None;
            }
            if let Err(error) = self.advance() {
                self.state = State::Over;
                return Some(Err(error));
            }
        }
    }
}

impl std::iter::FusedIterator for Generation<'_> {}
