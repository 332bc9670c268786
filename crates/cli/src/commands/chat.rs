//! `inhouse chat`: one answer, or a conversation.

mod conversation;
mod prompt;
mod routed;
mod sampling_flags;
mod session;
mod slash;
mod statistics;
mod talk;
mod transcript;

use std::process::ExitCode;

use clap::Args;

use super::Context;
use super::backend_flags::{BackendFlag, RuntimeFlags};
use super::model_flags::{ComputeFlags, DEFAULT_MODEL};
use super::route_flags::RouteFlags;
use crate::failure::{INTERRUPTED, UsageError};
use routed::Routed;
use sampling_flags::SamplingFlags;
use session::Session;
use talk::{OnText, Talk};

/// Talk to a model: one answer to PROMPT, or a conversation
///
/// Without PROMPT on a terminal, a conversation begins; /help in it lists its commands. What is piped in is the prompt,
/// or follows PROMPT after an empty line. The answer alone goes to stdout.
///
/// The engine answers by itself. With --provider, --privacy, --local-only or --config the router chooses who does.
#[derive(Args, Debug)]
pub(crate) struct ChatArgs {
    /// What to say to the model
    prompt: Option<String>,
    /// A model's name (see inhouse list) or a model folder; through the router, any name that a provider has for it
    /// [default: smollm2-135m; through the router what provider and rules say]
    #[arg(short, long, value_name = "NAME|FOLDER")]
    model: Option<String>,
    /// Instructions that the model gets before the conversation
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    system: Option<String>,
    /// Give the prompt to the model as it is: no chat template, and special tokens in it are control
    #[arg(long)]
    raw: bool,
    /// Print one JSON object at the end: text, finish reason, usage and timings; through the router also provider, zone
    /// and cost
    #[arg(long)]
    json: bool,
    /// Print statistics to stderr also where that is not a terminal
    #[arg(long)]
    stats: bool,
    /// What computes; auto: the native engine what it knows, unless --ep names a GPU, and ONNX Runtime the rest
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendFlag,
    #[command(flatten)]
    compute: ComputeFlags,
    #[command(flatten)]
    sampling: SamplingFlags,
    #[command(flatten)]
    runtime: RuntimeFlags,
    #[command(flatten)]
    route: RouteFlags,
}

impl ChatArgs {
    /// The model of the engine alone.
    fn local_model(&self) -> &str {
        self.model.as_deref().unwrap_or(DEFAULT_MODEL)
    }

    /// Whether the router chooses who answers.
    fn goes_through_router(&self, context: &Context) -> bool {
        self.route.any() || context.settings.config.is_some()
    }
}

pub(super) fn run(mut args: ChatArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let routed = args.goes_through_router(context);
    match prompt::find(args.prompt.take(), context.terminal)? {
        Some(prompt) if routed => route_once(&args, prompt, context),
        Some(prompt) => answer_once(&args, prompt, context),
        None if args.json || args.raw => {
            let flag = if args.json { "--json" } else { "--raw" };
            Err(UsageError(format!(
                "{flag} answers one prompt: give PROMPT or pipe one in"
            ))
            .into())
        }
        None => {
            let partner: Box<dyn Talk> = if routed {
                Box::new(Routed::open(&args, context)?)
            } else {
                Box::new(Session::open(&args, context)?)
            };
            conversation::run(partner, context)
        }
    }
}

fn answer_once(args: &ChatArgs, prompt: String, context: &Context) -> anyhow::Result<ExitCode> {
    let mut session = Session::open(args, context)?;
    let streamed = !args.json;
    if streamed {
        session.tell(context);
    }
    let answer = session.answer(prompt, context, |text| {
        if streamed {
            context.out.piece(text)
        } else {
            Ok(())
        }
    })?;
    if args.json {
        context.out.json(&statistics::json(&session, &answer))?;
    } else if !answer.text.ends_with('\n') {
        context.out.piece("\n")?;
    }
    if streamed {
        session.tell(context);
    }
    if args.stats || (context.terminal.stderr && !args.json) {
        statistics::show(&session, &answer, context.terminal);
    }
    Ok(status(answer.interrupted))
}

fn route_once(args: &ChatArgs, prompt: String, context: &Context) -> anyhow::Result<ExitCode> {
    let mut routed = Routed::open(args, context)?;
    let mut open_line = false;
    let mut show = |text: &str| {
        open_line = !text.ends_with('\n');
        context.out.piece(text)
    };
    let on_text: Option<OnText<'_>> = if args.json { None } else { Some(&mut show) };
    let answer = routed.answer(prompt, context, on_text);
    if open_line {
        context.out.piece("\n")?; // also before an error
    }
    let answer = answer?;
    if args.json {
        context.out.json(&routed::statistics::json(&answer))?;
    }
    if args.stats || (context.terminal.stderr && !args.json) {
        routed::statistics::show(&answer, context.terminal);
    } else if !args.json {
        routed::statistics::notes(&answer, context.terminal);
    }
    Ok(status(answer.interrupted()))
}

fn status(interrupted: bool) -> ExitCode {
    if interrupted {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    }
}
