//! A conversation as the template wrote it.

use std::fmt;
use std::ops::Range;

/// A rendered conversation: the prompt, and which parts of it came with the messages rather than from the template.
///
/// Only what the template wrote can become a control token. `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedChat {
    text: String,
    provenance: Provenance,
}

/// Where the bytes of a rendered conversation come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// The byte ranges that came with the messages, in order, apart from each other.
    Known(Vec<Range<usize>>),
    /// It could not be found out; these texts may be anywhere.
    Unknown(Vec<String>),
}

impl RenderedChat {
    pub(crate) fn new(text: String, provenance: Provenance) -> Self {
        Self { text, provenance }
    }

    /// A prompt that is trusted as a whole: every control token in it counts.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self::new(text.into(), Provenance::Known(Vec::new()))
    }

    /// The prompt.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The byte ranges of the prompt that came with the messages, in order, or `None` where the template does not let
    /// them be told from its own words. White space may be counted to either side.
    pub fn message_ranges(&self) -> Option<&[Range<usize>]> {
        match &self.provenance {
            Provenance::Known(ranges) => Some(ranges),
            Provenance::Unknown(_) => None,
        }
    }

    pub(crate) fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

impl fmt::Debug for RenderedChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RenderedChat({} bytes)", self.text.len())
    }
}
