//! How Python writes values: `str`, `repr` and `json.dumps`.

use std::fmt::Write as _;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::marks::Marks;

/// Values nested deeper than this are refused.
const MAX_DEPTH: usize = 200;

/// `str(value)`.
pub(super) fn str(value: &Value, marks: &Marks) -> Result<String, Error> {
    let mut out = String::new();
    match value.as_str() {
        Some(text) => out.push_str(text),
        None if value.is_undefined() => {}
        None => write_repr(&mut out, value, marks, 0)?,
    }
    Ok(out)
}

fn write_repr(out: &mut String, value: &Value, marks: &Marks, depth: usize) -> Result<(), Error> {
    check_depth(depth)?;
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => write_number(out, value),
        ValueKind::String => write_string_repr(out, value.as_str().unwrap_or(""), marks),
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() {
                ('(', ')')
            } else {
                ('[', ']')
            };
            out.push(open);
            let mut count = 0;
            for item in value.try_iter()?.checked() {
                separate(out, &mut count, ", ");
                write_repr(out, &item?, marks, depth + 1)?;
            }
            if value.is_tuple() && count == 1 {
                out.push(',');
            }
            out.push(close);
        }
        ValueKind::Map => {
            out.push('{');
            let mut count = 0;
            for key in value.try_iter()?.checked() {
                let key = key?;
                separate(out, &mut count, ", ");
                write_repr(out, &key, marks, depth + 1)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?, marks, depth + 1)?;
            }
            out.push('}');
        }
        _ => {
            let _ = write!(out, "{value}");
        }
    }
    Ok(())
}

fn write_number(out: &mut String, value: &Value) {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => out.push_str(&float(number)),
        _ => {
            let _ = write!(out, "{value}");
        }
    }
}

/// `repr(float)`: with an exponent outside of 1e-4 to 1e16, of two digits at least.
fn float(number: f64) -> String {
    let size = number.abs();
    if size.is_infinite() {
        return if number < 0.0 {
            "-inf".into()
        } else {
            "inf".into()
        };
    }
    if size != 0.0 && !(1e-4..1e16).contains(&size) && !number.is_nan() {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let mut text = number.to_string();
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        text.push_str(".0");
    }
    text.to_lowercase()
}

fn write_string_repr(out: &mut String, text: &str, marks: &Marks) {
    let has = |wanted: char| text.chars().any(|c| marks.original(c) == wanted);
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        let original = marks.original(c);
        let escape = match original {
            '\\' => Some("\\\\".to_owned()),
            '\n' => Some("\\n".to_owned()),
            '\r' => Some("\\r".to_owned()),
            '\t' => Some("\\t".to_owned()),
            c if c == quote => Some(format!("\\{c}")),
            c if !is_printable(c) => Some(match u32::from(c) {
                code @ ..0x100 => format!("\\x{code:02x}"),
                code @ ..0x1_0000 => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
            _ => None,
        };
        push_escaped(out, c, escape, marks);
    }
    out.push(quote);
}

/// `str.isprintable`: the characters that Rust does not escape either, but for a quirk with the first of a string.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || format!("a{c}").escape_debug().nth(1) == Some(c)
}

/// Writes a character or its escape, in stand-ins where the character was one.
fn push_escaped(out: &mut String, c: char, escape: Option<String>, marks: &Marks) {
    match escape {
        None => out.push(c),
        Some(escape) if marks.is_marked(c) => out.push_str(&marks.mark(&escape)),
        Some(escape) => out.push_str(&escape),
    }
}

/// What `json.dumps` is asked for.
#[derive(Clone, Debug)]
pub(super) struct JsonStyle {
    pub(super) ensure_ascii: bool,
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
    pub(super) sort_keys: bool,
}

/// `json.dumps(value)`.
pub(super) fn json(value: &Value, style: &JsonStyle, marks: &Marks) -> Result<String, Error> {
    let mut writer = JsonWriter {
        out: String::new(),
        style,
        marks,
    };
    writer.write(value, 0)?;
    Ok(writer.out)
}

struct JsonWriter<'a> {
    out: String,
    style: &'a JsonStyle,
    marks: &'a Marks,
}

impl JsonWriter<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        check_depth(depth)?;
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or("")),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.object(value, depth)?,
            kind => {
                let message = format!("a value of type {kind} cannot be written as JSON");
                return Err(Error::new(ErrorKind::BadSerialization, message));
            }
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) {
        let from = self.out.len();
        write_number(&mut self.out, value);
        let name = match self.out.get(from..) {
            Some("nan") => "NaN",
            Some("inf") => "Infinity",
            Some("-inf") => "-Infinity",
            _ => return,
        };
        self.out.truncate(from);
        self.out.push_str(name);
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut count = 0;
        for item in value.try_iter()?.checked() {
            separate(&mut self.out, &mut count, &self.style.item_separator);
            self.newline(depth + 1);
            self.write(&item?, depth + 1)?;
        }
        self.close(count, depth, ']');
        Ok(())
    }

    fn object(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('{');
        let mut keys = value
            .try_iter()?
            .checked()
            .collect::<Result<Vec<Value>, Error>>()?;
        if self.style.sort_keys {
            keys.sort_by_key(|key| self.marks.unmark(&key.to_string()));
        }
        let mut count = 0;
        for key in keys {
            separate(&mut self.out, &mut count, &self.style.item_separator);
            self.newline(depth + 1);
            match key.as_str() {
                Some(text) => self.string(text),
                None => {
                    self.out.push('"');
                    self.write(&key, depth + 1)?;
                    self.out.push('"');
                }
            }
            self.out.push_str(&self.style.key_separator);
            self.write(&value.get_item(&key)?, depth + 1)?;
        }
        self.close(count, depth, '}');
        Ok(())
    }

    fn close(&mut self, count: usize, depth: usize, bracket: char) {
        if count > 0 {
            self.newline(depth);
        }
        self.out.push(bracket);
    }

    fn newline(&mut self, depth: usize) {
        if let Some(indent) = &self.style.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            let original = self.marks.original(c);
            let escape = match original {
                '"' => Some("\\\"".to_owned()),
                '\\' => Some("\\\\".to_owned()),
                '\n' => Some("\\n".to_owned()),
                '\r' => Some("\\r".to_owned()),
                '\t' => Some("\\t".to_owned()),
                '\u{8}' => Some("\\b".to_owned()),
                '\u{c}' => Some("\\f".to_owned()),
                '\0'..='\u{1f}' => Some(format!("\\u{:04x}", u32::from(original))),
                c if self.style.ensure_ascii && !(' '..='~').contains(&c) => Some(
                    c.encode_utf16(&mut [0; 2])
                        .iter()
                        .map(|unit| format!("\\u{unit:04x}"))
                        .collect(),
                ),
                _ => None,
            };
            push_escaped(&mut self.out, c, escape, self.marks);
        }
        self.out.push('"');
    }
}

fn separate(out: &mut String, count: &mut usize, separator: &str) {
    if *count > 0 {
        out.push_str(separator);
    }
    *count += 1;
}

fn check_depth(depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "a value is nested too deeply to be written",
        ));
    }
    Ok(())
}
