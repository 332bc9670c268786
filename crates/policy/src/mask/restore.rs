//! What placeholders stand for, put back into answers.

use std::collections::BTreeMap;

use inhouse_chat::{Block, BlockKind, Delta, Event, Extra, Json, Reply, StopReason, Text};

use super::Mask;
use crate::detect::walk;

/// Restores the events of one stream. Of each part it holds back only what may be the beginning of a placeholder.
#[derive(Debug)]
pub struct Restorer {
    mask: Mask,
    held: BTreeMap<usize, Held>,
}

/// The end of what has come of a part, not yet passed on.
#[derive(Debug)]
struct Held {
    sort: Sort,
    text: Text,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sort {
    Text,
    Refusal,
    Thinking,
    Input,
}

impl Restorer {
    pub(super) fn new(mask: Mask) -> Self {
        Self {
            mask,
            held: BTreeMap::new(),
        }
    }

    /// What to pass on for the next event: nothing, where all of it is held back, or several.
    pub fn push(&mut self, event: Event) -> Vec<Event> {
        if self.mask.is_empty() {
            return vec![event];
        }
        match event {
            Event::BlockStart { index, block } => self.start(index, block),
            Event::BlockDelta { index, delta } => self.grow(index, delta),
            Event::BlockEnd { index } => self.after_rest(index, Event::BlockEnd { index }),
            Event::End {
                stop,
                usage,
                mut extra,
            } => {
                let mut events = self.finish();
                restore_extra(&self.mask, &mut extra);
                events.push(Event::End {
                    stop: restored_stop(&self.mask, stop),
                    usage,
                    extra,
                });
                events
            }
            event @ (Event::Start { .. } | Event::Ping) => vec![event],
        }
    }

    /// What is still held back, where a stream stops before its end.
    pub fn finish(&mut self) -> Vec<Event> {
        let open: Vec<usize> = self.held.keys().copied().collect();
        open.into_iter()
            .filter_map(|index| self.flush(index))
            .collect()
    }

    /// Words that a part brings with its start are pieces like those that follow.
    fn start(&mut self, index: usize, mut block: Block) -> Vec<Event> {
        let first = match &mut block.kind {
            BlockKind::Text(text) => Some(Delta::Text(std::mem::take(text))),
            BlockKind::Refusal(text) => Some(Delta::Refusal(std::mem::take(text))),
            _ => None,
        };
        restore_block(&self.mask, &mut block);
        let mut events = vec![Event::BlockStart { index, block }];
        if let Some(first) = first.filter(|delta| !is_empty(delta)) {
            events.extend(self.grow(index, first));
        }
        events
    }

    fn grow(&mut self, index: usize, delta: Delta) -> Vec<Event> {
        match delta {
            Delta::Text(piece) => self.words(index, Sort::Text, &piece),
            Delta::Refusal(piece) => self.words(index, Sort::Refusal, &piece),
            Delta::Input(piece) => self.words(index, Sort::Input, &piece),
            Delta::Thinking(piece) if self.mask.thoughts => {
                self.words(index, Sort::Thinking, &piece)
            }
            // The signature comes after all words of the thought.
            delta @ Delta::Signature(_) => {
                self.after_rest(index, Event::BlockDelta { index, delta })
            }
            Delta::Other(dialect, Json(mut value)) => {
                walk::change_value(&mut value, 0, &mut |_, text| changed(&self.mask, text));
                let delta = Delta::Other(dialect, Json(value));
                vec![Event::BlockDelta { index, delta }]
            }
            delta @ Delta::Thinking(_) => vec![Event::BlockDelta { index, delta }],
        }
    }

    fn words(&mut self, index: usize, sort: Sort, piece: &Text) -> Vec<Event> {
        let other = self.held.get(&index).is_some_and(|held| held.sort != sort);
        let mut events = Vec::from_iter(other.then(|| self.flush(index)).flatten());
        let held = self.held.remove(&index);
        let mut held = held.map_or_else(String::new, |held| held.text.into_string());
        let write = if sort == Sort::Input {
            in_json
        } else {
            str::to_owned
        };
        let out = advance(&self.mask, &mut held, piece.as_str(), write);
        if !held.is_empty() {
            self.held.insert(
                index,
                Held {
                    sort,
                    text: held.into(),
                },
            );
        }
        // An empty piece that came is passed on; one of which all is held back is not.
        if !out.is_empty() || piece.is_empty() {
            events.push(Event::BlockDelta {
                index,
                delta: sort.delta(out.into()),
            });
        }
        events
    }

    fn after_rest(&mut self, index: usize, event: Event) -> Vec<Event> {
        self.flush(index).into_iter().chain([event]).collect()
    }

    /// What is held back of a part can be no placeholder any more.
    fn flush(&mut self, index: usize) -> Option<Event> {
        let held = self.held.remove(&index)?;
        Some(Event::BlockDelta {
            index,
            delta: held.sort.delta(held.text),
        })
    }
}

impl Sort {
    fn delta(self, text: Text) -> Delta {
        match self {
            Self::Text => Delta::Text(text),
            Self::Refusal => Delta::Refusal(text),
            Self::Thinking => Delta::Thinking(text),
            Self::Input => Delta::Input(text),
        }
    }
}

fn is_empty(delta: &Delta) -> bool {
    matches!(delta, Delta::Text(text) | Delta::Refusal(text) if text.is_empty())
}

/// Takes `piece` after what is `held`, gives what can be passed on, and holds the rest back.
pub(super) fn advance(
    mask: &Mask,
    held: &mut String,
    piece: &str,
    write: fn(&str) -> String,
) -> String {
    let mut out = String::with_capacity(held.len() + piece.len());
    for c in piece.chars() {
        // A placeholder has one `[`, at its start: another begins anew.
        if c == '[' {
            out.push_str(held);
            held.clear();
            held.push(c);
        } else if held.is_empty() {
            out.push(c);
        } else {
            held.push(c);
            if let Some(value) = mask.value(held) {
                out.push_str(&write(value));
                held.clear();
            } else if !mask.begins(held) {
                out.push_str(held);
                held.clear();
            }
        }
    }
    out
}

/// As it is written within a string of JSON.
fn in_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

fn changed(mask: &Mask, text: &str) -> Option<String> {
    text.contains('[').then(|| mask.restore_text(text))
}

/// Restores a whole answer.
pub(super) fn reply(mask: &Mask, mut reply: Reply) -> Reply {
    if mask.is_empty() {
        return reply;
    }
    reply
        .content
        .iter_mut()
        .for_each(|block| restore_block(mask, block));
    restore_extra(mask, &mut reply.extra);
    reply.stop = restored_stop(mask, reply.stop);
    reply
}

fn restore_block(mask: &Mask, block: &mut Block) {
    match &mut block.kind {
        BlockKind::Thinking { signature, .. } if signature.is_some() || !mask.thoughts => {}
        _ => walk::change_block(block, 0, &mut |_, text| changed(mask, text)),
    }
}

fn restore_extra(mask: &Mask, extra: &mut Extra) {
    walk::change_extra(extra, &mut |_, text| changed(mask, text));
}

fn restored_stop(mask: &Mask, stop: StopReason) -> StopReason {
    match stop {
        StopReason::StopSequence(Some(text)) => {
            StopReason::StopSequence(Some(mask.restore_text(text.as_str()).into()))
        }
        stop => stop,
    }
}
