//! Pieces of an answer, as a stream brings them.

use crate::{Block, Extra, ModelName, StopReason, Text, Usage};

/// One piece of an answer. Parts are keyed by index and may grow in turns: two calls of tools can be open at once.
///
/// The order is `Start`, then parts (`BlockStart`, any `BlockDelta`, `BlockEnd` for each index), then `End`; `Ping`
/// comes anywhere. Every protocol's stream becomes this one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start {
        /// The provider's identifier of it.
        id: String,
        /// The model that answers, as the provider names it.
        model: ModelName,
        /// What is known of it now: the prompt's tokens, with Anthropic; zeros elsewhere.
        usage: Usage,
    },
    /// A part begins. Words, thoughts and arguments in it are empty here and come as deltas.
    BlockStart {
        /// Its place in the answer.
        index: usize,
        /// The part.
        block: Block,
    },
    /// A part grows.
    BlockDelta {
        /// Its place in the answer.
        index: usize,
        /// By what.
        delta: Delta,
    },
    /// A part is whole.
    BlockEnd {
        /// Its place in the answer.
        index: usize,
    },
    /// The answer is whole.
    End {
        /// Why it ended.
        stop: StopReason,
        /// What it took, all of it.
        usage: Usage,
        /// What only the protocol it came in knows.
        extra: Extra,
    },
    /// Nothing yet, but the line is alive.
    Ping,
}

/// By what a part grows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delta {
    /// Words.
    Text(Text),
    /// Words of a refusal.
    Refusal(Text),
    /// Words of a thought.
    Thinking(Text),
    /// The signature of a thought: the whole, and after its words.
    Signature(String),
    /// A piece of the JSON of a tool's arguments.
    Input(Text),
    /// Something that only one protocol knows (a citation): kept beside the part.
    Other(crate::Dialect, crate::Json),
}
