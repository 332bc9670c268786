//! What messages are made of.

use crate::{Dialect, Extra, Json, Text};

/// One part of a message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// A provider that caches prompts is asked to cache up to here, for so long.
    pub cache: Option<CacheTtl>,
    /// What only the protocol it came in knows.
    pub extra: Extra,
}

/// What a part of a message is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum BlockKind {
    /// Words.
    Text(Text),
    /// A picture.
    Image(Source),
    /// A document: a PDF, plain text.
    Document {
        /// Its bytes, or where they are.
        source: Source,
        /// Its title or file name.
        title: Option<Text>,
    },
    /// Sound; the media type tells its format.
    Audio(Source),
    /// The model asks for a tool to be run.
    ToolUse {
        /// The identifier that the result will carry.
        id: String,
        /// The tool's name.
        name: String,
        /// Its arguments, an object.
        input: Json,
    },
    /// What a tool that the model asked for gave.
    ToolResult {
        /// The identifier of the [`ToolUse`](Self::ToolUse).
        tool_use_id: String,
        /// What it gave: text, images, documents.
        content: Vec<Block>,
        /// Whether it failed.
        is_error: bool,
    },
    /// What the model thought.
    Thinking {
        /// The thought, or its summary; empty where the provider keeps it to itself.
        text: Text,
        /// The provider's signature, without which it does not take the thought back.
        signature: Option<String>,
    },
    /// A thought that the provider encrypted.
    RedactedThinking {
        /// As it came.
        data: String,
    },
    /// The model declined, in these words (OpenAI's `refusal`).
    Refusal(Text),
    /// Something that only one protocol knows: forwarded to it, refused elsewhere, for a model would have read it.
    Other {
        /// The protocol.
        dialect: Dialect,
        /// The part as it came.
        value: Json,
    },
}

/// For how long a provider is asked to cache a prompt.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CacheTtl {
    /// Five minutes, the usual time.
    FiveMinutes,
    /// An hour.
    Hour,
}

/// Where the bytes of an image, document or sound are.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// Here, in base64.
    Base64 {
        /// As in `image/png`.
        media_type: String,
        /// The bytes, in base64.
        data: Text,
    },
    /// At this address.
    Url {
        /// As in `image/png`, where it was stated.
        media_type: Option<String>,
        /// The address.
        url: Text,
    },
    /// In the provider's own store of files, under this identifier.
    File(String),
    /// Here, as words.
    Text(Text),
}

impl Block {
    /// A part with nothing but its kind.
    pub fn new(kind: BlockKind) -> Self {
        Self {
            kind,
            cache: None,
            extra: Extra::default(),
        }
    }

    /// Words.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::new(BlockKind::Text(text.into()))
    }

    /// A request of the model for a tool.
    pub fn tool_use(
        id: impl Into<String>,
        name: impl Into<String>,
        input: serde_json::Value,
    ) -> Self {
        Self::new(BlockKind::ToolUse {
            id: id.into(),
            name: name.into(),
            input: Json(input),
        })
    }

    /// What a tool gave, as words.
    pub fn tool_result(tool_use_id: impl Into<String>, text: impl Into<Text>) -> Self {
        Self::new(BlockKind::ToolResult {
            tool_use_id: tool_use_id.into(),
            content: vec![Self::text(text)],
            is_error: false,
        })
    }

    /// The words, where it is words.
    pub fn as_text(&self) -> Option<&Text> {
        match &self.kind {
            BlockKind::Text(text) => Some(text),
            _ => None,
        }
    }
}
