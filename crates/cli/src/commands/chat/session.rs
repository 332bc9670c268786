//! A model, the conversation with it, and its KV cache, which each answer begins where the last one ended.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use inhouse_backends::Options;
use inhouse_engine::{
    Backend, Cancel, Event, Finish, FinishReason, GenaiConfig, GenerateOptions, Generation,
    SearchOptions, Words,
};
use inhouse_text::{ChatTemplate, Message, TemplateOptions, Tokenizer};

use super::sampling_flags::SamplingFlags;
use super::talk::{OnText, Said, Talk};
use super::{ChatArgs, Context, statistics};
use crate::commands::computed::Told;
use crate::commands::model_flags;
use crate::output::Table;

/// A conversation with a loaded model.
pub(super) struct Session {
    loaded: Loaded,
    /// How models are loaded.
    options: Options,
    sampling: SamplingFlags,
    raw: bool,
    system: Option<String>,
    turns: Vec<Message>,
    totals: Totals,
}

/// What changes when another model goes on.
struct Loaded {
    name: String,
    model: Arc<dyn Backend>,
    tokenizer: Tokenizer,
    /// `None` where the prompt is given as it is.
    template: Option<ChatTemplate>,
    sequence: Box<dyn inhouse_engine::Session>,
    load: Duration,
    told: Told,
}

/// What all answers of a session came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) answers: usize,
    pub(super) prefill_tokens: usize,
    pub(super) prefill: Duration,
    pub(super) decode_tokens: usize,
    pub(super) decode: Duration,
}

/// One answer.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) finish: Finish,
    /// The text that ended it, where one of `--stop` did.
    pub(super) stop_string: Option<String>,
    /// Ctrl-C ended it.
    pub(super) interrupted: bool,
}

impl Session {
    pub(super) fn open(args: &ChatArgs, context: &Context) -> anyhow::Result<Self> {
        let options = model_flags::options(args.backend, args.compute, &args.runtime, context)?;
        Ok(Self {
            loaded: Loaded::open(args.local_model(), args.raw, &options, context)?,
            options,
            sampling: args.sampling.clone(),
            raw: args.raw,
            system: args.system.clone(),
            turns: Vec::new(),
            totals: Totals::default(),
        })
    }

    /// Answers `prompt` and hands the text over as it comes. A failed answer leaves the conversation as it was.
    pub(super) fn answer(
        &mut self,
        prompt: String,
        context: &Context,
        on_text: impl FnMut(&str) -> io::Result<()>,
    ) -> anyhow::Result<Answer> {
        let ids = if self.raw {
            Some(self.loaded.tokenizer.encode_raw(&prompt))
        } else {
            None
        };
        self.turns.push(Message::user(prompt));
        let ids = match ids {
            Some(ids) => ids.map_err(Into::into),
            None => self.loaded.chat_ids(&self.conversation()),
        };
        let answer =
            ids.and_then(|ids| self.loaded.generate(&ids, &self.sampling, context, on_text));
        match &answer {
            Ok(answer) => {
                self.turns.push(Message::assistant(answer.text.as_str()));
                self.totals.add(&answer.finish);
            }
            Err(_) => drop(self.turns.pop()),
        }
        answer
    }

    /// The instructions, where there are any, and all turns.
    fn conversation(&self) -> Vec<Message> {
        let system = self
            .system
            .iter()
            .map(|text| Message::system(text.as_str()));
        system.chain(self.turns.iter().cloned()).collect()
    }

    /// Tells people what did not go as they asked for, once.
    pub(super) fn tell(&mut self, context: &Context) {
        let loaded = &mut self.loaded;
        loaded.told.tell(loaded.model.as_ref(), context.terminal);
    }

    pub(super) fn model_name(&self) -> &str {
        &self.loaded.name
    }

    pub(super) fn model(&self) -> &dyn Backend {
        self.loaded.model.as_ref()
    }

    pub(super) fn load_time(&self) -> Duration {
        self.loaded.load
    }

    /// Tokens in the KV cache.
    pub(super) fn cached_tokens(&self) -> usize {
        self.loaded.sequence.len()
    }

    pub(super) fn counts(&self) -> Totals {
        self.totals
    }
}

impl Talk for Session {
    fn name(&self) -> String {
        self.loaded.name.clone()
    }

    fn about(&self) -> String {
        let folder = self.loaded.model.folder();
        format!("{}, {}", self.loaded.name, folder.display())
    }

    fn say(
        &mut self,
        prompt: String,
        context: &Context,
        on_text: OnText<'_>,
    ) -> anyhow::Result<Said> {
        self.tell(context);
        let answer = self.answer(prompt, context, on_text);
        self.tell(context);
        let answer = answer?;
        Ok(Said {
            text: answer.text,
            interrupted: answer.interrupted,
        })
    }

