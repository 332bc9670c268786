//! A loaded model, on its own thread: from a conversation to the events of an answer.

use std::ops::ControlFlow;
use std::sync::Arc;

use inhouse_backends::Options;
use inhouse_chat::{Block, Delta, Event, Extra, Failure, ProviderError, StopReason, Usage};
use inhouse_engine::{
    Backend, EngineError, ErrorKind, Event as Step, Finish, FinishReason, GenaiConfig, Generation,
    Session, Words,
};
use inhouse_router::{Late, Learned};
use inhouse_text::{ChatTemplate, TextError, TextErrorKind, Tokenizer};
use tokio::sync::mpsc;

use super::choice::Place;
use super::error::CannotRun;
use super::job::{Begun, Job, Work};
use super::sampling::{self, Lengths, Plan};

/// Events of an answer that are not its words: start, begin and end of the part, end, error.
const OTHER_EVENTS: usize = 8;

/// A model, and the KV cache of the last conversation with it, which its next turn begins with.
pub(super) struct Loaded {
    model: Arc<dyn Backend>,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    session: Box<dyn Session>,
    /// Whose conversation the session holds.
    kept_for: Option<String>,
    /// What callers should know of it.
    note: Option<String>,
}

impl Loaded {
    /// Loads the model in `place`.
    ///
    /// # Errors
    ///
    /// Where it cannot be run: which model, why, and what to do.
    pub(super) fn open(place: &Place, options: &Options) -> Result<Self, CannotRun> {
        let engine = |error: EngineError| {
            let why = CannotRun::of(&error);
            CannotRun::new(match error.kind() {
                ErrorKind::Config | ErrorKind::Load => {
                    format!("{}: {why}; {}", place.name, place.advice)
                }
                _ => format!("{}: {why}", place.name),
            })
        };
        let text =
            |error: TextError| CannotRun::new(format!("{}: {error}; {}", place.name, place.advice));
        let model = load(place, options).map_err(engine)?;
        is_the_file(model.config(), place)?;
        let folder = model.tokenizer_folder();
        let tokenizer = Tokenizer::from_folder(&folder).map_err(text)?;
        let family = model.config().model_type.as_str();
        let (template, note) = match ChatTemplate::from_folder(&folder).map_err(text)? {
            Some(template) => (template, None),
            None => {
                let template = ChatTemplate::for_family(family).map_err(text)?;
                let note = format!(
                    "{} has no chat template: the one of {family} is used",
                    place.name
                );
                (template, Some(note))
            }
        };
        Ok(Self {
            session: model.session().map_err(engine)?,
            kept_for: None,
            model,
            tokenizer,
            template,
            note,
        })
    }

    /// Answers `job`, unless nobody waits for it any more. Breaks where the model must be loaded anew.
    pub(super) fn answer(&mut self, job: Job) -> ControlFlow<()> {
        let Job { work, reply } = job;
        if work.cancel.is_cancelled() {
            return ControlFlow::Continue(());
        }
        // Whoever waits may leave at any time, so that a reply cannot be delivered is no error.
        let ended = match self.begin(&work) {
            Err(error) => {
                let _ = reply.send(Err(error));
                Ok(())
            }
            Ok((generation, answer, begun)) => match reply.send(Ok(begun)) {
                Ok(()) => answer.run(generation, &work),
                Err(_) => Ok(()),
            },
        };
        match ended {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => self.mend(failure),
        }
    }

