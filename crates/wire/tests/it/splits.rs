//! Streams from pieces, and back.

use inhouse_chat::{Delta, Dialect, Event};
use inhouse_wire::{AnswerOptions, StreamError};
use proptest::sample::Index;

/// All events of a stream, and how it ended.
pub(crate) fn read<'a>(
    dialect: Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut reader, mut events) = (inhouse_wire::stream_reader(dialect), Vec::new());
    for piece in pieces {
        if let Err(error) = reader.push(piece, &mut events) {
            return (events, Err(error));
        }
    }
    let end = reader.finish(&mut events);
    (events, end)
}

/// The bytes, cut at these places.
pub(crate) fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let (mut rest, mut begun, mut pieces) = (bytes, 0, Vec::new());
    for end in at {
        let (piece, after) = rest.split_at(end - begun);
        pieces.push(piece);
        (rest, begun) = (after, end);
    }
    pieces.push(rest);
    pieces
}

/// The bytes of a stream.
pub(crate) fn write(dialect: Dialect, events: &[Event]) -> Vec<u8> {
    let options = AnswerOptions {
        created: 0,
        include_usage: true,
    };
    let mut writer = inhouse_wire::stream_writer(dialect, options);
    let bytes = events.iter().map(|event| writer.push(event).to_vec());
    bytes.collect::<Vec<_>>().concat()
}

/// Events without regard to how words were cut: neighbours of one part and kind are joined.
pub(crate) fn merged(events: &[Event]) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    for event in events {
        if let (
            Some(Event::BlockDelta { index, delta }),
            Event::BlockDelta {
                index: next,
                delta: more,
            },
        ) = (out.last_mut(), event)
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
        out.push(event.clone());
    }
    out
}
