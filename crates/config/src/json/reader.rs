//! JSON as people write it, with comments and trailing commas.

use std::iter::Peekable;
use std::str::Chars;

use super::{Member, Node, Origin, Place, Value, Words};

/// How deep values may be nested; no configuration comes near it, and the reader recurses.
const MAX_DEPTH: usize = 64;

/// Where a text stops being JSON, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Reads a whole text.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader {
        chars: text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .chars()
            .peekable(),
        place: Place { line: 1, column: 1 },
        depth: 0,
    };
    reader.blanks()?;
    let node = reader.node()?;
    reader.blanks()?;
    match reader.peek() {
        None => Ok(node),
        Some(found) => Err(reader.unexpected("the end of the file", Some(found))),
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    place: Place,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        if next == '\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Some(next)
    }

    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            place: self.place,
            message: message.into(),
        }
    }

    fn unexpected(&self, wanted: &str, found: Option<char>) -> SyntaxError {
        self.error(match found {
            None => format!("the file ends where {wanted} should be"),
            Some('\n') => format!("the line ends where {wanted} should be"),
            Some(found) => format!("{found:?} is where {wanted} should be"),
        })
    }

    /// Skips blanks and comments.
    fn blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.next();
                }
                Some('/') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), SyntaxError> {
        let start = self.place;
        self.next();
        match self.peek() {
            Some('/') => {
                while self.peek().is_some_and(|next| next != '\n') {
                    self.next();
                }
                Ok(())
            }
            Some('*') => {
                self.next();
                let mut star = false;
                while let Some(next) = self.next() {
                    if star && next == '/' {
                        return Ok(());
                    }
                    star = next == '*';
                }
                Err(SyntaxError {
                    place: start,
                    message: "the comment that begins here has no */".to_owned(),
                })
            }
            found => Err(self.unexpected("the rest of // or /*", found)),
        }
    }

    fn node(&mut self) -> Result<Node, SyntaxError> {
        let place = self.place;
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some('"') => Value::String(Words {
                text: self.string()?,
                origin: Origin::File,
            }),
            Some('-' | '0'..='9') => Value::Number(self.number()?),
            Some('a'..='z' | 'A'..='Z') => self.word()?,
            found => return Err(self.unexpected("a value", found)),
        };
        Ok(Node { place, value })
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, SyntaxError>,
    ) -> Result<Value, SyntaxError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("more than {MAX_DEPTH} values are nested here")));
        }
        self.depth += 1;
        self.next();
        self.blanks()?;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        let mut members = Vec::new();
        while self.peek() != Some('}') {
            let place = self.place;
            if self.peek() != Some('"') {
                let found = self.peek();
                return Err(self.unexpected("a key in double quotes or }", found));
            }
            let name = self.string()?;
            self.blanks()?;
            match self.peek() {
                Some(':') => self.next(),
                found => return Err(self.unexpected("a colon", found)),
            };
            self.blanks()?;
            let node = self.node()?;
            members.push(Member { name, place, node });
            self.comma('}')?;
        }
        self.next();
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, SyntaxError> {
        let mut nodes = Vec::new();
        while self.peek() != Some(']') {
            nodes.push(self.node()?);
            self.comma(']')?;
        }
        self.next();
        Ok(Value::Array(nodes))
    }

    /// After a value: a comma, which may be the last thing, or the end.
    fn comma(&mut self, end: char) -> Result<(), SyntaxError> {
        self.blanks()?;
        match self.peek() {
            Some(',') => {
                self.next();
                self.blanks()
            }
            Some(found) if found == end => Ok(()),
            found => Err(self.unexpected(&format!("a comma or {end}"), found)),
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.place;
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                None | Some('\n') => {
                    return Err(SyntaxError {
                        place: start,
                        message: "the string that begins here has no end on its line".to_owned(),
                    });
                }
                Some(control) if control < ' ' => {
                    return Err(
                        self.error("a control character is in a string; write it as \\u00..")
                    );
                }
                Some(letter) => {
                    text.push(letter);
                    self.next();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.place;
        let wrong = || SyntaxError {
            place: start,
            message: "no such escape in a string; a backslash is written \\\\".to_owned(),
        };
        self.next();
        let escaped = match self.next() {
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.hex().ok_or_else(wrong)?;
                let code = match first {
                    0xd800..0xdc00 => {
                        if self.next() != Some('\\') || self.next() != Some('u') {
                            return Err(wrong());
                        }
                        match self.hex() {
                            Some(second @ 0xdc00..0xe000) => {
                                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                            }
                            _ => return Err(wrong()),
                        }
                    }
                    code => code,
                };
                char::from_u32(code).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        };
        Ok(escaped)
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |code, _| Some(code * 16 + self.next()?.to_digit(16)?))
    }

    fn number(&mut self) -> Result<String, SyntaxError> {
        let start = self.place;
        let mut text = String::new();
        while let Some(next @ ('-' | '+' | '.' | 'e' | 'E' | '0'..='9')) = self.peek() {
            text.push(next);
            self.next();
        }
        // What serde_json takes for a number is one, by the book.
        match serde_json::from_str::<serde_json::Number>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(SyntaxError {
                place: start,
                message: format!("{text} is no number"),
            }),
        }
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let start = self.place;
        let mut word = String::new();
        while let Some(next @ ('a'..='z' | 'A'..='Z' | '0'..='9' | '_')) = self.peek() {
            word.push(next);
            self.next();
        }
        match word.as_str() {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(SyntaxError {
                place: start,
                // Not quoted: it may be a key that lost its quotes.
                message: "a bare word is where a value should be; put double quotes around it"
                    .to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
