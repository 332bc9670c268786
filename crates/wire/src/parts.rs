//! Parts of a streamed answer: a protocol's own keys to our dense indexes.

use std::collections::HashMap;
use std::hash::Hash;

use inhouse_chat::{Block, BlockKind, Delta, Event};

use crate::WireError;

/// The parts that have begun, by the protocol's key. A key may be used again after its part ended.
#[derive(Debug)]
pub(crate) struct Parts<K> {
    begun: usize,
    open: HashMap<K, (usize, Growth)>,
}

/// What a part grows by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Growth {
    Text,
    Refusal,
    Thinking,
    Input,
    Nothing,
}

impl<K> Default for Parts<K> {
    fn default() -> Self {
        Self {
            begun: 0,
            open: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash> Parts<K> {
    /// How many have begun, and so the index of the next.
    pub(crate) fn begun(&self) -> usize {
        self.begun
    }

    pub(crate) fn is_open(&self, key: &K) -> bool {
        self.open.contains_key(key)
    }

    /// Whether it is open and of a kind that does not grow in our own words.
    pub(crate) fn is_other(&self, key: &K) -> bool {
        matches!(self.open.get(key), Some((_, Growth::Nothing)))
    }

    /// A part begins. Its words must be empty: they come as deltas.
    pub(crate) fn start(
        &mut self,
        key: K,
        block: Block,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        let index = self.begun;
        if self
            .open
            .insert(key, (index, growth(&block.kind)))
            .is_some()
        {
            return Err(WireError::Disorder("a part began twice"));
        }
        self.begun += 1;
        events.push(Event::BlockStart { index, block });
        Ok(())
    }

    /// A part grows.
    pub(crate) fn grow(
        &mut self,
        key: &K,
        delta: Delta,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        let Some(&(index, growth)) = self.open.get(key) else {
            return Err(WireError::Disorder("a part grew that was not open"));
        };
        let fits = match delta {
            Delta::Text(_) => growth == Growth::Text,
            Delta::Refusal(_) => growth == Growth::Refusal,
            Delta::Thinking(_) | Delta::Signature(_) => growth == Growth::Thinking,
            Delta::Input(_) => growth == Growth::Input,
            Delta::Other(..) => true,
        };
        if !fits {
            let why = "a part grew by something it is not made of";
            return Err(WireError::Disorder(why));
        }
        events.push(Event::BlockDelta { index, delta });
        Ok(())
    }

    /// A part ends, if it is open.
    pub(crate) fn end(&mut self, key: &K, events: &mut Vec<Event>) {
        if let Some((index, _)) = self.open.remove(key) {
            events.push(Event::BlockEnd { index });
        }
    }

    /// Every open part ends, in the order in which they began.
    pub(crate) fn end_all(&mut self, events: &mut Vec<Event>) {
        let mut open: Vec<usize> = self.open.drain().map(|(_, (index, _))| index).collect();
        open.sort_unstable();
        let ends = open.into_iter().map(|index| Event::BlockEnd { index });
        events.extend(ends);
    }
}

fn growth(kind: &BlockKind) -> Growth {
    match kind {
        BlockKind::Text(_) => Growth::Text,
        BlockKind::Refusal(_) => Growth::Refusal,
        BlockKind::Thinking { .. } => Growth::Thinking,
        BlockKind::ToolUse { .. } => Growth::Input,
        BlockKind::Image(_)
        | BlockKind::Document { .. }
        | BlockKind::Audio(_)
        | BlockKind::ToolResult { .. }
        | BlockKind::RedactedThinking { .. }
        | BlockKind::Other { .. } => Growth::Nothing,
    }
}
