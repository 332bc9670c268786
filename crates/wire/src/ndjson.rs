//! JSON values, one a line, from bytes cut anywhere.

use std::mem;

use crate::WireError;
use crate::sse::MAX_EVENT;

/// Cuts bytes into lines that are not blank.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes bytes and gives `each` every line that is whole. An error of `each` stops it.
    pub(crate) fn push<E: From<WireError>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if self.line.len() + piece.len() > MAX_EVENT {
                return Err(WireError::TooLong { limit: MAX_EVENT }.into());
            }
            self.line.extend_from_slice(piece);
            let ended = pieces.peek().is_some();
            if let Some(line) = ended.then(|| self.finish()).flatten() {
                each(line)?;
            }
        }
        Ok(())
    }

    /// The line that no line feed ended, if any.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let line = mem::take(&mut self.line);
        (!line.trim_ascii().is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let stream = b"{\"a\":1}\r\n\n{\"b\":\"\xc3\xa9\"}\n{}";
        for at in 0..stream.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in [&stream[..at], &stream[at..]] {
                lines
                    .push(piece, |line| {
                        found.push(line);
                        Ok::<_, WireError>(())
                    })
                    .unwrap();
            }
            found.extend(lines.finish());
            let expected: [&[u8]; 3] = [b"{\"a\":1}\r", b"{\"b\":\"\xc3\xa9\"}", b"{}"];
            assert_eq!(found, expected);
        }
    }
}
