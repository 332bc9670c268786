//! From an answer that has begun to what the caller reads: booked, restored, kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use inhouse_chat::{Assembler, ChatRequest, Event, Reply};
use inhouse_config::FallbackStrategy;
use inhouse_policy::{Restorer, Zone};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::attempt::Begun;
use crate::books::{self, Attempt, Ended, Job};
use crate::cache::{CacheKey, Kept, RequestDigest};
use crate::plan::Plan;
use crate::provider::{EventStream, Late, Learned};
use crate::router::Inner;
use crate::run::{self, Run};
use crate::{AnswerMetadata, AnswerStream, Caller, RouteError, StreamError, text_tools};

/// Plans, asks, and hands the answer on.
pub(crate) async fn answer(
    inner: &Arc<Inner>,
    request: ChatRequest,
    caller: &Caller,
) -> Result<AnswerStream, RouteError> {
    let digest = inner.cache.as_ref().map(|_| RequestDigest::of(&request));
    let plan = inner
        .plan(request, caller)
        .inspect_err(|_| books::refused(inner))?;
    let key = digest.and_then(|digest| cache_key(digest, &plan, caller));
    let job = Job::open(inner, &plan, caller);
    if plan.candidates.is_empty() {
        return Err(run::nobody(&plan, Vec::new()));
    }
    if let Some(kept) = key.and_then(|key| inner.cache.as_ref()?.get(key, Instant::now())) {
        return Ok(replayed(&job, &kept));
    }
    let asking = async {
        let slot = slot(inner).await;
        let run = Run::new(inner, &plan, &job);
        run.go()
            .await
            .map(|(begun, attempt)| (begun, attempt, slot))
    };
    let (begun, attempt, slot) = match inner.timeout {
        None => asking.await?,
        Some(limit) => timeout(limit, asking)
            .await
            .map_err(|_| RouteError::TimedOut(limit))??,
    };
    Ok(Flow::new(&plan, begun, attempt, slot, key).into_stream())
}

/// What an answer is kept under; `None` where nobody will give one.
fn cache_key(request: RequestDigest, plan: &Plan, caller: &Caller) -> Option<CacheKey> {
    let first = plan.candidates.first()?;
    Some(CacheKey::of(
        request,
        caller.key.as_deref(),
        plan.guarded.ceiling().zone(),
        (first.member.name(), &first.model),
        plan.why.rule().map(|(index, _)| index),
    ))
}

/// Waits for a place among the requests that may be under way at once.
async fn slot(inner: &Inner) -> Option<OwnedSemaphorePermit> {
    let slots = Arc::clone(inner.slots.as_ref()?);
    slots.acquire_owned().await.ok()
}

/// An answer from the cache, as the stream it once was.
fn replayed(job: &Arc<Job>, kept: &Kept) -> AnswerStream {
    job.answered_from_cache(kept);
    let elapsed = job.started.elapsed();
    let metadata = AnswerMetadata {
        request_id: job.id.clone(),
        provider: kept.provider.clone(),
        model: kept.model.clone(),
        zone: kept.zone,
        ceiling: job.ceiling,
        reason: "the answer was kept from before".to_owned(),
        usage: kept.reply.usage,
        cost: Some(inhouse_chat::Money::ZERO),
        latency: elapsed,
        time_to_first_token: elapsed,
        tokens_per_second: None,
        execution_providers: Vec::new(),
        attempts: 0,
        cached: true,
        notes: Vec::new(),
    };
    let events = stream::iter(kept.reply.events().into_iter().map(Ok));
    AnswerStream::new(Box::pin(events), Arc::new(Mutex::new(metadata)))
}

