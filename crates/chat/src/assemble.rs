//! Pieces to the whole: events of a stream to a reply.

use crate::{
    Block, BlockKind, Delta, Event, Extra, Json, ModelName, Reply, StopReason, Text, Usage,
};

/// Puts the events of a stream together.
///
/// Arguments of tools are parsed when their part ends, never before: pieces of JSON are not JSON.
#[derive(Debug, Default)]
pub struct Assembler {
    start: Option<(String, ModelName)>,
    parts: Vec<Part>,
    usage: Usage,
    end: Option<(StopReason, Extra)>,
}

#[derive(Debug)]
struct Part {
    block: Block,
    input: Text,
    open: bool,
}

/// A stream whose events do not make an answer. Says nothing of what was in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Disorder {
    /// Something came before the start.
    #[error("the stream did not begin with its start")]
    NoStart,
    /// The answer began twice.
    #[error("the stream began twice")]
    SecondStart,
    /// A part began out of turn.
    #[error("part {0} of the answer began out of turn")]
    PartOutOfTurn(usize),
    /// A part grew or ended that was not open.
    #[error("part {0} of the answer grew or ended without being open")]
    PartNotOpen(usize),
    /// A part grew by something else than it is made of.
    #[error("part {0} of the answer grew by something it is not made of")]
    WrongDelta(usize),
    /// Arguments of a tool that are no JSON.
    #[error("part {0} of the answer has arguments for a tool that are not JSON")]
    BadInput(usize),
    /// Something came after the end.
    #[error("the stream went on after its end")]
    AfterEnd,
    /// No end came.
    #[error("the stream stopped before its end")]
    NoEnd,
}

impl Assembler {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn push(&mut self, event: &Event) -> Result<(), Disorder> {
        if matches!(event, Event::Ping) {
            return Ok(());
        }
        if self.end.is_some() {
            return Err(Disorder::AfterEnd);
        }
        if self.start.is_none() && !matches!(event, Event::Start { .. }) {
            return Err(Disorder::NoStart);
        }
        match event {
            Event::Start { id, model, usage } => self.begin(id, model, *usage),
            Event::BlockStart { index, block } => self.open(*index, block),
            Event::BlockDelta { index, delta } => self.grow(*index, delta),
            Event::BlockEnd { index } => self.close(*index),
            Event::End { stop, usage, extra } => {
                self.usage = *usage;
                self.end = Some((stop.clone(), extra.clone()));
                (0..self.parts.len())
                    .filter(|&index| self.parts[index].open)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .try_for_each(|index| self.close(index))
            }
            Event::Ping => Ok(()),
        }
    }

    /// What is known of the tokens so far: what a cancelled stream is billed by.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The whole answer.
    pub fn finish(self) -> Result<Reply, Disorder> {
        let (id, model) = self.start.ok_or(Disorder::NoStart)?;
        let (stop, extra) = self.end.ok_or(Disorder::NoEnd)?;
        Ok(Reply {
            id,
            model,
            content: self.parts.into_iter().map(|part| part.block).collect(),
            stop,
            usage: self.usage,
            extra,
        })
    }

    fn begin(&mut self, id: &str, model: &ModelName, usage: Usage) -> Result<(), Disorder> {
        if self.start.is_some() {
            return Err(Disorder::SecondStart);
        }
        self.start = Some((id.to_owned(), model.clone()));
        self.usage = usage;
        Ok(())
    }

    fn open(&mut self, index: usize, block: &Block) -> Result<(), Disorder> {
        if index != self.parts.len() {
            return Err(Disorder::PartOutOfTurn(index));
        }
        self.parts.push(Part {
            block: block.clone(),
            input: Text::default(),
            open: true,
        });
        Ok(())
    }

    fn grow(&mut self, index: usize, delta: &Delta) -> Result<(), Disorder> {
        let part = self.parts.get_mut(index).filter(|part| part.open);
        let part = part.ok_or(Disorder::PartNotOpen(index))?;
        match (&mut part.block.kind, delta) {
            (BlockKind::Text(text), Delta::Text(piece))
            | (BlockKind::Refusal(text), Delta::Refusal(piece))
            | (BlockKind::Thinking { text, .. }, Delta::Thinking(piece)) => {
                text.push_str(piece.as_str());
            }
            (BlockKind::Thinking { signature, .. }, Delta::Signature(whole)) => {
                *signature = Some(whole.clone());
            }
            (BlockKind::ToolUse { .. }, Delta::Input(piece)) => part.input.push_str(piece.as_str()),
            // Kept by whoever relays the stream; a reply has no place for pieces of another protocol.
            (_, Delta::Other(..)) => {}
            _ => return Err(Disorder::WrongDelta(index)),
        }
        Ok(())
    }

    fn close(&mut self, index: usize) -> Result<(), Disorder> {
        let part = self.parts.get_mut(index).filter(|part| part.open);
        let part = part.ok_or(Disorder::PartNotOpen(index))?;
        part.open = false;
        if let BlockKind::ToolUse { input, .. } = &mut part.block.kind {
            let pieces = std::mem::take(&mut part.input);
            if !pieces.as_str().trim().is_empty() {
                let whole = serde_json::from_str(pieces.as_str());
                *input = Json(whole.map_err(|_| Disorder::BadInput(index))?);
            } else if input.0.is_null() {
                *input = Json(serde_json::json!({})); // no arguments are an empty object
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
