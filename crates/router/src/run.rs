//! The one loop: who is asked next, after what, and when it is given up.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use inhouse_chat::ProviderError;
use inhouse_ledger::Refusal;
use tokio::time::{Instant, sleep};

use crate::attempt::{self, Begun};
use crate::books::{Attempt, Job};
use crate::candidate::{Candidate, PassedOver};
use crate::plan::{Plan, Why};
use crate::provider::Call;
use crate::router::Inner;
use crate::{NotAsked, RouteError, adapt};

/// A request under way. Attempts of it can run at once, so what they leave behind is behind locks.
pub(crate) struct Run<'a> {
    inner: &'a Inner,
    plan: &'a Plan,
    job: &'a Arc<Job>,
    failures: Mutex<Vec<ProviderError>>,
    not_asked: Mutex<Vec<NotAsked>>,
    refusal: Mutex<Option<Refusal>>,
}

/// Why an attempt gave no answer.
enum Stopped {
    /// It was made, and failed.
    Failed(ProviderError),
    /// It was not made: nothing was sent.
    NotMade,
}

impl Stopped {
    /// Whether everybody else would fail as well.
    fn is_final(&self) -> bool {
        matches!(self, Self::Failed(error) if !error.kind.worth_falling_back())
    }
}

/// What is done after a failure.
#[derive(Debug, PartialEq)]
enum Next {
    /// The same again, after a pause.
    Again(Duration),
    /// Somebody else.
    Other,
    /// Nobody: it would fail everywhere.
    Nobody,
}

impl<'a> Run<'a> {
    pub(crate) fn new(inner: &'a Inner, plan: &'a Plan, job: &'a Arc<Job>) -> Self {
        Self {
            inner,
            plan,
            job,
            failures: Mutex::default(),
            not_asked: Mutex::default(),
            refusal: Mutex::default(),
        }
    }

    /// Asks one after the other until an answer has begun.
    pub(crate) async fn go(&self) -> Result<(Begun, Attempt), RouteError> {
        self.inner.retry_budget.deposit();
        let mut queue: VecDeque<_> = self.plan.candidates.iter().collect();
        while let Some(candidate) = queue.pop_front() {
            match self.ask(candidate, &mut queue).await {
                Ok(answer) => return Ok(answer),
                Err(Next::Nobody) => break,
                Err(_) => {}
            }
        }
        Err(self.give_up())
    }

    /// Asks one, again and again as its errors and the budget of retries allow.
    async fn ask(
        &self,
        candidate: &Candidate,
        queue: &mut VecDeque<&Candidate>,
    ) -> Result<(Begun, Attempt), Next> {
        let mut n_failed = 0;
        loop {
            let hedge = if n_failed == 0 {
                self.hedge_for(candidate, queue)
            } else {
                None
            };
            let error = match self.race(candidate, hedge, queue.is_empty()).await {
                Ok(answer) => return Ok(answer),
                Err(Stopped::NotMade) => return Err(Next::Other),
                Err(Stopped::Failed(error)) => error,
            };
            n_failed += 1;
            let next = self.after(&error, candidate, n_failed);
            crate::lock(&self.failures).push(error);
            match next {
                Next::Again(pause) => sleep(pause).await,
                Next::Other | Next::Nobody => return Err(next),
            }
        }
    }

    /// What to do after `error`, the `n_failed`th of this candidate.
    fn after(&self, error: &ProviderError, candidate: &Candidate, n_failed: u32) -> Next {
        if !error.kind.worth_falling_back() {
            return Next::Nobody;
        }
        if self.job.n_attempts() >= self.inner.config.retries.max_attempts {
            return Next::Nobody;
        }
        let member = &candidate.member;
        // The next key may do better at once, and every key gets its turn.
        if error.kind.worth_another_key() && (n_failed as usize) < member.provider.n_keys() {
            return Next::Again(Duration::ZERO);
        }
        let pause = member.retry.pause(n_failed, error, &self.inner.random);
        match pause {
            Some(pause) if self.inner.retry_budget.withdraw(Instant::now()) => Next::Again(pause),
            _ => Next::Other,
        }
    }

