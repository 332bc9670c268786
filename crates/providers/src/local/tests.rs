//! The engine inside as a provider, on the small models of the zoo: random weights, real graphs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, future};
use inhouse_chat::{
    Assembler, BoxError, ChatRequest, Event, Failure, Message, ModelName, ProviderError, Real,
    Reply, StopReason,
};
use inhouse_config::{BackendChoice, ProviderConfig};
use inhouse_engine::KvType;
use inhouse_policy::{Ceiling, Guarded, Zone};
use inhouse_router::{Answering, Call, Meter, Provider};

use super::{FindModel, Local, LocalOptions};

/// Tokens of an answer: enough to see that it is made of pieces.
const SHORT: u32 = 12;

pub(super) fn zoo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/zoo")
        .join(name)
}

struct Zoo;

impl FindModel for Zoo {
    fn find(&self, name: &str) -> Result<PathBuf, BoxError> {
        let folder = zoo(name);
        match folder.is_dir() {
            true => Ok(folder),
            false => Err(format!("there is no model {name:?} in the zoo").into()),
        }
    }
}

pub(super) fn options() -> LocalOptions {
    LocalOptions {
        models: Arc::new(Zoo),
        threads: Some(1),
        isa: None,
        kv: KvType::F32,
        packed: None,
        available_memory: None,
        runtime: None,
    }
}

fn local(config: &ProviderConfig) -> Local {
    Local::new(&"onnx-local".into(), config, options())
}

fn kept(local: &Local) -> Vec<PathBuf> {
    local.models.as_ref().unwrap().kept()
}

fn at(path: impl Into<PathBuf>) -> ProviderConfig {
    ProviderConfig {
        model_path: Some(path.into()),
        ..ProviderConfig::default()
    }
}

fn request(model: &str, turns: impl IntoIterator<Item = Message>) -> ChatRequest {
    ChatRequest {
        max_tokens: Some(SHORT),
        ..ChatRequest::new(model, turns)
    }
}

fn hello(model: &str) -> ChatRequest {
    request(model, [Message::user("Hello, what is new?")])
}

async fn begin(local: &Local, request: ChatRequest) -> Result<Answering, ProviderError> {
    begin_counted(local, request, Meter::default()).await
}

async fn begin_counted(
    local: &Local,
    request: ChatRequest,
    meter: Meter,
) -> Result<Answering, ProviderError> {
    begin_for(local, request, meter, None).await
}

async fn begin_for(
    local: &Local,
    request: ChatRequest,
    meter: Meter,
    caller: Option<&str>,
) -> Result<Answering, ProviderError> {
    let model = request.model.clone();
    let guarded = Guarded::new(request, Ceiling::operator(Zone::Device));
    let cleared = guarded.clear(local.zone(&model)).unwrap();
    let call = Call {
        cleared,
        model,
        meter,
        caller: caller.map(str::to_owned),
    };
    local.chat(call).await
}

async fn events(local: &Local, request: ChatRequest) -> Vec<Event> {
    let answering = begin(local, request).await.unwrap();
    assert_eq!(answering.execution_providers, ["cpu"]);
    answering.events.map(Result::unwrap).collect().await
}

async fn ask(local: &Local, request: ChatRequest) -> Reply {
    let mut assembler = Assembler::new();
    for event in events(local, request).await {
        assembler.push(&event).unwrap();
    }
    assembler.finish().unwrap()
}

async fn error(local: &Local, request: ChatRequest) -> (Failure, String) {
    let error = begin(local, request).await.err().expect("no answer");
    let cause = error.cause.map(|cause| cause.to_string());
    (error.kind, cause.unwrap_or_default())
}

