//! A scripted session, words and clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::EngineError;
use crate::generate::{Clock, Detokenize};
use crate::sampling::Vocabulary;
use crate::session::{Logits, Session, Want};

/// The tokens' texts; 0 ends an answer, 8 and 9 are the halves of a character.
pub(super) const WORDS: [&[u8]; 11] = [
    b"", b"one ", b"two ", b"three ", b"<st", b"op>", b"<str", b"ong>", b"\xc3", b"\xa9", b"user",
];
pub(super) const END: u32 = 0;
pub(super) const PROMPT: [u32; 3] = [10, 10, 10];

/// A detokenizer over [`WORDS`].
#[derive(Default)]
pub(super) struct FakeWords(Vec<u8>);

impl Vocabulary for FakeWords {
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        WORDS.get(id as usize).map(|bytes| bytes.to_vec())
    }
}

impl Detokenize for FakeWords {
    fn push(&mut self, id: u32) -> String {
        self.0.extend(self.token_bytes(id).unwrap_or_default());
        let whole = std::str::from_utf8(&self.0).map_or_else(|error| error.valid_up_to(), str::len);
        String::from_utf8(self.0.drain(..whole).collect()).unwrap()
    }

    fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

/// Milliseconds, moved by the session as it works.
#[derive(Clone, Default)]
pub(super) struct FakeClock(Arc<AtomicU64>);

impl FakeClock {
    pub(super) fn add(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Answers with the scripted tokens, whatever the prompt; a forward takes 10 ms a token.
pub(super) struct Scripted {
    pub(super) answer: Vec<u32>,
    pub(super) fed: Vec<u32>,
    pub(super) prompt_len: usize,
    pub(super) context_length: usize,
    pub(super) clock: FakeClock,
    /// Set while the forward that makes the sequence this long runs.
    pub(super) cancel_at: Option<(usize, Cancel)>,
    /// The forward itself notices the flag.
    pub(super) notices: bool,
}

impl Scripted {
    pub(super) fn new(answer: &[u32]) -> Self {
        Self {
            answer: answer.to_vec(),
            fed: Vec::new(),
            prompt_len: PROMPT.len(),
            context_length: 100,
            clock: FakeClock::default(),
            cancel_at: None,
            notices: false,
        }
    }
}

impl Session for Scripted {
    fn vocab_size(&self) -> usize {
        WORDS.len()
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn ids(&self) -> &[u32] {
        &self.fed
    }

    fn truncate(&mut self, len: usize) {
        self.fed.truncate(len);
    }

    fn extend(&mut self, ids: &[u32], want: Want, cancel: &Cancel) -> Result<Logits, EngineError> {
        assert_eq!(want, Want::Last);
        assert!(
            self.fed.len() + ids.len() <= self.context_length,
            "the loop keeps inside the context"
        );
        self.fed.extend_from_slice(ids);
        self.clock.add(10 * ids.len() as u64);
        if let Some((at, flag)) = &self.cancel_at
            && self.fed.len() >= *at
        {
            flag.cancel();
        }
        if self.notices && cancel.is_cancelled() {
            return Err(EngineError::cancelled());
        }
        let step = self.fed.len() - self.prompt_len;
        let mut data: Vec<f32> = (0..WORDS.len()).map(|id| -(id as f32)).collect();
        let id = self.answer.get(step).copied().unwrap_or(END);
        data[id as usize] = 20.0;
        Ok(Logits {
            rows: 1,
            vocab: data.len(),
            data,
        })
    }
}
