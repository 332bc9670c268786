//! A router over scripted providers.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use inhouse_chat::{
    Block, BlockKind, ChatRequest, Delta, Event, Extra, Failure, Message, ModelName, Privacy,
    ProviderError, ProviderName, StopReason, Text, Usage,
};
use inhouse_config::RouterConfig;
use inhouse_ledger::{By, Ledger, PriceList, Report};
use inhouse_policy::{Detect, Detector, Zone};
use inhouse_router::{Answering, Call, Clock, Late, Learned, Parts, Provider, Router};
use jiff::Timestamp;

/// What a provider does when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with these words, one piece for each.
    Say(&'static str),
    /// Answers with these words after a while.
    SayAfter(Duration, &'static str),
    /// Answers with the last message it was sent.
    Echo,
    /// Answers with a call of a tool, written as words.
    Fail(Failure),
    /// Fails, and says when to come back.
    FailWithRetryAfter(Failure, Duration),
    /// Sends its start and an empty part, then fails.
    FailEarly(Failure),
    /// Sends some words, then fails.
    FailLate(&'static str, Failure),
    /// Loses its device in the middle of these words; another one goes on to their end, or to a failure.
    LoseDevice(&'static str, Option<Failure>),
    /// Sends some words, then the connection ends.
    CutOff(&'static str),
    /// Takes the request and says nothing.
    Hang,
    /// Sends some words, then nothing more.
    Stall(&'static str),
}

/// A provider that does as told.
pub(crate) struct Scripted {
    name: ProviderName,
    zone: Zone,
    default_model: Option<ModelName>,
    pub(crate) n_keys: usize,
    script: Mutex<VecDeque<Act>>,
    otherwise: Act,
    pub(crate) usage: Usage,
    seen: Mutex<Vec<ChatRequest>>,
    models: Mutex<Vec<ModelName>>,
    bytes: AtomicU64,
    under_way: Arc<AtomicUsize>,
    pub(crate) most_under_way: AtomicUsize,
}

impl Scripted {
    pub(crate) fn new(name: &str, zone: Zone, otherwise: Act) -> Self {
        Self {
            name: name.into(),
            zone,
            default_model: Some(format!("{name}-default").into()),
            n_keys: 1,
            script: Mutex::default(),
            otherwise,
            usage: Usage {
                input: 100,
                output: 20,
                ..Usage::default()
            },
            seen: Mutex::default(),
            models: Mutex::default(),
            bytes: AtomicU64::new(0),
            under_way: Arc::default(),
            most_under_way: AtomicUsize::new(0),
        }
    }

    pub(crate) fn device(answer: &'static str) -> Self {
        Self::new("onnx-local", Zone::Device, Act::Say(answer))
    }

    pub(crate) fn cloud(name: &str, answer: &'static str) -> Self {
        Self::new(name, Zone::Cloud, Act::Say(answer))
    }

    pub(crate) fn first(self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.script.lock().unwrap().extend(acts);
        self
    }

    pub(crate) fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    pub(crate) fn with_model(mut self, model: &str) -> Self {
        self.default_model = Some(model.into());
        self
    }

    /// Requests it was sent.
    pub(crate) fn seen(&self) -> Vec<ChatRequest> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn models(&self) -> Vec<String> {
        self.models
            .lock()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Forgets what it was sent.
    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
        self.models.lock().unwrap().clear();
    }

    pub(crate) fn n_calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    fn error(&self, kind: Failure) -> ProviderError {
        ProviderError::new(&self.name, kind)
    }

    async fn act(&self, call: Call) -> Result<Answering, ProviderError> {
        assert_eq!(call.cleared.zone(), self.zone, "cleared for another zone");
        let guard = UnderWay::enter(self);
        let request = call.cleared.request().clone();
        let bytes = size(&request);
        call.meter.add(bytes);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        let last = request.messages.last().map(words).unwrap_or_default();
        self.seen.lock().unwrap().push(request);
        self.models.lock().unwrap().push(call.model.clone());
        let act = self
            .script
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or_else(|| self.otherwise.clone());
        let events = match act {
            Act::Say(text) => self.whole(text),
            Act::SayAfter(pause, text) => {
                tokio::time::sleep(pause).await;
                self.whole(text)
            }
            Act::Echo => self.whole(&last),
            Act::Fail(kind) => return Err(self.error(kind)),
            Act::FailWithRetryAfter(kind, after) => {
                let mut error = self.error(kind);
                error.retry_after = Some(after);
                return Err(error);
            }
            Act::FailEarly(kind) => {
                let mut events = self.opened();
                events.push(Err(self.error(kind)));
                events
            }
            Act::FailLate(text, kind) => {
                let mut events = self.begun(text);
                events.push(Err(self.error(kind)));
                events
            }
            Act::LoseDevice(text, failure) => {
                let events = match failure {
                    None => self.whole(text),
                    Some(kind) => {
                        let mut events = self.begun(text);
                        events.push(Err(self.error(kind)));
                        events
                    }
                };
                return Ok(on_two_devices(events, guard));
            }
            Act::CutOff(text) => self.begun(text),
            Act::Hang => std::future::pending().await,
            Act::Stall(text) => {
                let events = stream::iter(self.begun(text)).chain(stream::pending());
                return Ok(answering(events, guard));
            }
        };
        Ok(answering(stream::iter(events), guard))
    }

    fn opened(&self) -> Vec<Result<Event, ProviderError>> {
        let start = Event::Start {
            id: "id-1".into(),
            model: "answered".into(),
            usage: Usage {
                output: 0,
                ..self.usage
            },
        };
        let open = Event::BlockStart {
            index: 0,
            block: Block::text(""),
        };
        vec![Ok(start), Ok(Event::Ping), Ok(open)]
    }

    fn begun(&self, text: &str) -> Vec<Result<Event, ProviderError>> {
        let mut events = self.opened();
        for piece in text.split_inclusive(' ') {
            events.push(Ok(Event::BlockDelta {
                index: 0,
                delta: Delta::Text(piece.into()),
            }));
        }
        events
    }

    fn whole(&self, text: &str) -> Vec<Result<Event, ProviderError>> {
        let mut events = self.begun(text);
        events.push(Ok(Event::BlockEnd { index: 0 }));
        events.push(Ok(Event::End {
            stop: StopReason::EndTurn,
            usage: self.usage,
            extra: Extra::default(),
        }));
        events
    }
}

fn answering(
    events: impl futures_util::Stream<Item = Result<Event, ProviderError>> + Send + 'static,
    guard: UnderWay,
) -> Answering {
    let events = events.map(move |event| {
        let _ = &guard;
        event
    });
    Answering::new(Box::pin(events))
}

/// An answer that `cuda` begins and `cpu` ends, which the last event brings to light.
fn on_two_devices(events: Vec<Result<Event, ProviderError>>, guard: UnderWay) -> Answering {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let late = Late::default();
    let teller = late.clone();
    let events = stream::iter(events).inspect(move |event| {
        if matches!(event, Ok(Event::End { .. }) | Err(_)) {
            teller.tell(Learned {
                notes: words(&["tensorrt is missing", "cuda was lost"]),
                execution_providers: words(&["cpu"]),
            });
        }
    });
    Answering {
        notes: words(&["tensorrt is missing"]),
        execution_providers: words(&["cuda", "cpu"]),
        late,
        ..answering(events, guard)
    }
}

/// Counts calls until their stream is dropped.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn enter(provider: &Scripted) -> Self {
        let n = provider.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        provider.most_under_way.fetch_max(n, Ordering::SeqCst);
        Self(Arc::clone(&provider.under_way))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Provider for Scripted {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn zone(&self, _: &ModelName) -> Zone {
        self.zone
    }

    fn chat(&self, call: Call) -> BoxFuture<'_, Result<Answering, ProviderError>> {
        Box::pin(self.act(call))
    }

    fn n_keys(&self) -> usize {
        self.n_keys
    }

    fn default_model(&self) -> Option<&ModelName> {
        self.default_model.as_ref()
    }
}

/// The words of a message.
pub(crate) fn words(message: &Message) -> String {
    message
        .content
        .iter()
        .filter_map(Block::as_text)
        .map(Text::as_str)
        .collect()
}

fn size(request: &ChatRequest) -> u64 {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    blocks
        .map(|block| match &block.kind {
            BlockKind::Text(text) => text.as_str().len() as u64,
            _ => 1,
        })
        .sum::<u64>()
        .max(1)
}

/// A clock that stands still.
pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }
}

/// A router and its providers.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) providers: Vec<Arc<Scripted>>,
}

/// What a world is made of.
pub(crate) struct Setup {
    pub(crate) config: &'static str,
    pub(crate) providers: Vec<Scripted>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) detector: Option<Arc<dyn Detect>>,
    pub(crate) farthest: Zone,
}

