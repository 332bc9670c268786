//! What a scripted upstream does with a request.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// An answer as scripted: status and headers, then pieces of the body with waits between, and how it ends.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) way: Way,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) wait_first: Duration,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) pause: Duration,
    pub(crate) ending: Ending,
}

/// Whether there is an answer at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Answer,
    Silence,
    Close,
}

/// How the reader of the answer knows its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// What comes after the last piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Whole,
    Cut,
    Silence,
}

// === how it begins ===

impl Answer {
    /// A status and a body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            way: Way::Answer,
            status,
            headers: Vec::new(),
            framing: Framing::Length,
            wait_first: Duration::ZERO,
            pieces: vec![body.into()],
            pause: Duration::ZERO,
            ending: Ending::Whole,
        }
    }

    /// 200 and these words.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::new(200, body).header("content-type", "text/plain")
    }

    /// 200 and this JSON.
    pub fn json(body: &Value) -> Self {
        Self::error(200, body)
    }

    /// This status and this JSON.
    pub fn error(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).header("content-type", "application/json")
    }

    /// 200 and a stream of events, as a fixture holds it. Its pieces are HTTP chunks; at first it is one.
    pub fn sse(body: impl Into<Bytes>) -> Self {
        Self::stream("text/event-stream", body)
    }

    /// 200 and a stream of JSON lines, as Ollama sends it.
    pub fn json_lines(body: impl Into<Bytes>) -> Self {
        Self::stream("application/x-ndjson", body)
    }

    /// 302 to another address.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::new(status, "").header("location", to)
    }

    /// The request is read and never answered; the connection stays open until the caller closes it.
    pub fn silence() -> Self {
        Self::bare(Way::Silence)
    }

    /// The connection is closed as soon as it is accepted, or, where an earlier request had kept it open, as soon as the
    /// next request has been read.
    pub fn close() -> Self {
        Self::bare(Way::Close)
    }

    fn stream(content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::new(200, body).header("content-type", content_type);
        answer.framing = Framing::Chunked;
        answer
    }

    fn bare(way: Way) -> Self {
        let mut answer = Self::new(200, "");
        answer.way = way;
        answer
    }
}

// === how it goes on ===

impl Answer {
    /// With one header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body in pieces that begin at these places in it. Each piece is an HTTP chunk.
    pub fn split_at(mut self, places: &[usize]) -> Self {
        let whole = self.body();
        let mut places: Vec<_> = places.iter().map(|&at| at.min(whole.len())).collect();
        places.extend([0, whole.len()]);
        places.sort_unstable();
        places.dedup();
        self.pieces = places
            .windows(2)
            .map(|ends| whole.slice(ends[0]..ends[1]))
            .collect();
        self.framing = Framing::Chunked;
        self
    }

    /// The body in pieces of `n` bytes.
    pub fn split_every(self, n: usize) -> Self {
        let places: Vec<_> = (0..self.body().len()).step_by(n.max(1)).collect();
        self.split_at(&places)
    }

    /// The body split at up to `n` places that follow from `seed`.
    pub fn split_randomly(self, seed: u64, n: usize) -> Self {
        let len = self.body().len().max(1) as u64;
        // Any mixing will do here; this is Knuth's, from MMIX.
        let mut state = seed;
        let places: Vec<_> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % len) as usize
        })
        .take(n)
        .collect();
        self.split_at(&places)
    }

    /// With a wait before the status.
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait_first = wait;
        self
    }

    /// With a wait before each piece but the first.
    pub fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Only the first `n` bytes of the body, then the connection is dropped without the body's proper end.
    pub fn cut_after(self, n: usize) -> Self {
        let mut answer = self.keep(n);
        answer.ending = Ending::Cut;
        answer
    }

    /// Only the first `n` bytes of the body, then nothing more, on an open connection.
    pub fn silent_after(self, n: usize) -> Self {
        let mut answer = self.keep(n);
        answer.ending = Ending::Silence;
        answer
    }

    /// The body ends where the connection does, so that a cut cannot be told from an end by HTTP alone.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// The whole body as it would be sent.
    pub fn body(&self) -> Bytes {
        match self.pieces.as_slice() {
            [only] => only.clone(),
            pieces => pieces.concat().into(),
        }
    }

    /// Cuts the body, not its stated length: a promise that is then broken is the point.
    fn keep(mut self, n: usize) -> Self {
        let mut left = n;
        for piece in &mut self.pieces {
            piece.truncate(left);
            left -= piece.len();
        }
        self.pieces.retain(|piece| !piece.is_empty());
        if self.framing == Framing::Length {
            self.framing = Framing::Chunked;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_split_and_stays_the_same() {
        let check = |answer: Answer, pieces: &[&str]| {
            assert_eq!(answer.body(), pieces.concat());
            assert_eq!(answer.pieces, pieces);
        };
        check(
            Answer::text("abcdef").split_at(&[2, 2, 5]),
            &["ab", "cde", "f"],
        );
        check(Answer::text("abc").split_at(&[0, 9]), &["abc"]);
        check(Answer::text("abcde").split_every(2), &["ab", "cd", "e"]);
        check(Answer::text("").split_every(2), &[]);
        check(
            Answer::text("abcdef").split_at(&[2, 4]).cut_after(3),
            &["ab", "c"],
        );
    }

    #[test]
    fn random_splits_follow_from_their_seed() {
        let split = |seed| Answer::text("a".repeat(99)).split_randomly(seed, 7).pieces;
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
        assert_eq!(split(1).concat().len(), 99);
    }
}