#[tokio::test]
async fn an_answer_comes_in_pieces() {
    let local = local(&ProviderConfig::default());
    let events = events(&local, hello("llama-fp32")).await;
    let Some(Event::Start { id, model, usage }) = events.first() else {
        panic!("no start");
    };
    assert_eq!((id.as_str(), model.as_str()), ("local-1", "llama-fp32"));
    assert!(usage.input > 5 && usage.output == 0);
    let pieces = |event: &&Event| matches!(event, Event::BlockDelta { .. });
    assert!(
        events.iter().filter(pieces).count() > 3,
        "one piece a token"
    );
    let Some(Event::End { stop, usage, .. }) = events.last() else {
        panic!("no end");
    };
    assert_eq!(*stop, StopReason::MaxTokens);
    assert_eq!(usage.output, u64::from(SHORT));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer() {
    let seeded = |seed| {
        let mut request = hello("qwen3-int8");
        request.sampling.temperature = Real::new(1.0);
        request.sampling.seed = Some(seed);
        request
    };
    let ours = local(&ProviderConfig::default());
    let first = ask(&ours, seeded(7)).await;
    let fresh = ask(&local(&ProviderConfig::default()), seeded(7)).await;
    assert_eq!(first.text(), fresh.text());
    assert_ne!(first.text(), ask(&ours, seeded(8)).await.text());
    assert_ne!(first.text(), ask(&ours, seeded(-1)).await.text());
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_and_is_named() {
    let local = local(&ProviderConfig::default());
    let whole = ask(&local, hello("llama-fp32")).await.text();
    let stop: String = whole.chars().skip(6).take(2).collect();
    let before = whole.split(&stop).next().unwrap().to_owned();
    let mut request = hello("llama-fp32");
    request.stop = vec![stop.as_str().into()];
    let reply = ask(&local, request).await;
    assert_eq!(reply.text(), before);
    assert_eq!(reply.stop, StopReason::StopSequence(Some(stop.into())));
}

#[tokio::test]
async fn whoever_leaves_makes_way_for_the_next() {
    let local = local(&ProviderConfig::default());
    let alone = ask(&local, hello("llama-fp32")).await;
    let endless = || ChatRequest {
        max_tokens: None,
        ..hello("llama-fp32")
    };
    let mut running = begin(&local, endless()).await.unwrap();
    running.events.next().await.unwrap().unwrap();
    drop(running);
    let waiting = begin(&local, endless());
    drop(waiting); // before it was even polled
    assert_eq!(ask(&local, hello("llama-fp32")).await.text(), alone.text());
}

#[tokio::test]
async fn those_who_come_together_are_answered_one_after_the_other_by_one_model() {
    let local = local(&ProviderConfig::default());
    let other = request("llama-fp32", [Message::user("And yesterday?")]);
    let (one, two, three) = future::join3(
        ask(&local, hello("llama-fp32")),
        ask(&local, other.clone()),
        ask(&local, hello("llama-fp32")),
    )
    .await;
    assert_eq!(one.text(), three.text());
    assert_eq!(two.text(), ask(&local, other).await.text());
    assert_eq!(kept(&local).len(), 1);
}

#[tokio::test]
async fn one_who_does_not_read_keeps_nobody_waiting() {
    let local = local(&ProviderConfig::default());
    let mut endless = hello("llama-fp32");
    endless.max_tokens = None;
    let unread = begin(&local, endless).await.unwrap();
    ask(&local, hello("llama-fp32")).await;
    let events: Vec<_> = unread.events.map(Result::unwrap).collect().await;
    assert!(
        matches!(events.last(), Some(Event::End { .. })),
        "it is whole"
    );
}

#[tokio::test]
async fn the_next_turn_computes_only_what_is_new() {
    let local = local(&ProviderConfig::default());
    let first = ask(&local, hello("llama-fp32")).await;
    assert_eq!(first.usage.cache_read, 0);
    let turns = [
        Message::user("Hello, what is new?"),
        Message::assistant(first.text()),
        Message::user("Go on."),
    ];
    let next = request("llama-fp32", turns);
    let kept = ask(&local, next.clone()).await;
    assert!(
        kept.usage.cache_read >= first.usage.input,
        "{:?}",
        kept.usage
    );
    let anew = ask(&super::tests::local(&ProviderConfig::default()), next).await;
    assert_eq!(kept.usage.prompt_tokens(), anew.usage.input);
    assert_eq!(kept.text(), anew.text());
}

#[tokio::test]
async fn what_was_computed_for_one_key_does_not_speed_up_another() {
    let local = local(&ProviderConfig::default());
    let reused = async |caller| {
        let begun = begin_for(&local, hello("llama-fp32"), Meter::default(), Some(caller)).await;
        let events: Vec<_> = begun.unwrap().events.map(Result::unwrap).collect().await;
        match &events[0] {
            Event::Start { usage, .. } => usage.cache_read,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reused("one").await, 0);
    assert!(reused("one").await > 0);
    assert_eq!(reused("two").await, 0);
}

#[tokio::test]
async fn models_that_were_not_asked_for_longest_make_way() {
    let local = local(&ProviderConfig::default());
    for name in ["llama-fp32", "qwen3-int8", "llama-fp32", "mistral-int4-b64"] {
        ask(&local, hello(name)).await;
    }
    let expected = ["mistral-int4-b64", "llama-fp32"];
    let expected = expected.map(|name| zoo(name).canonicalize().unwrap());
    assert_eq!(kept(&local), expected);
}

#[tokio::test]
async fn memory_that_is_given_holds_for_all_models_together() {
    let tight = LocalOptions {
        available_memory: Some(20 << 20),
        ..options()
    };
    let local = Local::new(&"onnx-local".into(), &ProviderConfig::default(), tight);
    ask(&local, hello("llama-fp32")).await;
    ask(&local, hello("phi4mini-fp32")).await;
    assert_eq!(kept(&local).len(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_do() {
    let nobody = local(&ProviderConfig::default());
    let (kind, why) = error(&nobody, hello("phi-9")).await;
    assert_eq!(kind, Failure::NoSuchModel);
    assert_eq!(
        why,
        "there is no model \"phi-9\" in the zoo; `inhouse pull phi-9` fetches it"
    );
    let (kind, why) = error(&local(&at("/nowhere/phi-4/model.onnx")), hello("phi-4")).await;
    assert_eq!(kind, Failure::NoSuchModel);
    assert_eq!(
        why,
        "there is no model at /nowhere/phi-4/model.onnx, which modelPath names; it must be a folder with \
         genai_config.json, or the .onnx file in it"
    );
}

#[tokio::test]
async fn a_model_that_could_not_be_loaded_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let local = local(&at(folder.path()));
    let both = future::join(error(&local, hello("auto")), error(&local, hello("auto"))).await;
    for (kind, why) in [both.0, both.1] {
        assert_eq!(kind, Failure::Engine);
        assert!(why.contains("genai_config.json"), "{why}");
        assert!(why.ends_with("modelPath names it"), "{why}");
    }
    for entry in fs::read_dir(zoo("llama-fp32")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    ask(&local, hello("auto")).await;
}

#[tokio::test]
async fn a_path_names_a_folder_or_the_graph_in_it() {
    for path in [zoo("llama-fp32"), zoo("llama-fp32/model.onnx")] {
        let local = local(&at(path));
        let name = ModelName::from("llama-fp32");
        assert_eq!(local.default_model(), Some(&name));
        let answering = begin(&local, hello("phi-4")).await.unwrap();
        assert_eq!(
            answering.notes,
            ["llama-fp32 answers, the model that modelPath names"]
        );
    }
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(zoo("llama-fp32")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let other = folder.path().join("other.onnx");
    fs::write(&other, "").unwrap();
    let (kind, why) = error(&local(&at(other)), hello("auto")).await;
    assert_eq!(kind, Failure::Engine);
    assert!(
        why.contains("names other.onnx") && why.contains("names model.onnx"),
        "{why}"
    );
}

#[tokio::test]
async fn a_prompt_without_room_for_an_answer_is_refused_with_the_numbers() {
    let local = local(&ProviderConfig::default());
    let long = request("llama-fp32", [Message::user("long ".repeat(2000))]);
    let (kind, why) = error(&local, long).await;
    assert_eq!(kind, Failure::TooLong);
    assert!(why.contains("llama-fp32 has room for 1024"), "{why}");
}

#[tokio::test]
async fn an_answer_that_fills_the_context_says_so() {
    let local = local(&ProviderConfig::default());
    let mut request = hello("llama-fp32");
    request.max_tokens = Some(5000);
    let answering = begin(&local, request).await.unwrap();
    let note = answering.notes.first().unwrap();
    assert!(note.starts_with("maxTokens was 5000: "), "{note}");
    let last = answering
        .events
        .map(Result::unwrap)
        .collect::<Vec<_>>()
        .await;
    match last.last() {
        Some(Event::End { stop, usage, .. }) if *stop == StopReason::ContextFull => {
            assert_eq!(usage.total_tokens(), 1024);
        }
        // A random model may also find an end of its own.
        Some(Event::End { stop, .. }) => assert_eq!(*stop, StopReason::EndTurn),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_engine_cannot_do_is_refused_by_name() {
    let local = local(&ProviderConfig::default());
    let mut tools = hello("llama-fp32");
    tools.tools = vec![inhouse_chat::Tool::new("clock", serde_json::json!({}))];
    let (kind, why) = error(&local, tools).await;
    assert_eq!(kind, Failure::Unsupported);
    assert_eq!(why, "tools: the engine on this device takes no tools");
    assert!(kept(&local).is_empty(), "nothing was loaded for it");
    let mut hot = hello("llama-fp32");
    hot.sampling.temperature = Real::new(-1.0);
    let (kind, why) = error(&local, hot).await;
    assert_eq!(kind, Failure::BadRequest);
    assert_eq!(why, "temperature is -1; it must be 0 (greedy) or more");
}

/// Asks a model with what `change` says of computing, on a machine without ONNX Runtime.
async fn computed(
    change: impl FnOnce(&mut ProviderConfig),
) -> Result<Answering, (Failure, String)> {
    let mut config = at(zoo("llama-fp32"));
    change(&mut config);
    let local = local(&config);
    match begin(&local, hello("llama-fp32")).await {
        Ok(answering) => Ok(answering),
        Err(error) => Err((
            error.kind,
            error
                .cause
                .map(|cause| cause.to_string())
                .unwrap_or_default(),
        )),
    }
}

fn providers(names: &[&str]) -> impl FnOnce(&mut ProviderConfig) {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    move |config| config.execution_providers = names
}

/// Who computed, where nothing was passed over.
async fn as_asked(change: impl FnOnce(&mut ProviderConfig)) {
    let answering = computed(change).await.unwrap();
    assert_eq!(answering.notes, [""; 0]);
    assert_eq!(answering.execution_providers, ["cpu"]);
}

#[tokio::test]
async fn the_processor_needs_no_library() {
    as_asked(|_| ()).await;
    as_asked(providers(&["CPU"])).await;
    as_asked(|config| config.backend = Some(BackendChoice::Native)).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_passed_over_with_the_reason() {
    for change in [providers(&["cuda", "cpu"]), providers(&["auto"])] {
        let answering = computed(change).await.unwrap();
        assert_eq!(answering.execution_providers, ["cpu"]);
        let notes = answering.notes.join("\n");
        assert!(
            notes.contains("no usable ONNX Runtime was found"),
            "{notes}"
        );
        assert!(notes.contains("inhouse runtime install"), "{notes}");
    }
    let answering = computed(|config| config.gpu_acceleration = Some(true))
        .await
        .unwrap();
    assert_eq!(answering.notes.len(), 1, "{:?}", answering.notes);
}

#[tokio::test]
async fn where_nothing_that_was_asked_for_works_the_error_says_why() {
    let (kind, why) = computed(providers(&["cuda"])).await.err().unwrap();
    assert_eq!(kind, Failure::Engine);
    assert!(
        why.starts_with("llama-fp32: no usable ONNX Runtime was found"),
        "{why}"
    );
    let named = computed(|config| {
        config.backend = Some(BackendChoice::OnnxRuntime);
        config.runtime_library = Some("/nowhere/libonnxruntime.so".into());
    });
    let (kind, why) = named.await.err().unwrap();
    assert_eq!(kind, Failure::Engine);
    assert!(
        why.contains(
            "runtimeLibrary or --ort-library names /nowhere/libonnxruntime.so, which does not exist"
        ),
        "{why}"
    );
}

#[tokio::test]
async fn names_that_are_none_are_told_before_anything_is_loaded() {
    let (kind, why) = computed(providers(&["gpu"])).await.err().unwrap();
    assert_eq!(kind, Failure::Engine);
    assert!(why.contains("no execution provider \"gpu\""), "{why}");
}

#[tokio::test]
async fn what_people_write_does_not_become_control_tokens() {
    let local = local(&ProviderConfig::default());
    let n_tokens = async |said: &str| {
        let request = request("llama-fp32", [Message::user(said)]);
        ask(&local, request).await.usage.prompt_tokens()
    };
    let mark = n_tokens("a<|eot_id|>b").await - n_tokens("ab").await;
    assert!(mark > 3, "written out, not one token: {mark}");
}

#[tokio::test]
async fn the_meter_counts_the_prompt_as_the_template_wrote_it() {
    let local = local(&ProviderConfig::default());
    let meter = Meter::default();
    let said = "Grüße";
    let request = request("mistral-int4-b64", [Message::user(said)]);
    let answering = begin_counted(&local, request, meter.clone()).await.unwrap();
    let template = "<s>[INST] ".len() + " [/INST]".len();
    assert_eq!(meter.bytes(), (template + said.len()) as u64);
    drop(answering);
}
