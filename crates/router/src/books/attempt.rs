//! One attempt, from its reservation to its row in the ledger.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use inhouse_chat::{Delta, Event, Failure, Fault, ModelName, Money, Phase, Usage};
use inhouse_config::Metrics;
use inhouse_ledger::{Alert, Ask, Recipient, Refusal, Reservation};
use inhouse_policy::Zone;
use tokio::time::Instant;

use super::{Job, log_failure, warn_of};
use crate::breaker::Pass;
use crate::candidate::Candidate;
use crate::facts::estimated_tokens;
use crate::provider::Meter;

/// One attempt under way. It is booked when it is told how it ended, or dropped, which means that it was cancelled.
pub(crate) struct Attempt {
    job: Arc<Job>,
    candidate: Candidate,
    meter: Meter,
    reservation: Option<Reservation>,
    pass: Option<Pass>,
    started: Instant,
    first: Option<Instant>,
    answered: Option<ModelName>,
    usage: Usage,
    /// Tokens of what came, should the provider never say.
    seen_tokens: u64,
    pub(crate) end: Ended,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ended {
    /// It is under way; dropped so, it was cancelled.
    Not,
    /// With a whole answer.
    Well,
    /// With this failure.
    Badly(Failure),
}

/// What an attempt came to, for the metadata of the answer.
pub(crate) struct Bill {
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    pub(crate) tokens_per_second: Option<f64>,
    pub(crate) alerts: Vec<Alert>,
}

impl Attempt {
    /// Reserves what it may cost and books that it begins. Nothing may be sent without.
    pub(crate) fn open(job: &Arc<Job>, candidate: &Candidate, pass: Pass) -> Result<Self, Refusal> {
        let inner = &job.inner;
        let (provider, now) = (candidate.member.name(), Instant::now());
        let reservation = inner.ledger.reserve(&Ask {
            request: &job.id,
            key: job.about.key.as_deref(),
            agent: job.about.agent.as_deref(),
            provider: provider.as_str(),
            model: candidate.model.as_str(),
            most: candidate.worst,
            at: inner.clock.now(),
            sent: true,
        })?;
        inner.speeds.started(provider, &candidate.model, now);
        job.n_attempts.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            job: Arc::clone(job),
            candidate: candidate.clone(),
            meter: Meter::default(),
            reservation: Some(reservation),
            pass: Some(pass),
            started: now,
            first: None,
            answered: None,
            usage: Usage::default(),
            seen_tokens: 0,
            end: Ended::Not,
        })
    }

    pub(crate) fn meter(&self) -> Meter {
        self.meter.clone()
    }

    pub(crate) fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub(crate) fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Something of the answer is there. A probe has learned what it was for, and must not keep the circuit from others
    /// for as long as its caller takes to read.
    pub(crate) fn has_begun(&mut self) {
        // The provider's time, not that of a caller who may read later.
        self.first.get_or_insert_with(Instant::now);
        if let Some(pass) = self.pass.take_if(|pass| pass.is_probe()) {
            pass.succeeded();
            let Candidate { member, model, .. } = &self.candidate;
            let breakers = &self.job.inner.breakers;
            self.pass = breakers.admit(member.name(), model, Instant::now()).ok();
        }
    }

    /// Takes note of an event of the answer.
    pub(crate) fn saw(&mut self, event: &Event) {
        match event {
            Event::Start { model, usage, .. } => {
                self.answered = Some(model.clone());
                self.usage = *usage;
            }
            Event::BlockDelta { delta, .. } => {
                self.first.get_or_insert_with(Instant::now);
                self.seen_tokens += match delta {
                    Delta::Text(text)
                    | Delta::Thinking(text)
                    | Delta::Refusal(text)
                    | Delta::Input(text) => estimated_tokens(text.as_str()),
                    Delta::Signature(_) | Delta::Other(..) => 0,
                };
            }
            Event::End { usage, .. } => {
                self.first.get_or_insert_with(Instant::now);
                self.usage = *usage;
                self.end = Ended::Well;
            }
            Event::BlockStart { .. } | Event::BlockEnd { .. } | Event::Ping => {}
        }
    }

    /// It ended with this failure.
    pub(crate) fn failed(mut self, kind: Failure) {
        self.end = Ended::Badly(kind);
    }

    /// Books the end, once.
    pub(crate) fn settle(&mut self) -> Option<Bill> {
        let reservation = self.reservation.take()?;
        let now = Instant::now();
        let (usage, estimated) = self.billed_usage();
        let cost = self.cost(&usage);
        let alerts = match reservation.settle(cost) {
            Ok(alerts) => alerts,
            Err(error) => {
                tracing::error!(%error, "what was spent could not be settled; it counts in full");
                Vec::new()
            }
        };
        let bill = Bill {
            usage,
            cost,
            tokens_per_second: self.rate(&usage, now),
            alerts,
        };
        self.tell(&bill, now);
        let alerts = &self.job.inner.config.monitoring;
        if alerts.enabled {
            let failed = matches!(self.end, Ended::Badly(kind) if kind.fault() != Fault::Request);
            self.job
                .inner
                .error_rate
                .count(failed, alerts.alerts.error_rate);
        }
        self.write(&bill, estimated);
        Some(bill)
    }

    /// What is paid for: what the provider says, else an estimate of what it must have read and written.
    fn billed_usage(&self) -> (Usage, bool) {
        let said = self.usage.total_tokens() > 0 || self.usage.charged.is_some();
        let whole = self.end == Ended::Well;
        if whole && said {
            return (self.usage, false);
        }
        if !whole && !self.may_be_billed() {
            return (Usage::default(), false);
        }
        let mut usage = self.usage;
        if usage.prompt_tokens() == 0 {
            usage.input = self.job.about.prompt_tokens;
        }
        usage.output = usage.output.max(self.seen_tokens);
        (usage, true)
    }

    /// Whether an attempt that did not end well may still be paid for: the provider had the prompt and said no error.
    fn may_be_billed(&self) -> bool {
        let had_it = self.meter.bytes() > 0 || self.first.is_some();
        match self.end {
            Ended::Not => had_it,
            Ended::Well => true,
            Ended::Badly(kind) => {
                let silent = matches!(
                    kind,
                    Failure::CutOff
                        | Failure::Cancelled
                        | Failure::Garbled
                        | Failure::TimedOut(Phase::FirstToken | Phase::Idle | Phase::Total)
                );
                had_it && (silent || self.first.is_some())
            }
        }
    }

    fn cost(&self, usage: &Usage) -> Option<Money> {
        if usage.total_tokens() == 0 && usage.charged.is_none() && self.end != Ended::Well {
            return Some(Money::ZERO);
        }
        let Candidate {
            member,
            zone,
            model,
            ..
        } = &self.candidate;
        let price = self.job.inner.price(member, *zone, model);
        match price {
            Some(price) => price.cost(usage, self.job.inner.clock.now()),
            None => usage.charged.filter(|charged| *charged >= Money::ZERO),
        }
    }

    fn rate(&self, usage: &Usage, now: Instant) -> Option<f64> {
        let seconds = (now - self.first?).as_secs_f64();
        (usage.output > 1 && seconds > 0.0).then(|| (usage.output - 1) as f64 / seconds)
    }

    /// Tells those who choose the next time.
    fn tell(&mut self, bill: &Bill, now: Instant) {
        let Candidate { member, model, .. } = &self.candidate;
        let (inner, provider) = (&self.job.inner, member.name());
        inner.speeds.finished(provider, model, now);
        let used = bill.usage.total_tokens();
        member.limiter.settle(self.job.about.rate_tokens, used, now);
        let pass = self.pass.take();
        match self.end {
            Ended::Well => {
                let waited = self.first.unwrap_or(now) - self.started;
                inner.speeds.first_token(provider, model, waited, now);
                if let Some(rate) = bill.tokens_per_second {
                    inner.speeds.rate(provider, model, rate, now);
                }
                let conversation = self.job.about.conversation;
                inner.affinity.answered(
                    conversation,
                    provider,
                    model,
                    bill.usage.prompt_tokens(),
                    now,
                );
                pass.into_iter().for_each(Pass::succeeded);
            }
            Ended::Badly(kind) if kind.speaks_against_provider() => {
                inner
                    .speeds
                    .first_token(provider, model, now - self.started, now);
                pass.into_iter().for_each(|pass| pass.failed(now));
            }
            // A rejected key or a cancelled answer tells nothing of the provider's health; but it did answer.
            Ended::Badly(_) if self.first.is_some() => pass.into_iter().for_each(Pass::succeeded),
            Ended::Badly(_) | Ended::Not => drop(pass),
        }
    }

    fn write(&self, bill: &Bill, estimated: bool) {
        let Candidate { member, zone, .. } = &self.candidate;
        let provider = member.name();
        let bytes = self.meter.bytes();
        let recipient = (bytes > 0).then(|| Recipient {
            provider: provider.clone(),
            zone: *zone,
            bytes,
        });
        let well = self.end == Ended::Well;
        self.job.add(recipient, bill.cost, well.then_some(*zone));
        let monitoring = &self.job.inner.config.monitoring;
        if !monitoring.enabled || (!well && !monitoring.metrics.track_errors) {
            return;
        }
        let mut row = self.job.row(provider, *zone);
        row.asked.clone_from(&self.candidate.model);
        row.answered.clone_from(&self.answered);
        row.failure = match self.end {
            Ended::Well => None,
            Ended::Badly(kind) => Some(kind),
            Ended::Not => Some(Failure::Cancelled),
        };
        row.usage = bill.usage;
        row.cost = bill.cost;
        row.estimated = estimated;
        row.latency = self.started.elapsed();
        row.first_token = self.first.map(|first| first - self.started);
        if well && *zone == Zone::Device {
            row.saved = self
                .job
                .inner
                .usual_cost(bill.usage.prompt_tokens(), bill.usage.output);
        }
        leave_out(&monitoring.metrics, &mut row);
        log_failure(self.job.inner.ledger.record(row));
    }

    /// From the request to the first piece of the answer.
    pub(crate) fn time_to_first_token(&self) -> Duration {
        self.first
            .map_or(Duration::ZERO, |first| first - self.job.started)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(bill) = self.settle() {
            bill.alerts.iter().for_each(warn_of);
        }
    }
}

/// What is not to be measured is not recorded. Budgets and receipts do not depend on it.
fn leave_out(metrics: &Metrics, row: &mut inhouse_ledger::Attempt) {
    if !metrics.track_tokens {
        row.usage = Usage::default();
    }
    if !metrics.track_cost {
        (row.cost, row.saved) = (None, None);
    }
    if !metrics.track_latency {
        (row.latency, row.first_token) = (Duration::ZERO, None);
    }
}
