//! Python's methods of `str`, which templates call as they please.

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::marks::{Marks, is_space};
use super::python;
use super::source::REVERSED;

/// Calls a method that minijinja does not know.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
    marks: &Marks,
) -> Result<Value, Error> {
    if method == REVERSED {
        return value.reverse();
    }
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    match value.as_str() {
        Some(text) => match Str::new(text, marks).call(method, args)? {
            Some(result) => Ok(result),
            None => {
                minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
            }
        },
        None if value.kind() == ValueKind::Seq && method == "index" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let found = value
                .try_iter()?
                .position(|item| equal(&item, wanted, marks));
            found
                .map(Value::from)
                .ok_or_else(|| invalid("index: the list has no such item"))
        }
        None if value.kind() == ValueKind::Map && method == "copy" => Ok(value.clone()),
        // A sandbox of Python's refuses these as well.
        None if matches!(
            method,
            "append" | "extend" | "insert" | "update" | "pop" | "setdefault"
        ) =>
        {
            Err(unknown())
        }
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// Whether two values are the same but for stand-ins.
pub(super) fn equal(a: &Value, b: &Value, marks: &Marks) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a == b || marks.unmark(a) == marks.unmark(b),
        _ => a == b,
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A string whose characters may be stand-ins; searches compare what they stand for.
pub(super) struct Str<'a> {
    chars: Vec<char>,
    plain: Vec<char>,
    marks: &'a Marks,
}

impl<'a> Str<'a> {
    pub(super) fn new(text: &str, marks: &'a Marks) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let plain = chars.iter().map(|c| marks.original(*c)).collect();
        Self {
            chars,
            plain,
            marks,
        }
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
        let none = || from_args::<()>(args);
        let all = |test: fn(char) -> bool| -> Result<Value, Error> {
            none()?;
            Ok(Value::from(
                !self.plain.is_empty() && self.plain.iter().all(|c| test(*c)),
            ))
        };
        Ok(Some(match method {
            "upper" => none().map(|()| self.upper())?.into(),
            "lower" | "casefold" => none().map(|()| self.lower())?.into(),
            "title" => none().map(|()| self.title())?.into(),
            "capitalize" => none().map(|()| self.capitalize())?.into(),
            "strip" => self.strip(chars_arg(args)?.as_deref(), true, true).into(),
            "lstrip" => self.strip(chars_arg(args)?.as_deref(), true, false).into(),
            "rstrip" => self.strip(chars_arg(args)?.as_deref(), false, true).into(),
            "split" | "rsplit" => self.split(args, method == "rsplit")?,
            "splitlines" => self.splitlines(from_args::<(Option<bool>,)>(args)?.0.unwrap_or(false)),
            "partition" | "rpartition" => {
                self.partition(from_args::<(&str,)>(args)?.0, method == "rpartition")?
            }
            "startswith" => self.affix(from_args::<(&Value,)>(args)?.0, |s, affix| {
                s.plain.starts_with(affix)
            })?,
            "endswith" => self.affix(from_args::<(&Value,)>(args)?.0, |s, affix| {
                s.plain.ends_with(affix)
            })?,
            "removeprefix" => {
                let prefix = self.plain_arg(from_args::<(&str,)>(args)?.0);
                let cut = if self.plain.starts_with(&prefix) {
                    prefix.len()
                } else {
                    0
                };
                self.slice(cut, self.chars.len()).into()
            }
            "removesuffix" => {
                let suffix = self.plain_arg(from_args::<(&str,)>(args)?.0);
                let cut = if self.plain.ends_with(&suffix) {
                    suffix.len()
                } else {
                    0
                };
                self.slice(0, self.chars.len() - cut).into()
            }
            "find" | "index" => {
                self.found(self.find_all(from_args::<(&str,)>(args)?.0).first(), method)?
            }
            "rfind" | "rindex" => {
                self.found(self.find_all(from_args::<(&str,)>(args)?.0).last(), method)?
            }
            "count" => self.find_all(from_args::<(&str,)>(args)?.0).len().into(),
            "replace" => {
                let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
                self.replace(old, new, count).into()
            }
            "join" => self.join(from_args::<(&Value,)>(args)?.0)?,
            "isspace" => all(is_space)?,
            "isdigit" | "isnumeric" | "isdecimal" => all(char::is_numeric)?,
            "isalnum" => all(char::is_alphanumeric)?,
            "isalpha" => all(char::is_alphabetic)?,
            "isascii" => none()
                .map(|()| self.plain.iter().all(char::is_ascii))?
                .into(),
            "isupper" => none()
                .map(|()| self.is_cased(char::is_uppercase, char::is_lowercase))?
                .into(),
            "islower" => none()
                .map(|()| self.is_cased(char::is_lowercase, char::is_uppercase))?
                .into(),
            _ => return Ok(None),
        }))
    }

