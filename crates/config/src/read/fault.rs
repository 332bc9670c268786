//! Why a value cannot be read.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::json::{Node, Origin, Path, Step, Value};

/// Why a value cannot be read, and which one.
#[derive(Debug)]
pub(super) struct Fault {
    /// From the value outwards, as the way back from it adds its steps.
    steps: Vec<Step>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Another sort of value is wanted.
    Sort(String),
    /// A name that no struct has.
    UnknownName(&'static [&'static str]),
    /// A string that no enum has.
    UnknownValue(&'static [&'static str]),
    Missing(&'static str),
    /// Whatever else a type says of its values; begins with a verb.
    Other(String),
}

impl Fault {
    /// Something else was wanted.
    pub(super) fn wanted(what: impl Into<String>) -> Self {
        Kind::Sort(what.into()).into()
    }

    /// The same, seen from one step further out.
    pub(super) fn inside(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn path(&self) -> Path {
        Path(self.steps.iter().rev().cloned().collect())
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::UnknownName(_))
    }

    /// The name that should be there and is not.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Missing(name) => Some(name),
            _ => None,
        }
    }

    /// What is wrong with the value at `path`.
    pub(super) fn message(&self, path: &Path, node: &Node) -> String {
        match &self.kind {
            Kind::Sort(wanted) => format!("must be {wanted}, not {}", sort(wanted, node)),
            Kind::UnknownName(names) => unknown_name(path, names),
            Kind::UnknownValue(names) => {
                let near = match &node.value {
                    Value::String(words) => near(&words.text, names),
                    _ => None,
                };
                let near = near.map(|name| format!("; did you mean {name:?}?"));
                let near = near.unwrap_or_default();
                format!("must be {}, not {}{near}", listed(names, "or"), shown(node))
            }
            Kind::Missing(name) => format!("needs {name:?}"),
            Kind::Other(message) => message.clone(),
        }
    }
}

impl From<Kind> for Fault {
    fn from(kind: Kind) -> Self {
        Self {
            steps: Vec::new(),
            kind,
        }
    }
}

fn unknown_name(path: &Path, names: &[&str]) -> String {
    let Some((Step::Name(name), outer)) = path.0.split_last() else {
        return "is not known".to_owned();
    };
    match near(name, names) {
        Some(near) => {
            let near = Path(outer.to_vec()).name(near);
            format!("is not known; did you mean {near}?")
        }
        None => format!("is not known; known here are {}", listed(names, "and")),
    }
}

/// What stands there instead. A string is not quoted, nor anything where a string should be: it may be a key.
fn sort(wanted: &str, node: &Node) -> String {
    match &node.value {
        Value::Bool(value) => value.to_string(),
        Value::Number(digits) if wanted != STRING && digits.len() <= 24 => digits.clone(),
        Value::String(words) if words.origin != Origin::File => FROM_OUTSIDE.to_owned(),
        value => value.sort().to_owned(),
    }
}

/// What stands instead of one of a few names.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::String(words) if words.origin == Origin::File && words.text.len() <= 24 => {
            format!("{:?}", words.text)
        }
        _ => sort("a name", node),
    }
}

pub(super) const STRING: &str = "a string";
const FROM_OUTSIDE: &str = "what its variable holds";

/// `a, b or c`.
fn listed(names: &[&str], last: &str) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// No name is longer.
const LONGEST: usize = 64;

/// The name that was probably meant.
pub(crate) fn near<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    if given.len() > LONGEST {
        return None; // nobody meant a name by that
    }
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let given = plain(given);
    let scored = names.iter().map(|&name| {
        let known = plain(name);
        let prefix = given.len() >= 3 && (known.starts_with(&given) || given.starts_with(&known));
        let score = strsim::jaro_winkler(&given, &known) + if prefix { 0.1 } else { 0.0 };
        (score, name)
    });
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= 0.85).then_some(best.1)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Kind::Other(message.to_string()).into()
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wanted(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wanted(expected.to_string())
    }

    fn unknown_variant(_: &str, names: &'static [&'static str]) -> Self {
        Kind::UnknownValue(names).into()
    }

    fn unknown_field(_: &str, names: &'static [&'static str]) -> Self {
        Kind::UnknownName(names).into()
    }

    fn missing_field(name: &'static str) -> Self {
        Kind::Missing(name).into()
    }
}
