//! The engine inside: models that compute on this device.
//!
//! A request's way: [`prompt`] reads what the engine can take of it, [`choice`] says which model answers, [`models`]
//! keeps a thread for each loaded model and loads what is missing, [`loaded`] answers on that thread, and [`events`]
//! brings the answer back and stops the engine when nobody waits for it.

mod choice;
mod computing;
mod error;
mod events;
mod job;
mod loaded;
mod models;
mod prompt;
mod sampling;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::{BoxFuture, FutureExt};
use inhouse_backends::Search;
use inhouse_chat::{BoxError, Failure, ModelName, ProviderError, ProviderName};
use inhouse_config::ProviderConfig;
use inhouse_engine::{Cancel, Isa, KvType};
use inhouse_policy::Zone;
use inhouse_router::{Answering, Call, Provider};
use tokio::sync::oneshot;

use choice::{Choice, Place, Wanted};
use error::CannotRun;
use events::{Events, Stop};
use job::{Job, Work};
use models::Models;

/// Finds the folders of models by name.
pub trait FindModel: Send + Sync {
    /// The folder of the model that the catalogue or its owner calls `name`. It may take its time, and download.
    ///
    /// Names come from requests: one that looks like a path must not be taken for one.
    ///
    /// # Errors
    ///
    /// Where there is none; the message names the model.
    fn find(&self, name: &str) -> Result<PathBuf, BoxError>;
}

/// How models are found and computed.
#[derive(Clone)]
pub struct LocalOptions {
    /// Finds models by name.
    pub models: Arc<dyn FindModel>,
    /// Threads; every core this process may use where absent.
    pub threads: Option<usize>,
    /// Instruction set; the best this machine has where absent.
    pub isa: Option<Isa>,
    /// Type of the KV cache.
    pub kv: KvType,
    /// The folder that packed weights are kept in; they are packed in memory where absent.
    pub packed: Option<PathBuf>,
    /// Memory that all loaded models may take together, in bytes; not checked where absent.
    pub available_memory: Option<u64>,
    /// Where ONNX Runtime's library may be, besides where configuration says; nowhere else where absent.
    pub runtime: Option<Search>,
}

/// The engine inside, as a provider: `onnx-local`.
///
/// A model is loaded when it is first asked for, and kept. Its requests are answered one after the other, in the order
/// in which they came.
pub struct Local {
    name: ProviderName,
    choice: Choice,
    finder: Arc<dyn FindModel>,
    /// Or why what is to compute them is wrong.
    models: Result<Models, CannotRun>,
    n_answers: AtomicU64,
}

impl Local {
    /// The engine under the name `name`. Nothing is loaded yet.
    pub fn new(name: &ProviderName, config: &ProviderConfig, options: LocalOptions) -> Self {
        Self {
            name: name.clone(),
            choice: Choice::of(config),
            finder: Arc::clone(&options.models),
            models: computing::options(config, &options).map(Models::new),
            n_answers: AtomicU64::new(0),
        }
    }

    async fn answer(&self, call: Call) -> Result<Answering, ProviderError> {
        let failed = |kind| ProviderError::new(&self.name, kind);
        let (permit, request) = call.cleared.into_parts();
        if !permit.allows(Zone::Device) {
            return Err(failed(Failure::NotPermitted));
        }
        let engine = |why: CannotRun| failed(Failure::Engine).because(why);
        let models = self.models.as_ref().map_err(|why| engine(why.clone()))?;
        let prompt = prompt::read(&request)
            .map_err(|unsupported| failed(Failure::Unsupported).because(unsupported))?;
        let wanted = self.choice.wanted(&call.model);
        let stop = Stop(Cancel::new());
        let place = self.find(&wanted).await?;
        let (reply, begun) = oneshot::channel();
        let job = Job {
            work: Work {
                provider: self.name.clone(),
                id: self.next_id(),
                model: wanted.name.clone(),
                request,
                prompt,
                meter: call.meter,
                caller: call.caller,
                cancel: stop.0.clone(),
            },
            reply,
        };
        models.hand(place, job).map_err(engine)?;
        // Whoever drops this future drops `stop` with it, and the engine passes the job over.
        let begun = begun.await.map_err(|_| engine(CannotRun::stopped()))??;
        Ok(Answering {
            events: Box::pin(Events::new(begun.events, stop)),
            notes: wanted.note.into_iter().chain(begun.notes).collect(),
            execution_providers: begun.execution_providers,
            late: begun.late,
        })
    }

    /// Where the model is; looking for it may take long, so it is not done on an async thread.
    async fn find(&self, wanted: &Wanted) -> Result<Place, ProviderError> {
        let finder = Arc::clone(&self.finder);
        let wanted = wanted.clone();
        let found = tokio::task::spawn_blocking(move || wanted.place(&*finder)).await;
        let failed = |kind| ProviderError::new(&self.name, kind);
        found
            .map_err(|_| failed(Failure::Engine).because(CannotRun::stopped()))?
            .map_err(|error| failed(Failure::NoSuchModel).because(error))
    }

    fn next_id(&self) -> String {
        let n = self.n_answers.fetch_add(1, Ordering::Relaxed) + 1;
        format!("local-{n}")
    }
}

impl Provider for Local {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn zone(&self, _model: &ModelName) -> Zone {
        Zone::Device
    }

    fn chat(&self, call: Call) -> BoxFuture<'_, Result<Answering, ProviderError>> {
        self.answer(call).boxed()
    }

    fn default_model(&self) -> Option<&ModelName> {
        Some(self.choice.default_model())
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("name", &self.name)
            .field("default_model", self.choice.default_model())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
