//! Rendering with a memory of what came from where.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::{Error, ErrorKind, Value};
use serde_json::{Map, Value as Json};

use super::adapt::adapt;
use super::environment::{REFUSED, Rendering};
use super::marks::{Marks, is_space};
use super::source::{plain_words, prepare};
use super::values::{Dict, to_value};
use crate::rendered::Provenance;
use crate::{RenderedChat, TextError, TextErrorKind};

/// Renders a template with what the caller gives (`context`) and with the special tokens, which are trusted.
pub(super) fn render(
    name: &str,
    source: &str,
    context: &Map<String, Json>,
    special: &Map<String, Json>,
    now: DateTime,
) -> Result<RenderedChat, TextError> {
    let source = prepare(source);
    let job = Job {
        source: &source,
        context,
        special,
        now,
    };
    let text = job.plain().map_err(|error| job.explain(name, &error))?;
    // The second try is for templates that look a text up in a table of words. Such a word then counts as the
    // template's own wherever it is a whole text; no control token is a plain word.
    let known = [HashSet::new(), plain_words(&source)]
        .into_iter()
        .find_map(|kept| {
            let (marks, marked) = job.marked(kept)?;
            let marked = marked.ok().filter(|marked| marks.unmark(marked) == text)?;
            Some(user_parts(&marked, &marks))
        });
    let provenance = known.map_or_else(|| Provenance::Unknown(texts(context)), Provenance::Known);
    Ok(RenderedChat::new(text, provenance))
}

struct Job<'a> {
    source: &'a str,
    context: &'a Map<String, Json>,
    special: &'a Map<String, Json>,
    now: DateTime,
}

impl Job<'_> {
    fn plain(&self) -> Result<String, Error> {
        self.run(self.source, Marks::default(), Vec::new()).1
    }

    /// The text in stand-ins, unless the conversation has more characters than there are.
    fn marked(&self, kept: HashSet<String>) -> Option<(Arc<Marks>, Result<String, Error>)> {
        let marks = Marks::new(self.context, self.source)?.keeping(kept);
        let adapted = adapt(self.source, &marks);
        Some(self.run(&adapted.source, marks, adapted.variables))
    }

    fn run(
        &self,
        source: &str,
        marks: Marks,
        more: Vec<(String, Value)>,
    ) -> (Arc<Marks>, Result<String, Error>) {
        let mut variables = Dict::default();
        let trusted = Marks::default();
        for (name, value) in self.special {
            variables.insert(name, name.clone(), to_value(value, &trusted));
        }
        for (name, value) in self.context {
            let value = match name.as_str() {
                "messages" => messages(value, &marks),
                _ => to_value(value, &marks),
            };
            variables.insert(name, name.clone(), value);
        }
        for (name, value) in more {
            variables.insert(&name, name.clone(), value);
        }
        let marks = Arc::new(marks);
        let rendering = Rendering {
            source,
            context: Value::from_object(variables),
            marks: Arc::clone(&marks),
            now: self.now,
            given: texts(self.context).iter().map(String::len).sum(),
        };
        (marks, rendering.run())
    }

    /// An error with the template's name, the line and the reason, and nothing of the messages: the detail comes from
    /// the rendering in stand-ins, where they can be told from the template's own words.
    fn explain(&self, name: &str, error: &Error) -> TextError {
        let detail = match (error.kind(), self.marked(HashSet::new())) {
            (ErrorKind::SyntaxError, _) => error.detail().map(str::to_owned),
            (kind, Some((marks, Err(marked)))) if marked.kind() == kind => {
                marked.detail().map(|text| blot(text, &marks))
            }
            _ => None,
        };
        let line = error
            .line()
            .map_or(String::new(), |line| format!(", line {line}"));
        if error
            .detail()
            .is_some_and(|detail| detail.starts_with(REFUSED))
        {
            let reason = detail
                .as_deref()
                .and_then(|detail| detail.strip_prefix(REFUSED))
                .unwrap_or("it gives no reason");
            let message =
                format!("the chat template of {name}{line} refuses the conversation: {reason}");
            return TextError::new(TextErrorKind::Messages, message);
        }
        let reason = match (error.kind(), detail) {
            (ErrorKind::OutOfFuel, _) => "it takes too many steps".to_owned(),
            (ErrorKind::WriteFailure, _) => "it writes too much".to_owned(),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        TextError::new(
            TextErrorKind::Template,
            format!("chat template of {name}{line}: {reason}"),
        )
    }
}

/// The messages: their roles choose the marks of a turn and stay as they are.
fn messages(value: &Json, marks: &Marks) -> Value {
    let Some(list) = value.as_array() else {
        return to_value(value, marks);
    };
    let message = |message: &Json| {
        let mut dict = Dict::default();
        for (key, value) in message.as_object().into_iter().flatten() {
            let value = match key.as_str() {
                "role" => to_value(value, &Marks::default()),
                _ => to_value(value, marks),
            };
            dict.insert(key, marks.mark(key), value);
        }
        Value::from_object(dict)
    };
    list.iter().map(message).collect()
}

/// The byte ranges of the original text that `marked` shows in stand-ins. White space between two of them is taken in,
/// for it cannot be part of a control token alone.
fn user_parts(marked: &str, marks: &Marks) -> Vec<std::ops::Range<usize>> {
    let mut parts: Vec<std::ops::Range<usize>> = Vec::new();
    let mut at = 0;
    let mut only_space_since = false;
    for c in marked.chars() {
        let end = at + marks.original(c).len_utf8();
        if marks.is_marked(c) {
            match parts.last_mut().filter(|_| only_space_since) {
                Some(last) => last.end = end,
                None => parts.push(at..end),
            }
            only_space_since = true;
        } else if !is_space(c) {
            only_space_since = false;
        }
        at = end;
    }
    parts
}

/// All texts of the context but the roles of the messages.
fn texts(context: &Map<String, Json>) -> Vec<String> {
    fn collect(value: &Json, out: &mut Vec<String>) {
        match value {
            Json::String(text) => out.push(text.clone()),
            Json::Array(items) => items.iter().for_each(|item| collect(item, out)),
            Json::Object(fields) => {
                for (key, value) in fields {
                    out.push(key.clone());
                    collect(value, out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    for (name, value) in context {
        match (name.as_str(), value) {
            ("messages", Json::Array(list)) => {
                let fields = list.iter().filter_map(Json::as_object).flatten();
                fields
                    .filter(|(key, _)| *key != "role")
                    .for_each(|(_, value)| collect(value, &mut out));
            }
            _ => collect(value, &mut out),
        }
    }
    out
}

/// `text` with an ellipsis for each part that came with the messages.
fn blot(text: &str, marks: &Marks) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !marks.is_marked(c) {
            out.push(c);
        } else if !out.ends_with('…') {
            out.push('…');
        }
    }
    out
}
