//! Jinja as `transformers` sets it up: its options, its functions, its limits.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::source::without_generation_tags;
use crate::{TextError, TextErrorKind};

/// Steps that a template may take: 200 for every byte of the largest prompts in use, and never an endless loop.
const FUEL: u64 = 20_000_000;
const RECURSION: usize = 200;

/// Renders `source` with `context`.
pub(super) fn render(
    name: &str,
    source: &str,
    context: &serde_json::Value,
    now: DateTime,
) -> Result<String, TextError> {
    let source = without_generation_tags(source);
    let mut env = environment(now);
    env.set_fuel(Some(FUEL));
    let fail = |error: &Error| explain(name, error);
    let template = env
        .template_from_named_str("chat template", &source)
        .map_err(|error| fail(&error))?;
    template
        .render(Serde(context))
        .map_err(|error| fail(&error))
}

fn environment(now: DateTime) -> Environment<'static> {
    let mut env = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    if let Ok(syntax) = syntax.build() {
        env.set_syntax(syntax);
    }
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_recursion_limit(RECURSION);
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.add_function(
        "raise_exception",
        |reason: String| -> Result<Value, Error> {
            Err(Error::new(
                ErrorKind::InvalidOperation,
                REFUSED.to_owned() + &reason,
            ))
        },
    );
    env.add_function("strftime_now", move |format: String| strftime(now, &format));
    env.add_filter("tojson", tojson);
    env
}

/// Begins the detail of the error that `raise_exception` makes.
const REFUSED: &str = "refused: ";

fn strftime(now: DateTime, format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now).map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now: {error}"),
        )
    })
}

/// `json.dumps` as `transformers` calls it: not only ASCII, `", "` and `": "` between things.
fn tojson(_state: &State<'_, '_>, value: Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let mut out = String::new();
    write_json(
        &mut out,
        &serde_json::to_value(&value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, format!("tojson: {error}")))?,
        indent,
        0,
    );
    Ok(out)
}

fn write_json(out: &mut String, value: &serde_json::Value, indent: Option<usize>, depth: usize) {
    let newline = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(comma);
                }
                newline(out, depth + 1);
                write_json(out, item, indent, depth + 1);
            }
            newline(out, depth);
            out.push(']');
        }
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push_str(comma);
                }
                newline(out, depth + 1);
                let _ = write!(out, "{}: ", serde_json::Value::from(key.as_str()));
                write_json(out, item, indent, depth + 1);
            }
            newline(out, depth);
            out.push('}');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// An error with the template's name, the line and the reason, and nothing of the messages.
fn explain(name: &str, error: &Error) -> TextError {
    let line = error
        .line()
        .map_or(String::new(), |line| format!(", line {line}"));
    let detail = error.detail().unwrap_or("");
    if let Some(reason) = detail.strip_prefix(REFUSED) {
        return TextError::new(
            TextErrorKind::Messages,
            format!("chat template of {name}{line} refuses the conversation: {reason}"),
        );
    }
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        kind => format!("{kind}"),
    };
    TextError::new(
        TextErrorKind::Template,
        format!("chat template of {name}{line}: {reason}"),
    )
}
