//! Any bytes, cut in any two ways, are the same events and the same end. What was read can be written in every protocol.
//!
//! The first byte chooses the protocol, the second how the rest is cut.

#![no_main]

use inhouse_chat::{Assembler, Delta, Dialect, Disorder, Event};
use inhouse_wire::{AnswerOptions, StreamError, stream_reader, stream_writer};
use libfuzzer_sys::fuzz_target;

const DIALECTS: [Dialect; 6] = [
    Dialect::Anthropic,
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Gemini,
    Dialect::Ollama,
    Dialect::Neutral,
];

fuzz_target!(|bytes: &[u8]| {
    let [which, cut, stream @ ..] = bytes else {
        return;
    };
    let dialect = DIALECTS[usize::from(*which) % DIALECTS.len()];
    let (whole, ended) = read(dialect, [stream]);
    let (events, end) = read(dialect, stream.chunks(usize::from(*cut % 16) + 1));
    assert_eq!(merged(events), merged(whole.clone()));
    assert_eq!(end, ended);

    let mut assembler = Assembler::new();
    for event in &whole {
        match assembler.push(event) {
            // A model may write arguments that are not JSON; everything else is the reader's.
            Ok(()) | Err(Disorder::BadInput(_)) => {}
            Err(disorder) => panic!("{disorder}"),
        }
    }
    for target in DIALECTS {
        let mut writer = stream_writer(target, AnswerOptions::default());
        for event in &whole {
            writer.push(event);
        }
    }
});

fn read<'a>(
    dialect: Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut reader, mut events) = (stream_reader(dialect), Vec::new());
    for piece in pieces {
        if let Err(error) = reader.push(piece, &mut events) {
            return (events, Err(error));
        }
    }
    let end = reader.finish(&mut events);
    (events, end)
}

/// Neighbouring words of one part are joined: how they were cut says nothing.
fn merged(events: Vec<Event>) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    for event in events {
        if let (
            Some(Event::BlockDelta { index, delta }),
            Event::BlockDelta {
                index: next,
                delta: more,
            },
        ) = (out.last_mut(), &event)
            && index == next
        {
            match (delta, more) {
                (Delta::Text(text), Delta::Text(more))
                | (Delta::Refusal(text), Delta::Refusal(more))
                | (Delta::Thinking(text), Delta::Thinking(more))
                | (Delta::Input(text), Delta::Input(more)) => {
                    text.push_str(more.as_str());
                    continue;
                }
                _ => {}
            }
        }
        out.push(event);
    }
    out
}