    fn slice(&self, from: usize, to: usize) -> String {
        self.chars
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .collect()
    }

    fn plain_arg(&self, text: &str) -> Vec<char> {
        text.chars().map(|c| self.marks.original(c)).collect()
    }

    pub(super) fn upper(&self) -> String {
        self.map(|_, c| c.to_uppercase().collect())
    }

    pub(super) fn lower(&self) -> String {
        self.map(|_, c| c.to_lowercase().collect())
    }

    pub(super) fn capitalize(&self) -> String {
        self.map(|at, c| {
            if at == 0 {
                c.to_uppercase().collect()
            } else {
                c.to_lowercase().collect()
            }
        })
    }

    pub(super) fn title(&self) -> String {
        self.map(|at, c| {
            let inside = at > 0
                && self
                    .plain
                    .get(at - 1)
                    .is_some_and(|before| before.is_alphabetic());
            if inside {
                c.to_lowercase().collect()
            } else {
                c.to_uppercase().collect()
            }
        })
    }

    /// Jinja's filter `title`, whose words also end at some punctuation, and not at all of it.
    pub(super) fn title_words(&self) -> String {
        self.map(|at, c| {
            let begins =
                |before: &char| is_space(*before) || matches!(before, '-' | '(' | '{' | '[' | '<');
            let first = at == 0 || self.plain.get(at - 1).is_some_and(begins);
            if first {
                c.to_uppercase().collect()
            } else {
                c.to_lowercase().collect()
            }
        })
    }

    fn map(&self, change: impl Fn(usize, char) -> Vec<char>) -> String {
        let mut out = String::with_capacity(self.chars.len());
        for (at, c) in self.chars.iter().enumerate() {
            self.marks
                .map_char(*c, |c| change(at, c).into_iter(), &mut out);
        }
        out
    }

    fn is_cased(&self, wanted: fn(char) -> bool, other: fn(char) -> bool) -> bool {
        self.plain.iter().any(|c| wanted(*c)) && !self.plain.iter().any(|c| other(*c))
    }

    /// Without the characters of `set`, or white space, at the ends.
    pub(super) fn strip(&self, set: Option<&str>, left: bool, right: bool) -> String {
        let set: Option<Vec<char>> = set.map(|set| self.plain_arg(set));
        let goes = |c: &char| {
            set.as_ref()
                .map_or_else(|| is_space(*c), |set| set.contains(c))
        };
        let from = if left {
            self.plain.iter().take_while(|c| goes(c)).count()
        } else {
            0
        };
        let rest = self.plain.get(from..).unwrap_or_default();
        let cut = if right {
            rest.iter().rev().take_while(|c| goes(c)).count()
        } else {
            0
        };
        self.slice(from, self.chars.len() - cut)
    }

    /// Where `needle` begins, without overlaps.
    fn find_all(&self, needle: &str) -> Vec<usize> {
        let needle = self.plain_arg(needle);
        let Some(first) = needle.first() else {
            return (0..=self.plain.len()).collect();
        };
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some(rest) = self.plain.get(at..) {
            if rest.len() < needle.len() {
                break;
            }
            let Some(skip) = rest.iter().position(|c| c == first) else {
                break;
            };
            at += skip;
            if self
                .plain
                .get(at..)
                .is_some_and(|rest| rest.starts_with(&needle))
            {
                found.push(at);
                at += needle.len();
            } else {
                at += 1;
            }
        }
        found
    }

    fn found(&self, at: Option<&usize>, method: &str) -> Result<Value, Error> {
        match at {
            Some(at) => Ok((*at).into()),
            None if method.ends_with("index") => Err(invalid("index: the text has no such part")),
            None => Ok((-1).into()),
        }
    }

    pub(super) fn replace(&self, old: &str, new: &str, count: Option<i64>) -> String {
        let limit = count
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(usize::MAX);
        let width = old.chars().count();
        let (mut out, mut done) = (String::new(), 0);
        for at in self.find_all(old).into_iter().take(limit) {
            out.push_str(&self.slice(done, at));
            out.push_str(new);
            done = at + width;
        }
        out + &self.slice(done, self.chars.len())
    }

