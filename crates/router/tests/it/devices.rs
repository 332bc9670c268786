//! What computed an answer: said as it was at the end, not as it was at the beginning.

use futures_util::StreamExt;
use inhouse_chat::Failure;
use inhouse_policy::Zone;
use inhouse_router::AnswerMetadata;

use crate::support::{Act, Scripted, World, ask, world};

const HERE: &str = r#"{ "defaultProvider": "onnx-local" }"#;

fn loses(failure: Option<Failure>) -> World {
    let act = Act::LoseDevice("one two three", failure);
    world(HERE, [Scripted::new("onnx-local", Zone::Device, act)])
}

fn check(metadata: &AnswerMetadata, providers: &[&str], notes: &[&str]) {
    assert_eq!(metadata.execution_providers, providers);
    assert_eq!(metadata.notes, notes);
}

const AT_FIRST: [&str; 1] = ["tensorrt is missing"];
const AT_LAST: [&str; 2] = ["tensorrt is missing", "cuda was lost"];

#[tokio::test(start_paused = true)]
async fn a_whole_answer_says_what_it_was_ended_with() {
    let answer = loses(None).router.chat(ask("x")).await.unwrap();
    check(&answer.metadata, &["cpu"], &AT_LAST);
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_what_it_began_with_and_what_it_was_ended_with() {
    let mut stream = loses(None).router.stream(ask("x")).await.unwrap();
    check(&stream.metadata(), &["cuda", "cpu"], &AT_FIRST);
    while let Some(event) = stream.next().await {
        event.unwrap();
    }
    check(&stream.metadata(), &["cpu"], &AT_LAST);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_says_it_too() {
    let world = loses(Some(Failure::Engine));
    let mut stream = world.router.stream(ask("x")).await.unwrap();
    while let Some(Ok(_)) = stream.next().await {}
    check(&stream.metadata(), &["cpu"], &AT_LAST);
}