impl Setup {
    pub(crate) fn new(config: &'static str, providers: impl IntoIterator<Item = Scripted>) -> Self {
        Self {
            config,
            providers: providers.into_iter().collect(),
            ledger: Arc::new(Ledger::in_memory().unwrap()),
            detector: Some(Arc::new(Detector::default())),
            farthest: Zone::Cloud,
        }
    }

    pub(crate) fn build(self) -> World {
        let providers: Vec<_> = self.providers.into_iter().map(Arc::new).collect();
        let router = Router::new(Parts {
            config: config(self.config),
            providers: providers
                .iter()
                .map(|one| Arc::clone(one) as Arc<dyn Provider>)
                .collect(),
            ledger: Arc::clone(&self.ledger),
            prices: PriceList::shipped(),
            detector: self.detector,
            farthest: self.farthest,
            clock: Arc::new(Noon),
            seed: Some(7),
        });
        World {
            router,
            ledger: self.ledger,
            providers,
        }
    }
}

pub(crate) fn world(config: &'static str, providers: impl IntoIterator<Item = Scripted>) -> World {
    Setup::new(config, providers).build()
}

/// A configuration, with keys for everyone.
fn config(json: &str) -> RouterConfig {
    let env: HashMap<String, String> =
        ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"]
            .into_iter()
            .map(|name| (name.to_owned(), "a-key".to_owned()))
            .collect();
    let addressed = json.replace(
        CUSTOM,
        &format!("{CUSTOM}, \"baseUrl\": \"https://example.org/v1\""),
    );
    inhouse_config::parse(&addressed, "test.json", &env)
        .expect("a configuration")
        .config
}

const CUSTOM: &str = "\"type\": \"custom\"";

impl World {
    pub(crate) fn provider(&self, name: &str) -> &Scripted {
        let mut found = self
            .providers
            .iter()
            .filter(|one| one.name.as_str() == name);
        found.next().expect("a provider of this name")
    }

    /// What the ledger says of everything.
    pub(crate) fn report(&self, by: By) -> Report {
        self.ledger
            .report(by, Timestamp::MIN, Timestamp::MAX)
            .unwrap()
    }

    /// Who answers `request`, or the error.
    pub(crate) async fn who(&self, request: ChatRequest) -> String {
        match self.router.chat(request).await {
            Ok(answer) => answer.metadata.provider.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }
}

pub(crate) fn ask(text: &str) -> ChatRequest {
    ChatRequest::new("auto", [Message::user(text)])
}

/// As in the documents: `metadata: { privacy: 'high', localOnly: true }`.
pub(crate) fn private(text: &str) -> ChatRequest {
    let mut request = ask(text);
    request.metadata.privacy = Some(Privacy::High);
    request.metadata.local_only = Some(true);
    request
}
