//! What the tests share.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use inhouse_chat::{
    Assembler, ChatRequest, Event, Message, ModelName, ProviderError, ProviderName, Reply,
};
use inhouse_config::ProviderConfig;
use inhouse_policy::{Ceiling, Cleared, Guarded, Zone};
use inhouse_providers::{BuildError, Clock, Network, Remote, build};
use inhouse_router::{Answering, Call, Meter, Provider};
use inhouse_testing::{Answer, Upstream};
use serde_json::{Value, json};

/// What nobody but the provider may see.
pub(crate) const PROMPT: &str = "my diary";
pub(crate) const KEY: &str = "sk-secret-1";

/// A network without proxies.
pub(crate) fn network() -> Network {
    network_with(&[])
}

/// A network in this environment.
pub(crate) fn network_with(env: &[(&str, &str)]) -> Network {
    let env: HashMap<_, _> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Network::new(&env)
}

/// A provider as configuration writes it, with a key unless it says otherwise.
pub(crate) fn config(mut config: Value) -> ProviderConfig {
    let fields = config.as_object_mut().unwrap();
    if !fields.contains_key("apiKey") && !fields.contains_key("apiKeys") {
        fields.insert("apiKey".to_owned(), json!(KEY));
    }
    if config.pointer("/preferences/maxPrice").is_none() {
        return serde_json::from_value(config).unwrap();
    }
    // Money is read with all its digits, which only the reader of files does.
    let file = json!({"providers": {"p": config}}).to_string();
    let loaded = inhouse_config::parse(&file, "test", &HashMap::new()).unwrap();
    loaded.config.providers.get("p").unwrap().clone()
}

pub(crate) fn try_remote(network: &Network, said: Value) -> Result<Remote, BuildError> {
    build(&ProviderName::from("p"), &config(said), network)
}

/// A provider of this type at `upstream`.
pub(crate) fn remote(kind: &str, upstream: &Upstream) -> Remote {
    let said = json!({"type": kind, "baseUrl": upstream.base_url()});
    try_remote(&network(), said).unwrap()
}

/// A request with a prompt.
pub(crate) fn request() -> ChatRequest {
    let mut request = ChatRequest::new("asked-for", [Message::user(PROMPT)]);
    request.max_tokens = Some(9);
    request
}

pub(crate) fn streamed() -> ChatRequest {
    ChatRequest {
        stream: true,
        ..request()
    }
}

pub(crate) fn cleared(zone: Zone, request: ChatRequest) -> Cleared {
    let guarded = Guarded::new(request, Ceiling::operator(Zone::Cloud));
    guarded.clear(zone).unwrap()
}

/// A call that is cleared for where it goes.
pub(crate) fn call(remote: &Remote, model: &str, request: ChatRequest) -> Call {
    let model = ModelName::from(model);
    Call {
        cleared: cleared(remote.zone(&model), request),
        model,
        meter: Meter::default(),
        caller: None,
    }
}

pub(crate) async fn ask(remote: &Remote, request: ChatRequest) -> Result<Answering, ProviderError> {
    remote.chat(call(remote, "m", request)).await
}

/// The error of a chat that does not even begin.
pub(crate) async fn refused(remote: &Remote, request: ChatRequest) -> ProviderError {
    match ask(remote, request).await {
        Ok(_) => panic!("the provider answered"),
        Err(error) => error,
    }
}

/// All events, and how they ended.
pub(crate) async fn events(answering: Answering) -> (Vec<Event>, Option<ProviderError>) {
    let mut stream = answering.events;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

/// The whole answer.
pub(crate) async fn reply(answering: Answering) -> Reply {
    let (events, error) = events(answering).await;
    assert!(error.is_none(), "{error:?}");
    let mut assembler = Assembler::new();
    events
        .iter()
        .for_each(|event| assembler.push(event).unwrap());
    assembler.finish().unwrap()
}

/// A short answer in OpenAI's protocol.
pub(crate) fn completion(words: &str) -> Answer {
    Answer::json(&json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }))
}

/// A recorded exchange out of `testdata/wire`, the first in its folder whose name ends so.
pub(crate) fn recorded(folder: &str, ending: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/wire")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    fs::read(files.first().expect("a recorded file")).unwrap()
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Stopped(Arc<Mutex<(Instant, SystemTime)>>);

impl Stopped {
    /// At Sun, 06 Nov 1994 08:49:37 GMT.
    pub(crate) fn new() -> Self {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Self(Arc::new(Mutex::new((Instant::now(), date))))
    }

    pub(crate) fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        now.0 += time;
        now.1 += time;
    }
}

impl Clock for Stopped {
    fn now(&self) -> Instant {
        self.0.lock().unwrap().0
    }

    fn date(&self) -> SystemTime {
        self.0.lock().unwrap().1
    }
}

/// All that an error shows of itself and of what lies beneath.
pub(crate) fn shown(error: &ProviderError) -> String {
    let mut shown = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        shown.push_str(&format!(": {error} {error:?}"));
        cause = error.source();
    }
    shown
}