    /// Who is asked as well if this one does not begin soon: the next of the same zone, taken out of the queue.
    fn hedge_for<'c>(
        &self,
        candidate: &Candidate,
        queue: &mut VecDeque<&'c Candidate>,
    ) -> Option<(Duration, &'c Candidate)> {
        let after = self.inner.config.routing.performance.hedge_after?;
        let other = queue
            .iter()
            .position(|other| other.zone == candidate.zone)?;
        let other = queue.remove(other)?;
        Some((Duration::from_millis(after), other))
    }

    /// The first of the two to begin answers; the other is dropped, which stops it.
    async fn race(
        &self,
        candidate: &Candidate,
        hedge: Option<(Duration, &Candidate)>,
        last: bool,
    ) -> Result<(Begun, Attempt), Stopped> {
        let mut first = pin!(self.attempt(candidate, last));
        let Some((after, other)) = hedge else {
            return first.await;
        };
        tokio::select! {
            done = &mut first => match done {
                Ok(answer) => return Ok(answer),
                Err(stopped) if stopped.is_final() => return Err(stopped),
                Err(stopped) => {
                    self.note(stopped);
                    return self.attempt(other, last).await;
                }
            },
            () = sleep(after) => {}
        }
        let mut second = pin!(self.attempt(other, last));
        let one = tokio::select! {
            one = &mut first => one.map_err(|stopped| (stopped, true)),
            one = &mut second => one.map_err(|stopped| (stopped, false)),
        };
        match one {
            Ok(answer) => Ok(answer),
            Err((stopped, _)) if stopped.is_final() => Err(stopped),
            Err((stopped, was_first)) => {
                self.note(stopped);
                if was_first { second.await } else { first.await }
            }
        }
    }

    fn note(&self, stopped: Stopped) {
        if let Stopped::Failed(error) = stopped {
            crate::lock(&self.failures).push(error);
        }
    }

    /// One attempt, with everything that must be allowed before it and booked after it.
    async fn attempt(
        &self,
        candidate: &Candidate,
        last: bool,
    ) -> Result<(Begun, Attempt), Stopped> {
        let member = &candidate.member;
        let cleared = self.plan.guarded.clear(candidate.zone).map_err(|beyond| {
            self.pass_over(candidate, PassedOver::Beyond(beyond.zone, beyond.ceiling))
        })?;
        // Before the circuit: whoever waits must not keep the probe from others.
        self.wait_for_rate(candidate, last).await?;
        let give_back = || {
            member
                .limiter
                .settle(self.plan.rate_tokens(), 0, Instant::now())
        };
        let pass = self
            .inner
            .breakers
            .admit(member.name(), &candidate.model, Instant::now());
        let pass = pass.map_err(|_| {
            give_back();
            self.pass_over(candidate, PassedOver::CircuitOpen)
        })?;
        let mut attempt = Attempt::open(self.job, candidate, pass).map_err(|refusal| {
            give_back();
            let why = PassedOver::Budget(refusal.to_string());
            *crate::lock(&self.refusal) = Some(refusal);
            self.pass_over(candidate, why)
        })?;
        let strategy = self.inner.config.tool_calling.fallback_strategy;
        let call = Call {
            cleared: adapt::to_candidate(cleared, candidate, strategy),
            model: candidate.model.clone(),
            meter: attempt.meter(),
            caller: self.job.caller_key(),
        };
        let deadline = self.inner.timeout.map(|timeout| self.job.started + timeout);
        match attempt::begin(member, call, self.plan.streamed, deadline).await {
            Ok(begun) => {
                attempt.has_begun();
                Ok((begun, attempt))
            }
            Err(error) => {
                attempt.failed(error.kind);
                Err(Stopped::Failed(error))
            }
        }
    }

    /// Keeps to the provider's configured rate: somebody else is asked at once, and the last in line waits.
    async fn wait_for_rate(&self, candidate: &Candidate, last: bool) -> Result<(), Stopped> {
        let tokens = self.plan.rate_tokens();
        let member = &candidate.member;
        while let Err(wait) = member.limiter.take(tokens, Instant::now()) {
            if !last || wait > member.retry.max_delay {
                return Err(self.pass_over(candidate, PassedOver::RateLimited(wait)));
            }
            sleep(wait).await;
        }
        Ok(())
    }

    fn pass_over(&self, candidate: &Candidate, why: PassedOver) -> Stopped {
        crate::lock(&self.not_asked).push(NotAsked {
            provider: candidate.member.name().clone(),
            model: Some(candidate.model.clone()),
            why,
        });
        Stopped::NotMade
    }

    /// What to tell the caller: failures where somebody was asked, else why nobody was.
    fn give_up(&self) -> RouteError {
        let attempts = std::mem::take(&mut *crate::lock(&self.failures));
        if !attempts.is_empty() {
            return RouteError::Failed { attempts };
        }
        match crate::lock(&self.refusal).take() {
            Some(Refusal::Exceeded(exceeded)) => return RouteError::Budget(exceeded),
            Some(Refusal::Ledger(error)) => return RouteError::Ledger(error),
            Some(Refusal::Unpriced { .. }) | None => {}
        }
        nobody(
            self.plan,
            std::mem::take(&mut *crate::lock(&self.not_asked)),
        )
    }
}

/// Why nobody can answer.
pub(crate) fn nobody(plan: &Plan, more: Vec<NotAsked>) -> RouteError {
    let planned = plan.skipped.iter().cloned().map(NotAsked::from);
    let mut skipped: Vec<_> = planned.chain(more).collect();
    if plan.why == Why::Named && skipped.len() == 1 {
        let NotAsked { provider, why, .. } = skipped.remove(0);
        return RouteError::Named { provider, why };
    }
    RouteError::Nobody {
        ceiling: plan.guarded.ceiling().to_string(),
        skipped,
    }
}