    /// What a failure leaves behind is not gone on with. A device that is lost may be there again for the next load.
    fn mend(&mut self, failure: ErrorKind) -> ControlFlow<()> {
        match self.model.session() {
            Ok(session) if failure != ErrorKind::Device => {
                self.session = session;
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }

    fn begin(&mut self, work: &Work) -> Result<(Generation<'_>, Answer, Begun), ProviderError> {
        let prompt = self.encode(work)?;
        let lengths = Lengths {
            prompt: prompt.len(),
            context: self.session.context_length(),
        };
        let plan = sampling::plan(&work.request, &work.model, self.model.config(), lengths);
        let Plan {
            options,
            most,
            at_most,
            note,
        } = plan.map_err(|error| work.failed(Failure::TooLong).because(error))?;
        if self.kept_for != work.caller {
            self.session.truncate(0);
            self.kept_for.clone_from(&work.caller);
        }
        self.session.keep_common_beginning(&prompt);
        let cached = self.session.len();
        let usage = Usage {
            input: (prompt.len() - cached) as u64,
            cache_read: cached as u64,
            ..Usage::default()
        };
        let notes = [
            &self.model.notes()[..],
            &work.prompt.notes,
            self.note.as_slice(),
            note.as_slice(),
        ]
        .concat();
        let words = Words::boxed(&self.tokenizer);
        let generation = Generation::new(self.session.as_mut(), &prompt, &options, words)
            .map_err(|error| refused(work, &error))?
            .with_cancel(work.cancel.clone());
        // It has room for the whole answer: one who reads slowly does not keep the next from theirs.
        let (events, receiver) = mpsc::channel(most.saturating_add(OTHER_EVENTS));
        let late = Late::default();
        let answer = Answer {
            model: Arc::clone(&self.model),
            late: late.clone(),
            events,
            usage,
            at_most,
            stop_strings: options.stop_strings,
        };
        let begun = Begun {
            events: receiver,
            notes,
            execution_providers: self.model.info().execution_providers,
            late,
        };
        Ok((generation, answer, begun))
    }

    /// The conversation as tokens; what people wrote does not become control tokens.
    fn encode(&self, work: &Work) -> Result<Vec<u32>, ProviderError> {
        let failed = |error: TextError| {
            let kind = match error.kind() {
                TextErrorKind::Messages | TextErrorKind::Encode => Failure::Unsupported,
                _ => Failure::Engine,
            };
            work.failed(kind).because(error)
        };
        let chat = self
            .template
            .render(&work.prompt.messages, &work.prompt.options())
            .map_err(failed)?;
        let ids = self.tokenizer.encode_chat(&chat).map_err(failed)?;
        work.meter.add(chat.as_str().len() as u64);
        Ok(ids)
    }
}

/// An answer in the making.
struct Answer {
    model: Arc<dyn Backend>,
    late: Late,
    events: mpsc::Sender<Result<Event, ProviderError>>,
    usage: Usage,
    at_most: StopReason,
    stop_strings: Vec<String>,
}

impl Answer {
    /// Makes the whole answer, as long as somebody waits for it.
    ///
    /// # Errors
    ///
    /// Where the engine failed, which whoever waits was told.
    fn run(self, mut generation: Generation<'_>, work: &Work) -> Result<(), ErrorKind> {
        let start = Event::Start {
            id: work.id.clone(),
            model: work.model.clone(),
            usage: self.usage,
        };
        let open = Event::BlockStart {
            index: 0,
            block: Block::text(""),
        };
        if self.tell(start).is_break() || self.tell(open).is_break() {
            return Ok(());
        }
        let finish = generation.run(|step| match step {
            Step::Text(piece) => self.tell(Event::BlockDelta {
                index: 0,
                delta: Delta::Text(piece.into()),
            }),
            _ => ControlFlow::Continue(()),
        });
        // What computed may have changed meanwhile.
        self.late.tell(Learned {
            notes: self.model.notes(),
            execution_providers: self.model.info().execution_providers,
        });
        match finish {
            Ok(finish) => {
                self.end(&finish);
                Ok(())
            }
            Err(error) => {
                let told = work.failed(Failure::Engine).because(CannotRun::of(&error));
                let _ = self.events.try_send(Err(told)); // nobody may be there any more
                Err(error.kind())
            }
        }
    }

    fn end(&self, finish: &Finish) {
        let stop = match finish.reason {
            FinishReason::StopToken(_) => StopReason::EndTurn,
            FinishReason::StopString(index) => {
                let text = self.stop_strings.get(index);
                StopReason::StopSequence(text.map(|text| text.as_str().into()))
            }
            FinishReason::Length => self.at_most.clone(),
            FinishReason::Cancelled => return, // nobody is there to be told
        };
        let end = Event::End {
            stop,
            usage: Usage {
                output: finish.usage.completion_tokens as u64,
                ..self.usage
            },
            extra: Extra::default(),
        };
        if self.tell(Event::BlockEnd { index: 0 }).is_continue() {
            let _ = self.tell(end);
        }
    }

    /// Breaks where nobody reads any more.
    fn tell(&self, event: Event) -> ControlFlow<()> {
        match self.events.try_send(Ok(event)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The one place where a model is loaded.
fn load(place: &Place, options: &Options) -> Result<Arc<dyn Backend>, EngineError> {
    inhouse_backends::load(&place.folder, options, &mut |_| ())
}

/// What is wrong with a request before anything ran.
fn refused(work: &Work, error: &EngineError) -> ProviderError {
    let kind = match error.kind() {
        ErrorKind::Options => Failure::BadRequest,
        ErrorKind::ContextOverflow { .. } => Failure::TooLong,
        _ => Failure::Engine,
    };
    work.failed(kind).because(CannotRun::of(error))
}

/// Configuration may name the graph's file; the folder says which one is run.
fn is_the_file(config: &GenaiConfig, place: &Place) -> Result<(), CannotRun> {
    let run = &config.decoder.filename;
    match &place.file {
        Some(named) if *named != **run => Err(CannotRun::new(format!(
            "{}: modelPath names {}, and genai_config.json in its folder names {run}; let them name the same",
            place.name,
            named.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use inhouse_chat::{ChatRequest, Message};
    use inhouse_config::ProviderConfig;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use inhouse_engine::{Batch, Cancel, Logits, ModelInfo, Want};
    use inhouse_router::Meter;
    use tokio::sync::oneshot;

    use super::*;
    use crate::local::{computing, prompt, tests};

    fn loaded() -> Loaded {
        let place = Place::of_zoo("llama-fp32");
        let options = computing::options(&ProviderConfig::default(), &tests::options()).unwrap();
        Loaded::open(&place, &options).unwrap()
    }

    fn work() -> Work {
        let request = ChatRequest::new("m", [Message::user("Hello")]);
        Work {
            provider: "onnx-local".into(),
            id: "local-1".into(),
            model: "m".into(),
            prompt: prompt::read(&request).unwrap(),
            request: Arc::new(request),
            meter: Meter::default(),
            caller: None,
            cancel: Cancel::new(),
        }
    }

    /// A model whose device is lost at its third step, and that goes on with another one, or fails.
    struct Losing {
        model: Arc<dyn Backend>,
        steps: Arc<AtomicUsize>,
        fails: Option<ErrorKind>,
    }

    impl Losing {
        fn has_lost(&self) -> bool {
            self.steps.load(Ordering::Relaxed) > 2
        }
    }

    impl Backend for Losing {
        fn config(&self) -> &GenaiConfig {
            self.model.config()
        }

        fn folder(&self) -> &Path {
            self.model.folder()
        }

        fn info(&self) -> ModelInfo {
            let provider = if self.has_lost() { "cpu" } else { "cuda" };
            ModelInfo {
                execution_providers: vec![provider.to_owned()],
                ..self.model.info()
            }
        }

        fn session(&self) -> Result<Box<dyn Session>, EngineError> {
            Ok(Box::new(Counted {
                session: self.model.session()?,
                steps: Arc::clone(&self.steps),
                fails: self.fails,
            }))
        }

        fn batch(&self) -> Result<Box<dyn Batch>, EngineError> {
            self.model.batch()
        }

        fn notes(&self) -> Vec<String> {
            let lost = self.has_lost().then_some("cuda lost: it is gone");
            let all = std::iter::once("qnn passed over").chain(lost);
            all.map(str::to_owned).collect()
        }
    }

    /// Counts its steps.
    struct Counted {
        session: Box<dyn Session>,
        steps: Arc<AtomicUsize>,
        fails: Option<ErrorKind>,
    }

    impl Session for Counted {
        fn vocab_size(&self) -> usize {
            self.session.vocab_size()
        }

        fn context_length(&self) -> usize {
            self.session.context_length()
        }

        fn ids(&self) -> &[u32] {
            self.session.ids()
        }

        fn truncate(&mut self, len: usize) {
            self.session.truncate(len);
        }

        fn extend(
            &mut self,
            ids: &[u32],
            want: Want,
            stop: &Cancel,
        ) -> Result<Logits, EngineError> {
            let before = self.steps.fetch_add(1, Ordering::Relaxed);
            match self.fails.filter(|_| before == 2) {
                Some(kind) => Err(EngineError::new(kind, "it is gone")),
                None => self.session.extend(ids, want, stop),
            }
        }
    }

    fn losing(fails: Option<ErrorKind>) -> Loaded {
        let mut loaded = loaded();
        loaded.model = Arc::new(Losing {
            model: Arc::clone(&loaded.model),
            steps: Arc::default(),
            fails,
        });
        loaded.session = loaded.model.session().unwrap();
        loaded
    }

    #[test]
    fn what_happened_to_a_device_is_told_at_the_end() {
        let mut loaded = losing(None);
        let work = work();
        let (generation, answer, begun) = loaded.begin(&work).unwrap();
        assert_eq!(begun.execution_providers, ["cuda"]);
        assert_eq!(begun.notes, ["qnn passed over"]);
        answer.run(generation, &work).unwrap();
        let told = begun.late.told().unwrap();
        assert_eq!(told.notes, ["qnn passed over", "cuda lost: it is gone"]);
        assert_eq!(told.execution_providers, ["cpu"]);
    }

    #[test]
    fn a_model_whose_last_device_is_lost_is_loaded_anew() {
        for (kind, anew) in [(ErrorKind::Device, true), (ErrorKind::Memory, false)] {
            let mut loaded = losing(Some(kind));
            let (reply, begun) = oneshot::channel();
            let job = Job {
                work: work(),
                reply,
            };
            assert_eq!(loaded.answer(job).is_break(), anew);
            let mut begun = begun.blocking_recv().unwrap().unwrap();
            let mut last = None;
            while let Some(event) = begun.events.blocking_recv() {
                last = Some(event);
            }
            let error = last.unwrap().unwrap_err();
            assert_eq!(error.kind, Failure::Engine);
            assert_eq!(error.cause.unwrap().to_string(), "it is gone");
            if !anew {
                assert!(loaded.session.is_empty(), "nothing is gone on with");
            }
        }
    }

    #[test]
    fn a_request_that_was_given_up_in_the_queue_is_passed_over() {
        let mut loaded = loaded();
        let (reply, mut begun) = oneshot::channel();
        let work = work();
        work.cancel.cancel();
        assert!(loaded.answer(Job { work, reply }).is_continue());
        assert!(begun.try_recv().is_err(), "no reply");
        assert!(loaded.session.is_empty(), "nothing ran");
    }

    #[test]
    fn a_request_that_nobody_waits_for_is_not_begun() {
        let mut loaded = loaded();
        let (reply, begun) = oneshot::channel();
        drop(begun);
        let job = Job {
            work: work(),
            reply,
        };
        assert!(loaded.answer(job).is_continue());
        assert!(loaded.session.is_empty(), "nothing ran");
    }

    #[test]
    fn nothing_runs_for_a_stream_that_was_dropped() {
        let mut loaded = loaded();
        let work = work();
        let (generation, answer, begun) = loaded.begin(&work).unwrap();
        drop(begun);
        answer.run(generation, &work).unwrap();
        assert!(loaded.session.is_empty(), "nothing ran");
    }

    #[test]
    fn a_flag_that_is_set_meanwhile_ends_the_answer_without_an_end() {
        let mut loaded = loaded();
        let work = work();
        let (generation, answer, mut begun) = loaded.begin(&work).unwrap();
        work.cancel.cancel();
        answer.run(generation, &work).unwrap();
        let mut n_events = 0;
        while let Ok(event) = begun.events.try_recv() {
            n_events += 1;
            assert!(!matches!(event, Ok(Event::End { .. })));
        }
        assert_eq!(n_events, 2, "the start, and the part that stays open");
        assert!(loaded.session.is_empty(), "nothing ran");
    }
}
