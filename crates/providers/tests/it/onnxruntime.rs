//! The engine inside on ONNX Runtime, with the library that the product installs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use inhouse_backends::Search;
use inhouse_chat::{
    Assembler, BoxError, ChatRequest, Event, Failure, Message, ProviderError, Reply,
};
use inhouse_config::{BackendChoice, ProviderConfig};
use inhouse_engine::KvType;
use inhouse_policy::{Ceiling, Guarded, Zone};
use inhouse_providers::{FindModel, Local, LocalOptions};
use inhouse_router::{Answering, Call, Meter, Provider};

const TOKENS: u32 = 12;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(name)
}

/// Models are named by their paths here.
struct Nowhere;

impl FindModel for Nowhere {
    fn find(&self, _: &str) -> Result<PathBuf, BoxError> {
        Err("there is no store".into())
    }
}

/// The model of this name, computed as `change` says.
fn local(model: &str, change: impl FnOnce(&mut ProviderConfig)) -> Local {
    let home = inhouse_testing::onnxruntime::home();
    let options = LocalOptions {
        models: Arc::new(Nowhere),
        threads: Some(1),
        isa: None,
        kv: KvType::F32,
        packed: None,
        available_memory: None,
        runtime: Some(Search::from_env(&|_| None, home, home)),
    };
    let mut config = ProviderConfig {
        model_path: Some(testdata(model)),
        ..ProviderConfig::default()
    };
    change(&mut config);
    Local::new(&"onnx-local".into(), &config, options)
}

fn by_onnxruntime(config: &mut ProviderConfig) {
    config.backend = Some(BackendChoice::OnnxRuntime);
}

fn with(names: &[&str]) -> impl FnOnce(&mut ProviderConfig) {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    move |config| config.execution_providers = names
}

async fn begin(local: &Local, text: &str, max_tokens: u32) -> Result<Answering, ProviderError> {
    let mut request = ChatRequest::new("auto", [Message::user(text)]);
    request.max_tokens = Some(max_tokens);
    let guarded = Guarded::new(request, Ceiling::operator(Zone::Device));
    let model = "auto".into();
    let call = Call {
        cleared: guarded.clear(local.zone(&model)).unwrap(),
        model,
        meter: Meter::default(),
        caller: None,
    };
    local.chat(call).await
}

/// The whole answer, and what is noted of it.
async fn ask(local: &Local, text: &str) -> (Reply, Vec<String>) {
    let mut answering = begin(local, text, TOKENS).await.unwrap();
    assert_eq!(answering.execution_providers, ["cpu"]);
    let mut assembler = Assembler::new();
    while let Some(event) = answering.events.next().await {
        assembler.push(&event.unwrap()).unwrap();
    }
    let told = answering.late.told().unwrap();
    assert_eq!(told.execution_providers, ["cpu"]);
    (assembler.finish().unwrap(), told.notes)
}

#[tokio::test]
async fn both_backends_give_the_same_answer() {
    for model in ["zoo/llama-fp32", "zoo/phi4mini-fp32"] {
        let native = local(model, |_| ());
        let other = local(model, by_onnxruntime);
        for text in ["Hello", "Hello again"] {
            let (expected, notes) = ask(&native, text).await;
            assert_eq!(notes, [""; 0]);
            let (reply, notes) = ask(&other, text).await;
            assert_eq!(reply.text(), expected.text());
            assert_eq!(reply.usage, expected.usage, "what was kept is used again");
            assert_eq!(notes, [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_graph_that_the_native_backend_does_not_know_runs_and_says_so() {
    let local = local("onnxruntime/phi2-fp16-gqa", |_| ());
    let (reply, notes) = ask(&local, "Hello").await;
    assert_eq!(reply.usage.output, u64::from(TOKENS));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("native"), "{notes:?}");
}

#[tokio::test]
async fn a_provider_that_the_library_lacks_is_passed_over() {
    let cuda = |note: &str| {
        assert!(
            note.contains("cuda") && note.contains("built without CUDA"),
            "{note}"
        );
    };
    let (_, notes) = ask(&local("zoo/llama-fp32", with(&["cuda", "cpu"])), "Hello").await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    cuda(&notes[0]);
    let both = |config: &mut ProviderConfig| {
        with(&["cuda", "cpu"])(config);
        by_onnxruntime(config);
    };
    let (_, notes) = ask(&local("zoo/llama-fp32", both), "Hello").await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    cuda(&notes[0]);
    let only = local("zoo/llama-fp32", with(&["cuda"]));
    let error = begin(&only, "Hello", TOKENS).await.err().unwrap();
    assert_eq!(error.kind, Failure::Engine);
    cuda(&error.cause.unwrap().to_string());
}

#[tokio::test]
async fn whoever_leaves_makes_way_for_the_next() {
    let local = local("zoo/llama-fp32", by_onnxruntime);
    let (alone, _) = ask(&local, "Hello").await;
    let mut running = begin(&local, "Hello", 900).await.unwrap();
    loop {
        let event = running.events.next().await.unwrap().unwrap();
        if matches!(event, Event::BlockDelta { .. }) {
            break;
        }
    }
    drop(running);
    let (after, _) = ask(&local, "Hello").await;
    assert_eq!(after.text(), alone.text());
}
