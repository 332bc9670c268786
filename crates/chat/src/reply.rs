//! A whole answer.

use crate::{Block, BlockKind, Delta, Event, Extra, ModelName, Text, Usage};

/// A whole answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The provider's identifier of it.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: ModelName,
    /// Its parts, in order.
    pub content: Vec<Block>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it took.
    pub usage: Usage,
    /// What only the protocol it came in knows.
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum StopReason {
    /// The model was done.
    EndTurn,
    /// The most tokens allowed.
    MaxTokens,
    /// The model's context is full.
    ContextFull,
    /// One of the texts that end it; which, where the provider says so.
    StopSequence(Option<Text>),
    /// It asks for tools.
    ToolUse,
    /// The provider's tool needs another turn (Anthropic's `pause_turn`).
    Pause,
    /// The model or the provider's filter declined.
    Refusal,
    /// Something else, in the provider's word.
    Other(String),
}

impl Reply {
    /// All its words, without thoughts and tools.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(Block::as_text)
            .map(Text::as_str)
            .collect()
    }

    /// The answer as the events of a stream, each part in one piece. An [`Assembler`](crate::Assembler) gives it back.
    pub fn events(&self) -> Vec<Event> {
        let start = Event::Start {
            id: self.id.clone(),
            model: self.model.clone(),
            usage: Usage {
                output: 0,
                ..self.usage
            },
        };
        let parts = self.content.iter().enumerate();
        let end = Event::End {
            stop: self.stop.clone(),
            usage: self.usage,
            extra: self.extra.clone(),
        };
        std::iter::once(start)
            .chain(parts.flat_map(|(index, block)| block_events(index, block)))
            .chain([end])
            .collect()
    }
}

/// A part opens empty, grows by one delta and closes, as providers send it.
fn block_events(index: usize, block: &Block) -> Vec<Event> {
    let mut open = block.clone();
    let deltas = match &mut open.kind {
        BlockKind::Text(text) => vec![Delta::Text(std::mem::take(text))],
        BlockKind::Refusal(text) => vec![Delta::Refusal(std::mem::take(text))],
        BlockKind::Thinking { text, signature } => {
            let thought = Delta::Thinking(std::mem::take(text));
            std::iter::once(thought)
                .chain(signature.take().map(Delta::Signature))
                .collect()
        }
        BlockKind::ToolUse { input, .. } => {
            let whole = std::mem::take(input).0.to_string();
            vec![Delta::Input(whole.into())]
        }
        _ => Vec::new(),
    };
    let mut events = vec![Event::BlockStart { index, block: open }];
    events.extend(
        deltas
            .into_iter()
            .map(|delta| Event::BlockDelta { index, delta }),
    );
    events.push(Event::BlockEnd { index });
    events
}
