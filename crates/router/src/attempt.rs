//! One attempt: held back until the answer has really begun, and within its time.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use inhouse_chat::{Event, Failure, Phase, ProviderError, ProviderName};
use inhouse_config::Deadlines;
use tokio::time::{Instant, timeout_at};

use crate::member::Member;
use crate::provider::{Answering, Call, EventStream, Late};

/// An answer that has begun: from here on nobody else can answer instead.
pub(crate) struct Begun {
    /// What came until it had begun.
    pub(crate) head: Vec<Event>,
    /// What is still to come, within the provider's time.
    pub(crate) rest: EventStream,
    pub(crate) notes: Vec<String>,
    pub(crate) execution_providers: Vec<String>,
    pub(crate) late: Late,
}

/// Starts and empty parts that come before an answer has begun. Usual are two.
const MOST_BEFORE: usize = 1_024;

/// Makes one attempt, to be over by `deadline`, and waits until something of the answer is there. An upstream that fails before that has shown
/// the caller nothing, so somebody else can still answer.
pub(crate) async fn begin(
    member: &Member,
    call: Call,
    streamed: bool,
    deadline: Option<Instant>,
) -> Result<Begun, ProviderError> {
    let name = member.name();
    let started = Instant::now();
    let Deadlines {
        first_token,
        idle,
        total,
        ..
    } = member.deadlines;
    let end = total.map(|total| started + total);
    // Without a stream the first piece is the whole, which may take as long as that may take.
    let first = first_token
        .filter(|_| streamed)
        .map(|limit| started + limit);
    let opened = within(name, Phase::FirstToken, first, open(member, call));
    let (answering, head) = within(name, Phase::Total, end, opened).await???;
    Ok(Begun {
        head,
        // Until here the whole request's time is kept by whoever may still ask somebody else.
        rest: watched(
            name.clone(),
            answering.events,
            idle,
            end.into_iter().chain(deadline).min(),
        ),
        notes: answering.notes,
        execution_providers: answering.execution_providers,
        late: answering.late,
    })
}

async fn open(member: &Member, call: Call) -> Result<(Answering, Vec<Event>), ProviderError> {
    let mut answering = member.provider.chat(call).await?;
    let mut head = Vec::new();
    loop {
        let Some(event) = answering.events.next().await else {
            return Err(ProviderError::new(member.name(), Failure::CutOff));
        };
        let event = event?;
        let begun = has_begun(&event);
        if event != Event::Ping {
            head.push(event);
        }
        if head.len() > MOST_BEFORE && !begun {
            return Err(ProviderError::new(member.name(), Failure::Garbled));
        }
        if begun {
            return Ok((answering, head));
        }
    }
}

/// Upstreams send headers, a start and empty parts before they fail.
fn has_begun(event: &Event) -> bool {
    match event {
        Event::BlockDelta { .. } | Event::BlockEnd { .. } | Event::End { .. } => true,
        Event::Start { .. } | Event::BlockStart { .. } | Event::Ping => false,
    }
}

/// The rest of a stream: no longer than `idle` between two events, none after `end`, and an error where it stops
/// before its own end.
fn watched(
    name: ProviderName,
    events: EventStream,
    idle: Option<Duration>,
    end: Option<Instant>,
) -> EventStream {
    struct Watch {
        name: ProviderName,
        events: EventStream,
        over: bool,
    }
    let watch = Watch {
        name,
        events,
        over: false,
    };
    Box::pin(stream::unfold(watch, move |mut watch| async move {
        if watch.over {
            return None;
        }
        let quiet = idle.map(|idle| Instant::now() + idle);
        let next = within(&watch.name, Phase::Idle, quiet, watch.events.next());
        let next = match within(&watch.name, Phase::Total, end, next).await {
            Ok(Ok(Some(event))) => event,
            Ok(Ok(None)) => Err(ProviderError::new(&watch.name, Failure::CutOff)),
            Ok(Err(error)) | Err(error) => Err(error),
        };
        watch.over = matches!(next, Err(_) | Ok(Event::End { .. }));
        Some((next, watch))
    }))
}

/// The future's output, or that it came too late.
async fn within<F: Future>(
    provider: &ProviderName,
    phase: Phase,
    deadline: Option<Instant>,
    future: F,
) -> Result<F::Output, ProviderError> {
    match deadline {
        None => Ok(future.await),
        Some(deadline) => timeout_at(deadline, future)
            .await
            .map_err(|_| ProviderError::new(provider, Failure::TimedOut(phase))),
    }
}
