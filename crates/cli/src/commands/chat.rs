//! `inhouse chat`: one answer, or a conversation.

mod conversation;
mod prompt;
mod sampling_flags;
mod session;
mod slash;
mod statistics;
mod transcript;

use std::process::ExitCode;

use clap::Args;

use super::Context;
use super::model_flags::{ComputeFlags, DEFAULT_MODEL};
use crate::failure::{INTERRUPTED, UsageError};
use sampling_flags::SamplingFlags;
use session::Session;

/// Talk to a model: one answer to PROMPT, or a conversation
///
/// Without PROMPT on a terminal, a conversation begins; /help in it lists its commands. What is piped in is the prompt,
/// or follows PROMPT after an empty line. The answer alone goes to stdout.
#[derive(Args, Debug)]
pub(crate) struct ChatArgs {
    /// What to say to the model
    prompt: Option<String>,
    /// A model's name (see inhouse list) or a model folder
    #[arg(short, long, value_name = "NAME|FOLDER", default_value = DEFAULT_MODEL)]
    model: String,
    /// Instructions that the model gets before the conversation
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    system: Option<String>,
    /// Give the prompt to the model as it is: no chat template, and special tokens in it are control
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    sampling: SamplingFlags,
    #[command(flatten)]
    compute: ComputeFlags,
    /// Print one JSON object at the end: text, finish reason, usage and timings
    #[arg(long)]
    json: bool,
    /// Print statistics to stderr also where that is not a terminal
    #[arg(long)]
    stats: bool,
}

pub(super) fn run(mut args: ChatArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match prompt::find(args.prompt.take(), context.terminal)? {
        Some(prompt) => answer_once(&args, prompt, context),
        None if args.json || args.raw => {
            let flag = if args.json { "--json" } else { "--raw" };
            Err(UsageError(format!(
                "{flag} answers one prompt: give PROMPT or pipe one in"
            ))
            .into())
        }
        None => conversation::run(&args, context),
    }
}

fn answer_once(args: &ChatArgs, prompt: String, context: &Context) -> anyhow::Result<ExitCode> {
    let mut session = Session::open(args, context)?;
    let streamed = !args.json;
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
    if args.stats || (context.terminal.stderr && !args.json) {
        statistics::show(&session, &answer, context.terminal);
    }
    Ok(if answer.interrupted {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}
