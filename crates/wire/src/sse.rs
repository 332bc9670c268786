//! Server-sent events, as the HTML standard defines them, from bytes cut anywhere.

use std::mem;

use bytes::Bytes;

use crate::WireError;

/// No provider sends a longer event; a longer one is an attack or a defect. Pictures in answers are megabytes.
pub(crate) const MAX_EVENT: usize = 16 << 20;

/// One thing of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Frame {
    /// An event: its name, where stated, and its data.
    Event { name: Option<String>, data: Vec<u8> },
    /// A line that only keeps the connection alive.
    Comment,
}

/// Cuts bytes into frames. Lines end with CR, LF or CRLF; data may have several lines; a byte order mark is skipped.
#[derive(Debug, Default)]
pub(crate) struct Sse {
    line: Vec<u8>,
    name: Option<String>,
    data: Option<Vec<u8>>,
    after_cr: bool,
    begun: bool,
}

impl Sse {
    /// Takes bytes and gives `each` every frame that is whole. An error of `each` stops it.
    pub(crate) fn push<E: From<WireError>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..]; // the second half of CRLF
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (piece, ended) = rest.split_at(end.unwrap_or(rest.len()));
            let held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
            if held + piece.len() > MAX_EVENT {
                return Err(WireError::TooLong { limit: MAX_EVENT }.into());
            }
            self.line.extend_from_slice(piece);
            rest = ended;
            if let Some((&byte, after)) = ended.split_first() {
                self.after_cr = byte == b'\r';
                rest = after;
                if let Some(frame) = self.end_line() {
                    each(frame)?;
                }
            }
        }
        Ok(())
    }

    /// The event that no empty line ended, if any. The standard drops it; some servers leave the line out.
    pub(crate) fn finish(&mut self) -> Option<Frame> {
        if !self.line.is_empty() {
            // A comment in the last line is nothing to wait for.
            let _ = self.end_line();
        }
        self.dispatch()
    }

    fn end_line(&mut self) -> Option<Frame> {
        let line = mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" => return Some(Frame::Comment),
            b"event" => self.name = Some(String::from_utf8_lossy(value).into_owned()),
            b"data" => self.add_data(value),
            _ => {} // `id`, `retry` and what is not defined: the standard says to ignore them
        }
        None
    }

    fn add_data(&mut self, value: &[u8]) {
        match &mut self.data {
            None => self.data = Some(value.to_vec()),
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
    }

    fn dispatch(&mut self) -> Option<Frame> {
        let name = self.name.take();
        let data = self.data.take()?;
        Some(Frame::Event { name, data })
    }
}

/// Writes one event; `json` has no line breaks.
pub(crate) fn event(name: Option<&str>, json: &serde_json::Value) -> Bytes {
    let data = json.to_string();
    Bytes::from(match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
        let (mut sse, mut frames) = (Sse::default(), Vec::new());
        for piece in pieces {
            sse.push(piece, |frame| {
                frames.push(frame);
                Ok::<_, WireError>(())
            })
            .unwrap();
        }
        frames.extend(sse.finish());
        frames
    }

    fn event(name: Option<&str>, data: &str) -> Frame {
        let (name, data) = (name.map(str::to_owned), data.into());
        Frame::Event { name, data }
    }

    fn check(stream: &str, expected: &[Frame]) {
        let bytes = stream.as_bytes();
        assert_eq!(frames(&[bytes]), expected, "whole: {stream:?}");
        for at in 0..bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(frames(&[left, right]), expected, "cut at {at}: {stream:?}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&single), expected, "byte by byte: {stream:?}");
    }

    #[test]
    fn lines_end_in_three_ways() {
        let expected = [event(Some("a"), "1"), event(None, "2")];
        check("event: a\ndata: 1\n\ndata: 2\n\n", &expected);
        check("event: a\rdata: 1\r\rdata: 2\r\r", &expected);
        check("event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", &expected);
    }

    #[test]
    fn data_of_several_lines_is_joined() {
        check("data: {\ndata: }\n\n", &[event(None, "{\n}")]);
        check("data:a\ndata\ndata:b\n\n", &[event(None, "a\n\nb")]);
    }

    #[test]
    fn a_byte_order_mark_and_unknown_fields_are_skipped() {
        check("\u{feff}data: é\nid: 4\nretry: 1\n\n", &[event(None, "é")]);
    }

    #[test]
    fn comments_keep_the_line_alive() {
        check(
            ": OPENROUTER PROCESSING\n\ndata: 1\n\n",
            &[Frame::Comment, event(None, "1")],
        );
    }

    #[test]
    fn an_event_without_data_is_none() {
        check("event: ping\n\ndata: 1\n\n", &[event(None, "1")]);
    }

    #[test]
    fn a_last_event_needs_no_empty_line() {
        check("data: 1", &[event(None, "1")]);
        check("data: 1\n", &[event(None, "1")]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut sse = Sse::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..17)
            .map(|_| sse.push(&piece, |_| Ok::<_, WireError>(())))
            .find(Result::is_err);
        assert_eq!(refused, Some(Err(WireError::TooLong { limit: MAX_EVENT })));
    }
}
