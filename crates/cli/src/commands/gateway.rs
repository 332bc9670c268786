//! The router as the commands use it, and the loop that its connections run on.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use inhouse::{Compute, FindModel, LedgerAt, ModelRouter, Options};
use inhouse_chat::BoxError;
use inhouse_engine::KvType;
use tokio::runtime::{self, Handle};
use tokio::sync::{Notify, oneshot};

use super::model_flags::{ComputeFlags, KvFlag};
use super::{Context, config, store};
use crate::env::ProcessEnv;
use crate::{log, machine};

/// A router, and what drives it.
pub(super) struct Gateway {
    pub(super) router: ModelRouter,
    driver: Driver,
}

/// A thread that keeps connections going, also while nobody waits for an answer: one whose answer was dropped is closed
/// at once, and not when the next answer is asked for.
struct Driver {
    handle: Handle,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Driver {
    fn start() -> anyhow::Result<Self> {
        let cannot = "cannot wait for connections";
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context(cannot)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let drive = move || {
            let _ = runtime.block_on(ended);
            runtime.shutdown_background(); // a model that is being looked for is not waited for
        };
        let thread = thread::Builder::new()
            .name("connections".into())
            .spawn(drive)
            .context(cannot)?;
        Ok(Self {
            handle,
            thread: Some((end, thread)),
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

impl Gateway {
    /// The router of the configuration in force; what looks wrong in that is said. With `local_only`, or offline, no
    /// client of a remote provider is built.
    pub(super) fn open(
        local_only: bool,
        compute: ComputeFlags,
        context: &Context,
    ) -> anyhow::Result<Self> {
        let loaded = config::load(None, context)?;
        config::warn(&loaded);
        log::start(loaded.config.monitoring.log_level);
        let settings = &context.settings;
        let mut own = context.clone();
        own.settings.offline |= local_only; // then no model is fetched either
        let router = ModelRouter::open(Options {
            config: loaded,
            env: Arc::new(ProcessEnv),
            local_only: local_only || settings.offline,
            models: Arc::new(InStore(own)),
            ledger: LedgerAt::File(settings.ledger()?),
            prices: Some(settings.prices()?),
            compute: compute_options(compute, context)?,
        })?;
        for (_, why) in router.unavailable() {
            eprintln!("warning: {why}");
        }
        let driver = Driver::start()?;
        Ok(Self { router, driver })
    }

    /// Does `work`; `None` where Ctrl-C ended it, which drops it and with it the upstream's connection.
    pub(super) fn run<T>(&self, context: &Context, work: impl Future<Output = T>) -> Option<T> {
        let stop = Arc::new(Notify::new());
        let pressed = Arc::clone(&stop);
        let until_stopped = async {
            tokio::select! {
                biased;
                () = stop.notified() => None,
                done = work => Some(done),
            }
        };
        let wait = || self.driver.handle.block_on(until_stopped);
        let (done, _) = context.interrupt.during(move || pressed.notify_one(), wait);
        done
    }
}

fn compute_options(compute: ComputeFlags, context: &Context) -> anyhow::Result<Compute> {
    let settings = &context.settings;
    Ok(Compute {
        threads: compute.threads.map(usize::from),
        isa: settings.isa,
        kv: match compute.kv {
            KvFlag::F16 => KvType::F16,
            KvFlag::F32 => KvType::F32,
            KvFlag::I8 => KvType::I8,
        },
        packed: settings.packed.for_loading(),
        available_memory: Some(machine::memory().available_bytes),
        runtime: Some(settings.runtimes()?),
    })
}

/// Finds the engine's models in the store. The default model is pulled where it is missing.
struct InStore(Context);

impl FindModel for InStore {
    fn find(&self, name: &str) -> Result<PathBuf, BoxError> {
        // The alternate form of an error of anyhow has its causes, which would be lost here.
        store::resolve_or_pull(name, &self.0).map_err(|error| format!("{error:#}").into())
    }
}
