//! A stream's two forms: server-sent events, and one JSON array of the same objects where `alt=sse` was not asked for.

use inhouse_chat::Event;

use super::stream::Chunks;
use crate::sse::{Frame, MAX_EVENT};
use crate::stream::{SseDialect, SseReader, StreamReader};
use crate::{StreamError, WireError};

/// Reads either form: an array begins with a bracket, and no event does.
#[derive(Debug, Default)]
pub(super) struct Reader {
    sse: SseReader<Chunks>,
    array: Option<Array>,
    begun: bool,
}

impl StreamReader for Reader {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        let mut bytes = bytes;
        if !self.begun {
            bytes = bytes.trim_ascii_start();
            let Some(first) = bytes.first() else {
                return Ok(());
            };
            self.begun = true;
            // An object alone is an error that came in place of a stream.
            self.array = matches!(first, b'[' | b'{').then(Array::default);
        }
        match &mut self.array {
            Some(array) => array.push(bytes, events),
            None => self.sse.push(bytes, events),
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        match &mut self.array {
            Some(array) => array.finish(events),
            None => self.sse.finish(events),
        }
    }
}

/// Cuts the objects out of an array whose bytes come in pieces.
#[derive(Debug, Default)]
struct Array {
    chunks: Chunks,
    object: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    failed: Option<StreamError>,
}

impl Array {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let read = bytes.iter().try_for_each(|&byte| self.byte(byte, events));
        read.inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn byte(&mut self, byte: u8, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let is_outside = self.depth == 0;
        if is_outside && byte != b'{' {
            return match byte {
                b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' => Ok(()),
                _ => Err(WireError::NotJson { what: "the stream" }.into()),
            };
        }
        if self.object.len() == MAX_EVENT {
            return Err(WireError::TooLong { limit: MAX_EVENT }.into());
        }
        self.object.push(byte);
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth > 0 {
            return Ok(());
        }
        let data = std::mem::take(&mut self.object);
        self.chunks.frame(Frame::Event { name: None, data }, events)
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let read = match self.depth {
            0 => self.chunks.finish(events),
            _ => Err(StreamError::CutOff),
        };
        read.inspect_err(|error| self.failed = Some(error.clone()))
    }
}
