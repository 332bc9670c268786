//! Ids to text as they come, whole characters only.

use std::mem;

use crate::Tokenizer;
use crate::tokenizer::{Piece, Style};

/// Turns ids into text one at a time and never gives half a character.
///
/// The pieces it gives, with what [`Detokenizer::finish`] gives, are what [`Tokenizer::decode`] makes of all ids at
/// once. The work for a token does not depend on how many came before.
pub struct Detokenizer {
    tokenizer: Tokenizer,
    skip_special: bool,
    /// Bytes that are the beginning of a character.
    pending: Vec<u8>,
    /// Whether `pending` came from byte tokens, each of which counts alone when it fails.
    pending_bytes: bool,
    /// Nothing has come yet.
    first: bool,
    /// How many more characters may be taken off the start of the text.
    strip: Option<(char, usize)>,
    window: Window,
}

/// For tokenizers whose decoder is not known here: the last tokens, decoded again with each new one.
#[derive(Default)]
struct Window {
    ids: Vec<u32>,
    /// The text of the first `shown` ids.
    prefix: String,
    shown: usize,
}

impl Detokenizer {
    /// A detokenizer that leaves special tokens out.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let strip = match tokenizer.style() {
            Style::Pieces { strip, .. } => *strip,
            _ => None,
        };
        Self {
            tokenizer: tokenizer.clone(),
            skip_special: true,
            pending: Vec::new(),
            pending_bytes: false,
            first: true,
            strip,
            window: Window::default(),
        }
    }

    /// Whether special tokens are left out (the default) or written as they are.
    #[must_use]
    pub fn skip_special(mut self, skip: bool) -> Self {
        self.skip_special = skip;
        self
    }

    /// The text that is complete with this token; often empty. An id that the vocabulary does not have gives nothing.
    pub fn push(&mut self, id: u32) -> String {
        if self.skip_special && self.tokenizer.is_special(id) {
            return String::new();
        }
        let Some(token) = self.tokenizer.id_to_token(id) else {
            return String::new();
        };
        let first = mem::replace(&mut self.first, false);
        let text = match self.tokenizer.style() {
            Style::Other => return self.window.push(&self.tokenizer, id, self.skip_special),
            Style::Metaspace {
                replacement,
                strip_first: true,
            } if first => Some(Piece::Text(token.replace(*replacement, "").into_bytes())),
            style => style.piece(&token),
        };
        let text = match text {
            Some(Piece::Text(bytes)) => self.push_text(&bytes),
            Some(Piece::Byte(byte)) => self.push_byte(byte),
            None => String::new(),
        };
        self.strip_start(text)
    }

    /// What is still held back: U+FFFD for the bytes of a character that never became whole.
    pub fn finish(mut self) -> String {
        if matches!(self.tokenizer.style(), Style::Other) {
            return self.window.finish(&self.tokenizer, self.skip_special);
        }
        let rest = self.give_up();
        self.strip_start(rest)
    }

    /// Replaces what is pending: byte tokens one by one, other bytes as the one broken character they are.
    fn give_up(&mut self) -> String {
        let count = if self.pending_bytes {
            self.pending.len()
        } else {
            1
        };
        let text = if self.pending.is_empty() {
            String::new()
        } else {
            "\u{fffd}".repeat(count)
        };
        self.pending.clear();
        text
    }

    fn push_text(&mut self, bytes: &[u8]) -> String {
        let mut text = if self.pending_bytes {
            self.give_up()
        } else {
            String::new()
        };
        self.pending_bytes = false;
        self.pending.extend_from_slice(bytes);
        self.take_whole(&mut text, |_| 1);
        text
    }

    fn push_byte(&mut self, byte: u8) -> String {
        let mut text = if self.pending_bytes {
            String::new()
        } else {
            self.give_up()
        };
        self.pending_bytes = true;
        self.pending.push(byte);
        self.take_whole(&mut text, |broken| broken);
        text
    }

    /// Moves what is whole from `pending` to `text`, with U+FFFD for what can no longer become whole.
    fn take_whole(&mut self, text: &mut String, marks: impl Fn(usize) -> usize) {
        let bytes = mem::take(&mut self.pending);
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            let broken = chunk.invalid();
            let at_end = bytes.ends_with(broken)
                && std::ptr::eq(broken.as_ptr_range().end, bytes.as_ptr_range().end);
            if at_end && may_become_whole(broken) {
                self.pending = broken.to_vec();
            } else if !broken.is_empty() {
                text.push_str(&"\u{fffd}".repeat(marks(broken.len())));
            }
        }
    }

    fn strip_start(&mut self, text: String) -> String {
        let Some((content, left)) = self.strip else {
            return text;
        };
        if text.is_empty() {
            return text;
        }
        let cut = text
            .chars()
            .take(left)
            .take_while(|c| *c == content)
            .count();
        let rest: String = text.chars().skip(cut).collect();
        self.strip = (rest.is_empty() && cut < left).then_some((content, left - cut));
        rest
    }
}

/// Whether more bytes could still make a character of these.
fn may_become_whole(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        Err(error) => error.error_len().is_none(),
    }
}

impl Window {
    fn push(&mut self, tokenizer: &Tokenizer, id: u32, skip_special: bool) -> String {
        self.ids.push(id);
        let text = tokenizer.decode_by_crate(&self.ids, skip_special);
        let new = match text.strip_prefix(self.prefix.as_str()) {
            Some(new) if !new.is_empty() && !new.ends_with('\u{fffd}') => new.to_owned(),
            _ => return String::new(),
        };
        // The tokens given last time drop out; those given now stay as context for the next.
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        self.prefix = tokenizer.decode_by_crate(&self.ids, skip_special);
        new
    }

    fn finish(self, tokenizer: &Tokenizer, skip_special: bool) -> String {
        let text = tokenizer.decode_by_crate(&self.ids, skip_special);
        text.strip_prefix(self.prefix.as_str())
            .unwrap_or_default()
            .to_owned()
    }
}
