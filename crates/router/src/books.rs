//! What is written down of a request and of each of its attempts, however they end: also when they are dropped.

mod attempt;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use inhouse_chat::{ModelName, Money};
use inhouse_ledger::{Alert, Receipt, Recipient, fingerprint};
use inhouse_policy::Zone;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::plan::{Caller, Plan};
use crate::router::Inner;

pub(crate) use attempt::{Attempt, Ended};

/// One request, from its plan to its receipt, which is written when the last of its attempts has ended.
pub(crate) struct Job {
    pub(crate) inner: Arc<Inner>,
    pub(crate) id: String,
    pub(crate) started: Instant,
    at: Timestamp,
    rule: Option<String>,
    pub(crate) reason: String,
    pub(crate) ceiling: Zone,
    about: About,
    n_attempts: AtomicU32,
    trail: Mutex<Trail>,
}

/// What the plan knows and attempts need, so that they can outlive it.
struct About {
    key: Option<String>,
    agent: Option<String>,
    session: Option<String>,
    user: Option<String>,
    asked: ModelName,
    prompt_tokens: u64,
    rate_tokens: u64,
    conversation: crate::affinity::Conversation,
    streamed: bool,
}

#[derive(Default)]
struct Trail {
    recipients: Vec<Recipient>,
    /// `None` as soon as the cost of one attempt is unknown.
    cost: Option<Money>,
    used: Option<Zone>,
}

impl Job {
    pub(crate) fn open(inner: &Arc<Inner>, plan: &Plan, caller: &Caller) -> Arc<Self> {
        let at = inner.clock.now();
        let metadata = &plan.metadata;
        Arc::new(Self {
            id: request_id(inner, at),
            started: Instant::now(),
            at,
            rule: plan.why.rule().map(|(_, name)| name.to_owned()),
            reason: plan.why.to_string(),
            ceiling: plan.guarded.ceiling().zone(),
            about: About {
                key: caller.key.clone(),
                agent: metadata.agent_type.clone(),
                session: metadata.session.as_deref().map(fingerprint),
                user: metadata.user.as_deref().map(fingerprint),
                asked: plan.asked_model.clone(),
                prompt_tokens: plan.facts.prompt_tokens,
                rate_tokens: plan.rate_tokens(),
                conversation: plan.conversation,
                streamed: plan.streamed,
            },
            n_attempts: AtomicU32::new(0),
            trail: Mutex::new(Trail {
                cost: Some(Money::ZERO),
                ..Trail::default()
            }),
            inner: Arc::clone(inner),
        })
    }

    /// The name of the key that the caller showed.
    pub(crate) fn caller_key(&self) -> Option<String> {
        self.about.key.clone()
    }

    pub(crate) fn n_attempts(&self) -> u32 {
        self.n_attempts.load(Ordering::Relaxed)
    }

    /// An answer from the cache: nobody was asked, and what it would have cost is saved.
    pub(crate) fn answered_from_cache(&self, kept: &crate::cache::Kept) -> Option<Money> {
        let saved = {
            let usage = kept.reply.usage;
            self.inner.usual_cost(usage.prompt_tokens(), usage.output)
        };
        let mut row = self.row(&kept.provider, kept.zone);
        row.answered = Some(kept.model.clone());
        row.cost = Some(Money::ZERO);
        row.cached = true;
        row.saved = saved;
        row.latency = self.started.elapsed();
        crate::lock(&self.trail).used = Some(Zone::Device);
        log_failure(self.inner.ledger.record(row));
        saved
    }

    fn row(&self, provider: &inhouse_chat::ProviderName, zone: Zone) -> inhouse_ledger::Attempt {
        let about = &self.about;
        let at = self.inner.clock.now();
        let mut row = inhouse_ledger::Attempt::new(
            at,
            &*self.id,
            provider.clone(),
            about.asked.clone(),
            zone,
        );
        row.rule.clone_from(&self.rule);
        row.reason.clone_from(&self.reason);
        row.key.clone_from(&about.key);
        row.agent.clone_from(&about.agent);
        row.session.clone_from(&about.session);
        row.user.clone_from(&about.user);
        row.streamed = about.streamed;
        row
    }

    /// What a cost of `None` makes of the sum.
    fn add(&self, recipient: Option<Recipient>, cost: Option<Money>, used: Option<Zone>) {
        let mut trail = crate::lock(&self.trail);
        trail.recipients.extend(recipient);
        trail.cost = trail.cost.zip(cost).map(|(sum, more)| sum + more);
        trail.used = used.or(trail.used);
    }
}

/// The receipt is written when nobody can add to it any more.
impl Drop for Job {
    fn drop(&mut self) {
        let trail = std::mem::take(&mut *crate::lock(&self.trail));
        log_failure(self.inner.ledger.record_receipt(Receipt {
            at: self.at,
            request: std::mem::take(&mut self.id),
            rule: self.rule.take(),
            ceiling: self.ceiling,
            used: trail.used,
            recipients: trail.recipients,
            cost: trail.cost,
        }));
    }
}

/// Writes the receipt of a request that was refused before anybody was considered: nobody received anything.
pub(crate) fn refused(inner: &Inner) {
    let at = inner.clock.now();
    log_failure(inner.ledger.record_receipt(Receipt {
        at,
        request: request_id(inner, at),
        rule: None,
        ceiling: Zone::Device,
        used: None,
        recipients: Vec::new(),
        cost: Some(Money::ZERO),
    }));
}

/// Names that sort by time and that nobody has to hand out.
fn request_id(inner: &Inner, at: Timestamp) -> String {
    format!("req_{:x}{:016x}", at.as_millisecond(), inner.random.draw())
}

/// Says that a part of a budget is spent.
pub(crate) fn warn_of(alert: &Alert) {
    tracing::warn!(
        budget = alert.budget,
        subject = alert.subject,
        period = alert.period,
        "{} of {} is spent",
        alert.spent,
        alert.limit
    );
}

/// The answer is there and paid for: that it cannot be written down must be said, and must not take it away.
fn log_failure(written: Result<(), inhouse_ledger::LedgerError>) {
    if let Err(error) = written {
        tracing::error!(%error, "usage could not be recorded");
    }
}
