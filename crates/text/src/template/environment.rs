//! Jinja as `transformers` sets it up: its options, its functions, and limits against hostile templates.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::marks::Marks;
use super::{filters, methods, python};

/// Steps that a template may take, about a second of them: the longest conversations need a hundredth.
const FUEL: u64 = 10_000_000;
/// How deep macros may call each other.
const RECURSION: usize = 100;
/// What a template may write: four times what it was given, and this much more.
const MAX_OUTPUT: usize = 16 << 20;
/// Begins the detail of the error that `raise_exception` makes.
pub(super) const REFUSED: &str = "refused: ";

/// One rendering: a template, with the stand-ins of its variables.
pub(super) struct Rendering<'a> {
    pub(super) source: &'a str,
    pub(super) context: Value,
    pub(super) marks: Arc<Marks>,
    pub(super) now: DateTime,
    /// How many bytes the variables hold.
    pub(super) given: usize,
}

impl Rendering<'_> {
    pub(super) fn run(self) -> Result<String, Error> {
        // minijinja panics at a few things that a template may say, such as a slice backwards through nothing.
        catch_unwind(AssertUnwindSafe(|| self.render())).unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::InvalidOperation,
                "the template engine gave up",
            ))
        })
    }

    fn render(self) -> Result<String, Error> {
        let env = environment(self.now, &self.marks)?;
        let template = env.template_from_named_str("chat template", self.source)?;
        let mut out = Limited {
            bytes: Vec::new(),
            limit: self.given.saturating_mul(4).saturating_add(MAX_OUTPUT),
        };
        template.render_captured_to(self.context, &mut out)?;
        String::from_utf8(out.bytes)
            .map_err(|_| Error::new(ErrorKind::WriteFailure, "the output is not UTF-8"))
    }
}

/// Collects output up to a limit.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Limited {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + buf.len() > self.limit {
            return Err(io::Error::other("the output is too long"));
        }
        self.bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn environment(now: DateTime, marks: &Arc<Marks>) -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    env.set_syntax(syntax.build()?);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_recursion_limit(RECURSION);
    env.set_fuel(Some(FUEL));
    let own = Arc::clone(marks);
    env.set_unknown_method_callback(move |state, value, method, args| {
        methods::call(state, value, method, args, &own)
    });
    let own = Arc::clone(marks);
    env.set_formatter(move |out, _state, value| match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out
            .write_str(&python::str(value, &own)?)
            .map_err(Error::from),
    });
    let own = Arc::clone(marks);
    env.add_function(
        "raise_exception",
        move |reason: Value| -> Result<Value, Error> {
            let reason = python::str(&reason, &own)?;
            Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("{REFUSED}{reason}"),
            ))
        },
    );
    env.add_function("strftime_now", move |format: String| strftime(now, &format));
    filters::add_to(&mut env, marks);
    Ok(env)
}

fn strftime(now: DateTime, format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now).map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now: {error}"),
        )
    })
}
