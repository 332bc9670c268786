//! `inhouse embed`: texts to vectors.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use inhouse_backends::{Choice, EmbedOptions, Embeddings, Encoder, Options, TooLong};
use inhouse_engine::{Cancel, ErrorKind};
use serde::Serialize;

use super::Context;
use super::backend_flags::RuntimeFlags;
use super::model_flags::{self, ComputeFlags};
use crate::failure::Interrupted;
use crate::machine;
use crate::output::plain;
use crate::terminal::{Style, Terminal};

/// Texts that are read, computed and printed before the next are read.
const TEXTS_AT_ONCE: usize = 1024;

/// Turn texts into vectors with an encoder, computed by ONNX Runtime
///
/// Each vector is a JSON array on a line of its own, in the order of the texts. A model folder is laid out as
/// sentence-transformers lays out its ONNX models: tokenizer.json, model.onnx or onnx/model.onnx, and modules.json, without
/// which tokens are averaged and the result normalised.
#[derive(Args, Debug)]
pub(crate) struct EmbedArgs {
    /// The texts
    #[arg(value_name = "TEXT", required_unless_present = "file")]
    texts: Vec<String>,
    /// A model folder or a model's name
    #[arg(short, long, value_name = "FOLDER|NAME")]
    model: String,
    /// A file with a text on each line; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    file: Option<PathBuf>,
    /// Put the model's prompt of this name before every text; an empty name puts none [default: the model's own, mostly
    /// none]
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// Cut texts that are longer than the model takes, and say which; else they are an error
    #[arg(long)]
    truncate: bool,
    /// Threads to compute with [default: every one this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print one JSON object, on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    backend: &'static str,
    computed_by: String,
    execution_providers: Vec<String>,
    notes: Vec<String>,
    dimensions: usize,
    embeddings: &'a [Vec<f32>],
    /// Places of the texts that were cut, from 0 on.
    truncated: &'a [usize],
    usage: Usage,
}

/// Tokens, by the names that OpenAI's API has for them.
#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

pub(super) fn run(args: EmbedArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let options = options(&args, context)?;
    let located = model_flags::locate(&args.model, context)?;
    let encoder = Encoder::load(&located.folder, &options)?;
    let mut work = Work {
        options: EmbedOptions {
            too_long: match args.truncate {
                true => TooLong::Cut,
                false => TooLong::Refuse,
            },
            prompt: args.prompt.clone(),
        },
        encoder,
        done: 0,
        told: 0,
        tokens: 0,
        truncated: Vec::new(),
    };
    work.all(&args, &located.name, context)?;
    Ok(ExitCode::SUCCESS)
}

fn options(args: &EmbedArgs, context: &Context) -> anyhow::Result<Options> {
    let compute = ComputeFlags {
        threads: args.threads,
        ..ComputeFlags::default()
    };
    let mut options = model_flags::options(Choice::OnnxRuntime, compute, &args.runtime, context)?;
    options.load.available_memory = Some(machine::memory().available_bytes);
    Ok(options)
}

/// The texts on their way.
struct Work {
    encoder: Encoder,
    options: EmbedOptions,
    /// Texts that have their vectors.
    done: usize,
    /// Notes that were shown.
    told: usize,
    tokens: usize,
    truncated: Vec<usize>,
}

impl Work {
    fn all(&mut self, args: &EmbedArgs, model: &str, context: &Context) -> anyhow::Result<()> {
        let mut texts: Box<dyn Iterator<Item = anyhow::Result<String>>> = match &args.file {
            Some(file) => Box::new(lines(file)?),
            None => Box::new(args.texts.iter().cloned().map(Ok)),
        };
        let mut vectors = Vec::new();
        loop {
            let some: Vec<String> = texts
                .by_ref()
                .take(TEXTS_AT_ONCE)
                .collect::<Result<_, _>>()?;
            if some.is_empty() {
                break;
            }
            let made = self.some(&some, context)?;
            self.tell(context.terminal);
            if args.json {
                vectors.extend(made.vectors);
                continue;
            }
            for vector in &made.vectors {
                context.out.line(serde_json::to_string(vector)?)?;
            }
        }
        self.tell_truncated();
        if args.json {
            let report = self.report(model, &vectors);
            context.out.line(serde_json::to_string(&report)?)?;
        }
        Ok(())
    }

    fn some(&mut self, texts: &[String], context: &Context) -> anyhow::Result<Embeddings> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let work = || self.encoder.embed_with(&texts, &self.options, &cancel);
        let (made, interrupted) = context.interrupt.during(move || stop.cancel(), work);
        if interrupted {
            return Err(Interrupted.into());
        }
        let (first, last) = (self.done + 1, self.done + texts.len());
        let made = made.map_err(|error| match error.kind() {
            ErrorKind::ContextOverflow { .. } => anyhow::anyhow!("{error} with --truncate"),
            _ => error.into(),
        });
        let made = match self.done {
            0 => made?,
            _ => made.with_context(|| format!("in the texts {first} to {last}"))?,
        };
        self.tokens += made.tokens.iter().sum::<usize>();
        let cut = made.cut.iter();
        self.truncated.extend(cut.map(|cut| self.done + cut.text));
        self.done = last;
        Ok(made)
    }

    /// Shows what was not shown yet of what did not go as asked for.
    fn tell(&mut self, terminal: Terminal) {
        let notes = self.encoder.notes();
        for note in notes.iter().skip(self.told) {
            eprintln!("{}", terminal.err(Style::Dim, &plain(note)));
        }
        self.told = notes.len();
    }

    fn tell_truncated(&self) {
        const SHOWN: usize = 10;
        if self.truncated.is_empty() {
            return;
        }
        let shown = self.truncated.iter().take(SHOWN);
        let shown: Vec<String> = shown.map(|at| (at + 1).to_string()).collect();
        let more = match self.truncated.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let most = self.encoder.max_tokens().unwrap_or_default();
        let shown = shown.join(", ");
        eprintln!("cut to the {most} tokens that the model takes: text {shown}{more}");
    }

    fn report<'a>(&'a self, model: &'a str, vectors: &'a [Vec<f32>]) -> Report<'a> {
        Report {
            model,
            backend: "onnxruntime",
            computed_by: self.encoder.computed_by(),
            execution_providers: self.encoder.execution_providers(),
            notes: self.encoder.notes(),
            dimensions: vectors.first().map_or(0, Vec::len),
            embeddings: vectors,
            truncated: &self.truncated,
            usage: Usage {
                prompt_tokens: self.tokens,
                total_tokens: self.tokens,
            },
        }
    }
}

/// The lines of a file, or of stdin.
fn lines(file: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<String>>> {
    let (name, reader): (String, Box<dyn BufRead>) = match file.to_str() {
        Some("-") => ("stdin".to_owned(), Box::new(BufReader::new(io::stdin()))),
        _ => {
            let name = file.display().to_string();
            let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
            (name, Box::new(BufReader::new(opened)))
        }
    };
    let numbered = reader.lines().enumerate();
    Ok(numbered.map(move |(at, line)| line.with_context(|| format!("line {} of {name}", at + 1))))
}