/// An answer under way to the caller.
struct Flow {
    /// Before the rest, as the upstream sent it.
    head: VecDeque<Event>,
    rest: EventStream,
    attempt: Attempt,
    metadata: Arc<Mutex<AnswerMetadata>>,
    /// What the provider adds to it at the end.
    late: Late,
    /// Puts back what was masked.
    restorer: Option<Restorer>,
    /// Ready for the caller.
    ready: VecDeque<Event>,
    /// Tools are read from the text, so it must be whole.
    text_tools: Option<Assembler>,
    /// The answer is kept, once it is whole.
    keep: Option<(CacheKey, Assembler)>,
    over: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Flow {
    fn new(
        plan: &Plan,
        begun: Begun,
        attempt: Attempt,
        slot: Option<OwnedSemaphorePermit>,
        key: Option<CacheKey>,
    ) -> Self {
        let candidate = attempt.candidate();
        let strategy = attempt.job().inner.config.tool_calling.fallback_strategy;
        let reads_tools = candidate.without_tools && strategy == FallbackStrategy::UseText;
        let mask = plan.mask.as_ref().filter(|_| candidate.zone > Zone::Device);
        let mut notes = begun.notes;
        if candidate.without_tools {
            notes.push(without_tools(reads_tools).to_owned());
        }
        let metadata = metadata(&attempt, notes, begun.execution_providers);
        Self {
            head: begun.head.into(),
            rest: begun.rest,
            metadata: Arc::new(Mutex::new(metadata)),
            late: begun.late,
            restorer: mask.map(|mask| mask.restorer()),
            ready: VecDeque::new(),
            text_tools: reads_tools.then(Assembler::new),
            keep: key.map(|key| (key, Assembler::new())),
            over: false,
            attempt,
            _slot: slot,
        }
    }

    fn into_stream(self) -> AnswerStream {
        let metadata = Arc::clone(&self.metadata);
        let events = stream::unfold(self, |mut flow| async move {
            let next = flow.next().await?;
            Some((next, flow))
        });
        AnswerStream::new(Box::pin(events), metadata)
    }

    async fn next(&mut self) -> Option<Result<Event, StreamError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            let event = match self.head.pop_front() {
                Some(event) => Ok(event),
                None => match self.rest.next().await {
                    Some(event) => event,
                    None => {
                        self.over = true;
                        continue;
                    }
                },
            };
            match event {
                Ok(event) => self.take(event),
                Err(error) => {
                    self.over = true;
                    self.attempt.end = Ended::Badly(error.kind);
                    self.close();
                    return Some(Err(StreamError::Provider(error)));
                }
            }
        }
    }

    /// Books an event of the upstream, and makes of it what the caller reads.
    fn take(&mut self, event: Event) {
        self.attempt.saw(&event);
        if matches!(event, Event::End { .. }) {
            self.over = true;
            self.close();
        }
        let restored = match &mut self.restorer {
            Some(restorer) => restorer.push(event),
            None => vec![event],
        };
        for event in restored {
            self.hand_on(event);
        }
    }

    fn hand_on(&mut self, event: Event) {
        let Some(mut assembler) = self.text_tools.take() else {
            return self.put(event);
        };
        let whole = matches!(event, Event::End { .. });
        if assembler.push(&event).is_err() || !whole {
            self.text_tools = Some(assembler);
            return;
        }
        if let Ok(reply) = assembler.finish() {
            text_tools::read(reply)
                .events()
                .into_iter()
                .for_each(|event| self.put(event));
        }
    }

    fn put(&mut self, event: Event) {
        if let Some((key, assembler)) = &mut self.keep {
            let key = *key;
            if assembler.push(&event).is_err() {
                self.keep = None;
            } else if matches!(event, Event::End { .. })
                && let Some((_, assembler)) = self.keep.take()
                && let Ok(reply) = assembler.finish()
            {
                self.keep(key, reply);
            }
        }
        self.ready.push_back(event);
    }

    fn keep(&self, key: CacheKey, reply: Reply) {
        let candidate = self.attempt.candidate();
        let inner = &self.attempt.job().inner;
        let seconds = inner.config.cache.ttl_of(candidate.member.name().as_str());
        if let Some(cache) = inner.cache.as_ref().filter(|_| seconds > 0) {
            let kept = Kept {
                reply,
                provider: candidate.member.name().clone(),
                model: candidate.model.clone(),
                zone: candidate.zone,
            };
            cache.put(key, kept, Duration::from_secs(seconds), Instant::now());
        }
    }

    /// Books the end of the attempt, and tells the caller what it came to.
    fn close(&mut self) {
        let Some(bill) = self.attempt.settle() else {
            return;
        };
        let job = self.attempt.job();
        let alerts = &job.inner.config.monitoring;
        let mut metadata = crate::lock(&self.metadata);
        metadata.usage = bill.usage;
        metadata.cost = bill.cost;
        metadata.latency = job.started.elapsed();
        metadata.time_to_first_token = self.attempt.time_to_first_token();
        metadata.tokens_per_second = bill.tokens_per_second;
        learn(&mut metadata, self.late.told());
        bill.alerts.iter().for_each(books::warn_of);
        metadata.notes.extend(bill.alerts.iter().map(|alert| {
            format!(
                "budget {:?}: {} of {} is spent",
                alert.budget, alert.spent, alert.limit
            )
        }));
        if alerts.enabled {
            crate::alerts::check(&alerts.alerts, &metadata);
        }
    }
}

/// What the provider knows better at the end.
fn learn(metadata: &mut AnswerMetadata, learned: Option<Learned>) {
    let Some(learned) = learned else { return };
    metadata.execution_providers = learned.execution_providers;
    for note in learned.notes {
        if !metadata.notes.contains(&note) {
            metadata.notes.push(note);
        }
    }
}

fn metadata(
    attempt: &Attempt,
    notes: Vec<String>,
    execution_providers: Vec<String>,
) -> AnswerMetadata {
    let (job, candidate) = (attempt.job(), attempt.candidate());
    AnswerMetadata {
        request_id: job.id.clone(),
        provider: candidate.member.name().clone(),
        model: candidate.model.clone(),
        zone: candidate.zone,
        ceiling: job.ceiling,
        reason: job.reason.clone(),
        usage: inhouse_chat::Usage::default(),
        cost: None,
        latency: job.started.elapsed(),
        time_to_first_token: job.started.elapsed(),
        tokens_per_second: None,
        execution_providers,
        attempts: job.n_attempts(),
        cached: false,
        notes,
    }
}

fn without_tools(read: bool) -> &'static str {
    if read {
        "the model takes no tools: they were described in the prompt and calls read from the text"
    } else {
        "the model takes no tools: it was asked without"
    }
}
