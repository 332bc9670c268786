//! A conversation through the router.

pub(super) mod statistics;

use std::io;

use futures_util::StreamExt;
use inhouse::{
    AnswerMetadata, AnswerStream, Caller, ChatRequest, Delta, Event, ModelName, Money, RouteError,
    StopReason, Usage,
};
use inhouse_chat::{Real, Sampling};
use inhouse_text::Message;

use super::sampling_flags::SamplingFlags;
use super::talk::{OnText, Said, Talk};
use super::{ChatArgs, Context};
use crate::commands::backend_flags::BackendFlag;
use crate::commands::gateway::Gateway;
use crate::commands::route_flags::RouteFlags;
use crate::failure::{Interrupted, UsageError};
use crate::output::Table;

/// Leaves the choice of a model to the router.
const ANY_MODEL: &str = "auto";

/// A conversation through the router.
pub(super) struct Routed {
    gateway: Gateway,
    model: ModelName,
    route: RouteFlags,
    sampling: SamplingFlags,
    system: Option<String>,
    turns: Vec<Message>,
    totals: Totals,
}

/// What all answers came to.
#[derive(Debug, Default)]
struct Totals {
    answers: usize,
    usage: Usage,
    cost: Money,
    unknown_cost: usize,
    /// Who answered last.
    last: Option<String>,
}

/// One answer.
pub(super) struct Answer {
    pub(super) text: String,
    /// `None` where Ctrl-C ended it.
    pub(super) stop: Option<StopReason>,
    pub(super) metadata: AnswerMetadata,
}

impl Routed {
    pub(super) fn open(args: &ChatArgs, context: &Context) -> anyhow::Result<Self> {
        refuse(args)?;
        args.route.check(context)?;
        Ok(Self {
            gateway: Gateway::open(args.route.local_only, args.compute, context)?,
            model: args.model.as_deref().unwrap_or(ANY_MODEL).into(),
            route: args.route.clone(),
            sampling: args.sampling.clone(),
            system: args.system.clone(),
            turns: Vec::new(),
            totals: Totals::default(),
        })
    }

    /// Answers `prompt`; with `on_text`, the text is handed over as it comes. A failed answer leaves the conversation as
    /// it was.
    pub(super) fn answer(
        &mut self,
        prompt: String,
        context: &Context,
        on_text: Option<OnText<'_>>,
    ) -> anyhow::Result<Answer> {
        self.turns.push(Message::user(prompt));
        let answer = self
            .request(on_text.is_some())
            .and_then(|request| self.ask(request, context, on_text));
        match &answer {
            Ok(answer) => {
                self.turns.push(Message::assistant(answer.text.as_str()));
                self.totals.add(answer);
            }
            Err(_) => drop(self.turns.pop()),
        }
        answer
    }

    fn request(&self, stream: bool) -> anyhow::Result<ChatRequest> {
        let messages = self.messages();
        let messages = messages.iter().map(|message| {
            let text = message.content.as_str();
            match message.role.as_str() {
                "system" => inhouse::Message::system(text),
                "assistant" => inhouse::Message::assistant(text),
                _ => inhouse::Message::user(text),
            }
        });
        let mut request = ChatRequest::new(self.model.clone(), messages);
        let flags = &self.sampling;
        // Through text, so that 0.7 stays 0.7 where a float would bring 0.699999988.
        let real =
            |value: Option<f32>| value.and_then(|value| Real::new(value.to_string().parse().ok()?));
        request.sampling = Sampling {
            temperature: real(flags.temperature),
            top_p: real(flags.top_p),
            top_k: flags.top_k,
            seed: flags.seed.map(seed).transpose()?,
            ..Sampling::default()
        };
        request.max_tokens = flags.max_tokens;
        request.stop = flags.stop.iter().map(|stop| stop.as_str().into()).collect();
        request.stream = stream;
        self.route.apply(&mut request.metadata);
        Ok(request)
    }

    fn ask(
        &self,
        request: ChatRequest,
        context: &Context,
        on_text: Option<OnText<'_>>,
    ) -> anyhow::Result<Answer> {
        // Outside of what Ctrl-C drops: what has come until then was answered.
        let mut hearing = Hearing {
            on_text,
            text: String::new(),
            stop: None,
            metadata: None,
        };
        let router = &self.gateway.router;
        let listening = async {
            let stream = router.stream_for(request, &Caller::default()).await?;
            hearing.listen(stream).await
        };
        self.gateway.run(context, listening).transpose()?;
        Ok(Answer {
            text: hearing.text,
            stop: hearing.stop,
            // Nobody has begun to answer.
            metadata: hearing.metadata.ok_or(Interrupted)?,
        })
    }
}

