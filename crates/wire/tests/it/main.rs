//! Recorded exchanges of the real protocols, in `testdata/wire/<dialect>/`, through every conversion.

mod equal;
mod fixtures;
mod gateway;
mod mutants;
mod random;
mod splits;

use inhouse_chat::{Assembler, BlockKind, Dialect, Disorder, Event, Failure, Reply};
use inhouse_wire::{AnswerOptions, StreamError, WireError, decode_failure};

use equal::{assert_contains, assert_same};
use fixtures::{each, json, targets};
use splits::{merged, read, write};

const OPTIONS: AnswerOptions = AnswerOptions {
    created: 0,
    include_usage: true,
};

#[test]
fn requests_come_back_as_they_went_in() {
    each(".request.json", |dialect, name, bytes| {
        let sent = json(bytes);
        let request = inhouse_wire::decode_request(dialect, sent.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = inhouse_wire::encode_request(dialect, &request)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_same(name, &with_usage_asked(dialect, sent), &again.body);
        assert_eq!(again.notes, [], "{name}");
    });
}

/// The one thing that is added: without it nobody knows what a stream costs.
fn with_usage_asked(dialect: Dialect, mut sent: serde_json::Value) -> serde_json::Value {
    if dialect == Dialect::OpenAiChat && sent["stream"] == true {
        sent["stream_options"]["include_usage"] = true.into();
    }
    sent
}

#[test]
fn requests_become_those_of_another_protocol_or_are_refused_by_name() {
    each(".request.json", |dialect, name, bytes| {
        let request = inhouse_wire::decode_request(dialect, json(bytes)).unwrap();
        for target in targets() {
            match inhouse_wire::encode_request(target, &request) {
                Ok(encoded) => {
                    inhouse_wire::decode_request(target, encoded.body)
                        .unwrap_or_else(|error| panic!("{name} as {target}: {error}"));
                }
                Err(WireError::Unsupported { .. }) => {}
                Err(error) => panic!("{name} as {target}: {error}"),
            }
        }
    });
}

#[test]
fn answers_come_back_with_all_they_had() {
    each(".reply.json", |dialect, name, bytes| {
        let sent = json(bytes);
        let reply = inhouse_wire::decode_reply(dialect, sent.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = inhouse_wire::encode_reply(dialect, &reply, &OPTIONS);
        assert_contains(name, &sent, &again.body);
        let read_again = inhouse_wire::decode_reply(dialect, again.body).unwrap();
        assert_eq!(read_again.content, reply.content, "{name}");
        assert_eq!(read_again.usage, reply.usage, "{name}");
        assert_eq!(read_again.stop, reply.stop, "{name}");
    });
}

#[test]
fn answers_become_those_of_another_protocol() {
    each(".reply.json", |dialect, name, bytes| {
        let reply = inhouse_wire::decode_reply(dialect, json(bytes)).unwrap();
        for target in targets() {
            let encoded = inhouse_wire::encode_reply(target, &reply, &OPTIONS);
            let again = inhouse_wire::decode_reply(target, encoded.body)
                .unwrap_or_else(|error| panic!("{name} as {target}: {error}"));
            assert_eq!(words(&again), words(&reply), "{name} as {target}");
            assert_eq!(calls(&again), calls(&reply), "{name} as {target}");
        }
    });
}

#[test]
fn any_split_of_a_stream_gives_the_same_events() {
    each(".sse", check_splits);
    each(".ndjson", check_splits);
}

fn check_splits(dialect: Dialect, name: &str, bytes: &[u8]) {
    let (whole, ended) = read(dialect, [bytes]);
    for size in [1, 2, 3, 7, 64, 1021] {
        let (events, end) = read(dialect, bytes.chunks(size));
        assert_eq!(merged(&events), merged(&whole), "{name} by {size}");
        assert_eq!(end, ended, "{name} by {size}");
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
        let (left, right) = bytes.split_at(at);
        let (events, end) = read(dialect, [left, right]);
        assert_eq!(merged(&events), merged(&whole), "{name} at {at}");
        assert_eq!(end, ended, "{name} at {at}");
    }
}

#[test]
fn streams_become_answers() {
    let check = |dialect, name: &str, bytes: &[u8]| match answer(dialect, name, bytes) {
        Some(Ok(reply)) => {
            assert!(
                reply.usage.output > 0 || name.contains("sdk_"),
                "{name}: no usage"
            );
            assert!(
                !reply.content.is_empty() || reply.usage.output - reply.usage.reasoning < 5,
                "{name}: no content"
            );
        }
        Some(Err(disorder)) => {
            // The SDK's own fixture for arguments that are cut off.
            assert!(
                matches!(disorder, Disorder::BadInput(_)),
                "{name}: {disorder}"
            );
            assert!(
                name.contains("invalid_json") || name.contains("partial_json"),
                "{name}"
            );
        }
        None => {}
    };
    each(".sse", check);
    each(".ndjson", check);
}

#[test]
fn streams_can_be_written_in_every_protocol_and_read_again() {
    let check = |dialect, name: &str, bytes: &[u8]| {
        let Some(Ok(reply)) = answer(dialect, name, bytes) else {
            return;
        };
        let (events, _) = read(dialect, [bytes]);
        for target in targets() {
            let written = write(target, &events);
            let again = answer(target, name, &written)
                .unwrap_or_else(|| panic!("{name} as {target}: failed"))
                .unwrap_or_else(|error| panic!("{name} as {target}: {error}"));
            assert_eq!(words(&again), words(&reply), "{name} as {target}");
            assert_eq!(calls(&again), calls(&reply), "{name} as {target}");
            assert_eq!(
                again.usage.total_tokens(),
                reply.usage.total_tokens(),
                "{name} as {target}"
            );
            if target == dialect {
                assert_eq!(again.usage, reply.usage, "{name}");
                assert_eq!(again.stop, reply.stop, "{name}");
                assert_eq!(again.content, reply.content, "{name}");
            }
        }
    };
    each(".sse", check);
    each(".ndjson", check);
}

#[test]
fn refusals_tell_whose_fault_they_are() {
    each(".error.json", |_, name, bytes| {
        // The status is not in the fixture; the words must be enough.
        let (failure, _) = decode_failure(400, None, bytes);
        let expected: &[Failure] = match name {
            _ if name.contains("authentication") => &[Failure::Key, Failure::BadRequest],
            _ if name.contains("not_found") => &[Failure::NoSuchModel, Failure::BadRequest],
            _ => return,
        };
        assert!(expected.contains(&failure), "{name}: {failure:?}");
    });
}

/// What a stream says; `None` where it says that it failed.
fn answer(dialect: Dialect, name: &str, bytes: &[u8]) -> Option<Result<Reply, Disorder>> {
    let (events, end) = read(dialect, [bytes]);
    match end {
        Ok(()) => Some(assemble(&events)),
        Err(StreamError::Upstream { .. }) => None,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn assemble(events: &[Event]) -> Result<Reply, Disorder> {
    let mut assembler = Assembler::new();
    events.iter().try_for_each(|event| assembler.push(event))?;
    assembler.finish()
}

/// The words of an answer, a refusal's too: protocols without a place for one say it in words.
fn words(reply: &Reply) -> String {
    let blocks = reply.content.iter();
    blocks
        .filter_map(|block| match &block.kind {
            BlockKind::Text(text) | BlockKind::Refusal(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn calls(reply: &Reply) -> Vec<(String, serde_json::Value)> {
    let tools = reply.content.iter();
    tools
        .filter_map(|block| match &block.kind {
            BlockKind::ToolUse { name, input, .. } => Some((name.clone(), input.0.clone())),
            _ => None,
        })
        .collect()
}
