use super::*;
use crate::{Dialect, Fields};
use proptest::prelude::*;
use serde_json::json;

fn start() -> Event {
    Event::Start {
        id: "msg_1".into(),
        model: "m".into(),
        usage: Usage::default(),
    }
}

fn end() -> Event {
    Event::End {
        stop: StopReason::EndTurn,
        usage: Usage::default(),
        extra: Extra::default(),
    }
}

fn assemble(events: &[Event]) -> Result<Reply, Disorder> {
    let mut assembler = Assembler::new();
    events.iter().try_for_each(|event| assembler.push(event))?;
    assembler.finish()
}

fn open(index: usize, block: Block) -> Event {
    Event::BlockStart { index, block }
}

fn input(index: usize, piece: &str) -> Event {
    Event::BlockDelta {
        index,
        delta: Delta::Input(piece.into()),
    }
}

#[test]
fn two_calls_grow_in_turns() {
    let call = |id: &str| Block::tool_use(id, "weather", json!(null));
    let reply = assemble(&[
        start(),
        open(0, call("a")),
        open(1, call("b")),
        input(0, "{\"city\":"),
        input(1, "{\"city\":\"Ro"),
        Event::Ping,
        input(0, "\"Paris\"}"),
        input(1, "me\"}"),
        end(),
    ]);
    let content = reply.unwrap().content;
    assert_eq!(
        content[0],
        Block::tool_use("a", "weather", json!({"city": "Paris"}))
    );
    assert_eq!(
        content[1],
        Block::tool_use("b", "weather", json!({"city": "Rome"}))
    );
}

#[test]
fn no_arguments_are_an_empty_object() {
    let call = Block::tool_use("a", "now", json!(null));
    let reply = assemble(&[start(), open(0, call), end()]).unwrap();
    assert_eq!(reply.content, [Block::tool_use("a", "now", json!({}))]);
}

#[test]
fn disorder_is_told_apart() {
    let text = || open(0, Block::text(""));
    let check = |events: &[Event], disorder| assert_eq!(assemble(events), Err(disorder));
    check(&[], Disorder::NoStart);
    check(&[text()], Disorder::NoStart);
    check(&[start(), start()], Disorder::SecondStart);
    check(
        &[start(), open(1, Block::text(""))],
        Disorder::PartOutOfTurn(1),
    );
    check(&[start(), input(0, "{}")], Disorder::PartNotOpen(0));
    check(&[start(), text(), input(0, "{}")], Disorder::WrongDelta(0));
    check(
        &[
            start(),
            text(),
            Event::BlockEnd { index: 0 },
            Event::BlockEnd { index: 0 },
        ],
        Disorder::PartNotOpen(0),
    );
    let call = Block::tool_use("a", "now", json!(null));
    check(
        &[start(), open(0, call), input(0, "{\"a\""), end()],
        Disorder::BadInput(0),
    );
    check(
        &[start(), end(), Event::BlockEnd { index: 0 }],
        Disorder::AfterEnd,
    );
    check(&[start()], Disorder::NoEnd);
}

fn block() -> impl Strategy<Value = Block> {
    let words = "[a-z]{0,9}";
    prop_oneof![
        words.prop_map(Block::text),
        words.prop_map(|text| Block::new(BlockKind::Refusal(text.into()))),
        (words, proptest::option::of(words)).prop_map(|(text, signature)| {
            Block::new(BlockKind::Thinking {
                text: text.into(),
                signature,
            })
        }),
        words.prop_map(|data| Block::new(BlockKind::RedactedThinking { data })),
        (words, words).prop_map(|(id, value)| Block::tool_use(id, "t", json!({ "v": value }))),
    ]
}

proptest! {
    /// What a cache keeps as a reply and replays as a stream is the same answer.
    #[test]
    fn a_reply_comes_back_from_its_events(content in proptest::collection::vec(block(), 0..5), output: u32) {
        let mut fields = Fields::new();
        fields.insert("service_tier".into(), json!("standard"));
        let reply = Reply {
            id: "msg_1".into(),
            model: "m".into(),
            content,
            stop: StopReason::EndTurn,
            usage: Usage { input: 3, output: output.into(), ..Usage::default() },
            extra: Extra::new(Dialect::Anthropic, fields),
        };
        prop_assert_eq!(assemble(&reply.events()), Ok(reply));
    }
}