/// An answer as far as it has come.
struct Hearing<'a> {
    on_text: Option<OnText<'a>>,
    text: String,
    stop: Option<StopReason>,
    metadata: Option<AnswerMetadata>,
}

impl Hearing<'_> {
    async fn listen(&mut self, mut stream: AnswerStream) -> anyhow::Result<()> {
        self.metadata = Some(stream.metadata());
        while let Some(event) = stream.next().await {
            match event.map_err(RouteError::from)? {
                Event::BlockDelta {
                    delta: Delta::Text(piece) | Delta::Refusal(piece),
                    ..
                } => self.hear(piece.as_str())?,
                Event::End { stop, .. } => self.stop = Some(stop),
                _ => {}
            }
        }
        self.metadata = Some(stream.metadata());
        Ok(())
    }

    fn hear(&mut self, piece: &str) -> io::Result<()> {
        self.text.push_str(piece);
        match &mut self.on_text {
            Some(on_text) => on_text(piece),
            None => Ok(()),
        }
    }
}

impl Answer {
    /// Whether Ctrl-C ended it.
    pub(super) fn interrupted(&self) -> bool {
        self.stop.is_none()
    }
}

impl Totals {
    fn add(&mut self, answer: &Answer) {
        let metadata = &answer.metadata;
        self.answers += 1;
        self.usage.input += metadata.usage.prompt_tokens();
        self.usage.output += metadata.usage.output;
        self.cost += metadata.cost.unwrap_or_default();
        self.unknown_cost += usize::from(metadata.cost.is_none());
        self.last = Some(statistics::who(metadata));
    }
}

/// Flags that only the engine understands would silently do nothing.
fn refuse(args: &ChatArgs) -> anyhow::Result<()> {
    let given = [
        ("--backend", args.backend != BackendFlag::Auto),
        ("--raw", args.raw),
        ("--min-p", args.sampling.min_p.is_some()),
        (
            "--repetition-penalty",
            args.sampling.repetition_penalty.is_some(),
        ),
    ];
    let given = given.iter().filter(|(_, given)| *given);
    let given = given.map(|(flag, _)| *flag).chain(args.runtime.given());
    let given: Vec<&str> = given.collect();
    if given.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} cannot go through the router; leave out --provider, --privacy, --local-only and --config, \
         and the engine answers alone",
        given.join(" and ")
    );
    Err(UsageError(message).into())
}

fn seed(seed: u64) -> anyhow::Result<i64> {
    i64::try_from(seed).map_err(|_| {
        let message = format!(
            "--seed {seed} cannot go through the router: {} is the largest",
            i64::MAX
        );
        UsageError(message).into()
    })
}

impl Talk for Routed {
    fn name(&self) -> String {
        match self.model.as_str() {
            ANY_MODEL => "router".to_owned(),
            model => format!("router, {model}"),
        }
    }

    fn about(&self) -> String {
        match &self.totals.last {
            Some(last) => format!("{} is asked for; {last} answered last", self.model),
            None => format!("{} is asked for", self.model),
        }
    }

    fn say(
        &mut self,
        prompt: String,
        context: &Context,
        on_text: OnText<'_>,
    ) -> anyhow::Result<Said> {
        let answer = self.answer(prompt, context, Some(on_text))?;
        Ok(Said {
            interrupted: answer.interrupted(),
            text: answer.text,
        })
    }

    fn switch(&mut self, name: &str, _: &Context) -> anyhow::Result<()> {
        self.model = name.into();
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
        let system = self.system.iter();
        let system = system.map(|text| Message::system(text.as_str()));
        system.chain(self.turns.iter().cloned()).collect()
    }

    fn totals(&self) -> Table {
        let totals = &self.totals;
        let mut table = Table::facts();
        table.row(["answers", &totals.answers.to_string()]);
        table.row(["read", &format!("{} tokens", totals.usage.input)]);
        table.row(["written", &format!("{} tokens", totals.usage.output)]);
        let cost = match totals.unknown_cost {
            0 => totals.cost.to_string(),
            unknown => format!("{}, and {unknown} of unknown cost", totals.cost),
        };
        table.row(["cost", &cost]);
        if let Some(last) = &totals.last {
            table.row(["last answer by", last]);
        }
        table
    }
}