    fn split(&self, args: &[Value], from_right: bool) -> Result<Value, Error> {
        let (separator, limit, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
        let separator = match separator {
            Some(separator) => Some(separator),
            None => kwargs.get::<Option<Value>>("sep")?,
        };
        let limit = match limit {
            Some(limit) => Some(limit),
            None => kwargs.get::<Option<i64>>("maxsplit")?,
        };
        kwargs.assert_all_used()?;
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        match separator.as_ref().filter(|separator| !separator.is_none()) {
            None => Ok(self.split_space(limit, from_right)),
            Some(separator) => {
                let separator = separator
                    .as_str()
                    .ok_or_else(|| invalid("split: the separator must be a string"))?;
                if separator.is_empty() {
                    return Err(invalid("split: the separator is empty"));
                }
                Ok(self.split_at(separator, limit, from_right))
            }
        }
    }

    fn split_at(&self, separator: &str, limit: usize, from_right: bool) -> Value {
        let width = separator.chars().count();
        let mut found = self.find_all(separator);
        let surplus = found.len().saturating_sub(limit);
        if from_right {
            found.drain(..surplus);
        } else {
            found.truncate(found.len() - surplus);
        }
        let (mut parts, mut done) = (Vec::new(), 0);
        for at in found {
            parts.push(Value::from(self.slice(done, at)));
            done = at + width;
        }
        parts.push(Value::from(self.slice(done, self.chars.len())));
        Value::from(parts)
    }

    fn split_space(&self, limit: usize, from_right: bool) -> Value {
        let mut words = Vec::new();
        let mut start = None;
        for (at, c) in self.plain.iter().enumerate() {
            match (is_space(*c), start) {
                (false, None) => start = Some(at),
                (true, Some(from)) => {
                    words.push((from, at));
                    start = None;
                }
                _ => {}
            }
        }
        words.extend(start.map(|from| (from, self.plain.len())));
        if words.len() > limit {
            // The rest stays one piece, with the white space inside it.
            if from_right {
                let rest = words
                    .drain(..words.len() - limit)
                    .next_back()
                    .map_or(0, |(_, to)| to);
                words.insert(0, (0, rest));
            } else if let Some((from, _)) = words.get(limit).copied() {
                words.truncate(limit);
                words.push((from, self.plain.len()));
            }
        }
        words
            .into_iter()
            .map(|(from, to)| Value::from(self.slice(from, to)))
            .collect()
    }

    fn splitlines(&self, keep_ends: bool) -> Value {
        let is_break = |c: char| {
            matches!(
                c,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                    ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let (mut lines, mut from, mut at) = (Vec::new(), 0, 0);
        while let Some(c) = self.plain.get(at) {
            if !is_break(*c) {
                at += 1;
                continue;
            }
            let width = if *c == '\r' && self.plain.get(at + 1) == Some(&'\n') {
                2
            } else {
                1
            };
            lines.push(Value::from(
                self.slice(from, if keep_ends { at + width } else { at }),
            ));
            at += width;
            from = at;
        }
        if from < self.plain.len() {
            lines.push(Value::from(self.slice(from, self.plain.len())));
        }
        Value::from(lines)
    }

    fn partition(&self, separator: &str, from_right: bool) -> Result<Value, Error> {
        if separator.is_empty() {
            return Err(invalid("partition: the separator is empty"));
        }
        let found = self.find_all(separator);
        let whole = || self.slice(0, self.chars.len());
        let parts = match (
            if from_right {
                found.last()
            } else {
                found.first()
            },
            from_right,
        ) {
            (Some(at), _) => {
                let after = at + separator.chars().count();
                [
                    self.slice(0, *at),
                    self.slice(*at, after),
                    self.slice(after, self.chars.len()),
                ]
            }
            (None, false) => [whole(), String::new(), String::new()],
            (None, true) => [String::new(), String::new(), whole()],
        };
        Ok(Value::from(Tuple::from(
            parts.into_iter().map(Value::from).collect::<Vec<_>>(),
        )))
    }

    /// `startswith` and `endswith`, which take a string or a tuple of strings.
    fn affix(&self, affix: &Value, test: impl Fn(&Self, &[char]) -> bool) -> Result<Value, Error> {
        if let Some(affix) = affix.as_str() {
            return Ok(test(self, &self.plain_arg(affix)).into());
        }
        for affix in affix.try_iter()?.checked() {
            let affix = affix?;
            let affix = affix
                .as_str()
                .ok_or_else(|| invalid("only strings can be looked for at the ends of a text"))?;
            if test(self, &self.plain_arg(affix)) {
                return Ok(true.into());
            }
        }
        Ok(false.into())
    }

    fn join(&self, values: &Value) -> Result<Value, Error> {
        let separator = self.slice(0, self.chars.len());
        let mut out = String::new();
        for (at, value) in values.try_iter()?.checked().enumerate() {
            if at > 0 {
                out.push_str(&separator);
            }
            out.push_str(&python::str(&value?, self.marks)?);
        }
        Ok(out.into())
    }
}

fn chars_arg(args: &[Value]) -> Result<Option<String>, Error> {
    let (set,): (Option<Value>,) = from_args(args)?;
    match set {
        None => Ok(None),
        Some(set) if set.is_none() => Ok(None),
        Some(set) => {
            let set = set
                .as_str()
                .ok_or_else(|| invalid("strip: the characters must be given as a string"))?;
            Ok(Some(set.to_owned()))
        }
    }
}
