//! Which protocol something was written in, and what of it only that protocol knows.

use std::fmt;

use serde_json::{Map, Value};

/// A protocol for chats.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Dialect {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's Chat Completions API and all that copy it.
    OpenAiChat,
    /// OpenAI's Responses API.
    OpenAiResponses,
    /// Google's Gemini `generateContent`.
    Gemini,
    /// Ollama's `/api/chat`.
    Ollama,
    /// Our own, as in the documents' example: `model`, `messages`, `metadata`.
    Neutral,
}

impl Dialect {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "Anthropic Messages",
            Self::OpenAiChat => "OpenAI Chat Completions",
            Self::OpenAiResponses => "OpenAI Responses",
            Self::Gemini => "Gemini generateContent",
            Self::Ollama => "Ollama chat",
            Self::Neutral => "inhouse",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Fields of a JSON object, in their order.
pub type Fields = Map<String, Value>;

/// Fields that only the protocol they came in knows: forwarded to it, reported when the target is another.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Extra(Option<Box<(Dialect, Fields)>>);

impl Extra {
    /// Fields that came in `dialect` and that nothing here reads.
    pub fn new(dialect: Dialect, fields: Fields) -> Self {
        Self((!fields.is_empty()).then(|| Box::new((dialect, fields))))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The fields, where they came in `dialect`.
    pub fn of(&self, dialect: Dialect) -> Option<&Fields> {
        let (from, fields) = &**self.0.as_ref()?;
        (*from == dialect).then_some(fields)
    }

    /// The fields that `dialect` does not know, because they came in another.
    pub fn foreign_to(&self, dialect: Dialect) -> Option<(Dialect, &Fields)> {
        let (from, fields) = &**self.0.as_ref()?;
        (*from != dialect).then_some((*from, fields))
    }

    /// The fields and the protocol they came in; policy reads them for personal data.
    pub fn get(&self) -> Option<(Dialect, &Fields)> {
        self.0.as_deref().map(|(from, fields)| (*from, fields))
    }

    /// As [`get`](Self::get), to be changed: policy masks personal data in them.
    pub fn get_mut(&mut self) -> Option<&mut Fields> {
        self.0.as_deref_mut().map(|(_, fields)| fields)
    }
}

/// Names only: values may be what a user wrote.
impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            None => f.write_str("none"),
            Some((from, fields)) => {
                write!(f, "{from}: ")?;
                f.debug_set().entries(fields.keys()).finish()
            }
        }
    }
}