    fn switch(&mut self, name: &str, context: &Context) -> anyhow::Result<()> {
        self.loaded = Loaded::open(name, self.raw, &self.options, context)?;
        Ok(())
    }

    fn clear(&mut self) {
        self.turns.clear();
    }

    fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    fn set_system(&mut self, text: Option<&str>) {
        self.system = text.map(str::to_owned);
    }

    fn messages(&self) -> Vec<Message> {
        self.conversation()
    }

    fn totals(&self) -> Table {
        statistics::totals(self)
    }
}

impl Loaded {
    fn open(name: &str, raw: bool, options: &Options, context: &Context) -> anyhow::Result<Self> {
        let located = model_flags::locate(name, context)?;
        let started = Instant::now();
        let model = model_flags::load(&located.folder, options)?;
        let tokenizer_folder = model.tokenizer_folder();
        let tokenizer = Tokenizer::from_folder(&tokenizer_folder)?;
        let template = if raw {
            None
        } else {
            Some(template(&tokenizer_folder, &model.config().model_type)?)
        };
        let sequence = model.session()?;
        Ok(Self {
            name: located.name,
            model,
            tokenizer,
            template,
            sequence,
            load: started.elapsed(),
            told: Told::default(),
        })
    }

    fn chat_ids(&self, messages: &[Message]) -> anyhow::Result<Vec<u32>> {
        let template = self
            .template
            .as_ref()
            .context("no chat template was read")?;
        let options = TemplateOptions {
            now: jiff::Zoned::now().datetime(),
            ..TemplateOptions::default()
        };
        let chat = template.render(messages, &options)?;
        Ok(self.tokenizer.encode_chat(&chat)?)
    }

    fn generate(
        &mut self,
        prompt: &[u32],
        sampling: &SamplingFlags,
        context: &Context,
        mut on_text: impl FnMut(&str) -> io::Result<()>,
    ) -> anyhow::Result<Answer> {
        let options = options(self.model.config(), sampling);
        self.sequence.keep_common_beginning(prompt);
        let cancel = Cancel::new();
        let words = Words::boxed(&self.tokenizer);
        let mut generation = Generation::new(self.sequence.as_mut(), prompt, &options, words)?
            .with_cancel(cancel.clone());
        let mut text = String::new();
        let mut written = Ok(());
        let (finish, interrupted) = context.interrupt.during(
            move || cancel.cancel(),
            || {
                generation.run(|event| {
                    if let Event::Text(piece) = event {
                        text.push_str(&piece);
                        written = on_text(&piece);
                    }
                    if written.is_ok() {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })
            },
        );
        written?;
        let finish = finish?;
        let stop_string = match finish.reason {
            FinishReason::StopString(index) => options.stop_strings.get(index).cloned(),
            _ => None,
        };
        Ok(Answer {
            text,
            finish,
            stop_string,
            interrupted,
        })
    }
}

impl Totals {
    fn add(&mut self, finish: &Finish) {
        let timings = &finish.timings;
        self.answers += 1;
        self.prefill_tokens += timings.prefill_tokens;
        self.prefill += timings.prefill;
        self.decode_tokens += timings.decode_tokens;
        self.decode += timings.decode;
    }
}

fn template(folder: &Path, family: &str) -> anyhow::Result<ChatTemplate> {
    if let Some(template) = ChatTemplate::from_folder(folder)? {
        return Ok(template);
    }
    let template = ChatTemplate::for_family(family).with_context(|| {
        format!(
            "{} has no chat template; --raw gives the model the prompt as it is",
            folder.display()
        )
    })?;
    eprintln!(
        "{} has no chat template: the one of {family} is used",
        folder.display()
    );
    Ok(template)
}

/// The model folder's own defaults with the flags over them.
fn options(config: &GenaiConfig, flags: &SamplingFlags) -> GenerateOptions {
    let mut search = SearchOptions::from(&config.search);
    if let Some(n) = flags.max_tokens {
        search.max_new_tokens = Some(n as usize);
    }
    // Asking for a way to draw is asking to draw; a temperature of 0 still wins.
    search.do_sample |= flags.top_p.is_some() || flags.top_k.is_some() || flags.min_p.is_some();
    search.top_p = flags.top_p.unwrap_or(search.top_p);
    search.top_k = flags.top_k.map_or(search.top_k, |k| k as usize);
    search.min_p = flags.min_p.unwrap_or(search.min_p);
    search.repetition_penalty = flags
        .repetition_penalty
        .unwrap_or(search.repetition_penalty);
    search.seed = flags.seed.or(search.seed);
    if let Some(temperature) = flags.temperature {
        search.set_temperature(temperature);
    }
    GenerateOptions {
        search,
        stop_tokens: config.eos_token_ids.clone(),
        stop_strings: flags.stop.clone(),
        logprobs: None,
    }
}
