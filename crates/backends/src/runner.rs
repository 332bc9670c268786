//! A graph that ONNX Runtime has loaded, shared by all who run it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inhouse_engine::Cancel;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{IoBinding, RunOptions, Session, SessionOutputs};

use crate::device::Device;
use crate::failure::Failure;

/// How a graph is loaded, whatever it computes.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// Threads of the processor; the others' own affair.
    pub(crate) threads: usize,
    /// Configuration entries of ONNX Runtime.
    pub(crate) entries: Vec<(String, String)>,
    pub(crate) optimization: GraphOptimizationLevel,
    pub(crate) cpu_arena: bool,
    pub(crate) memory_pattern: bool,
}

/// What ONNX Runtime calls a run that is neither recorded nor replayed.
const NOT_RECORDED: i32 = -1;

/// Operators that an execution provider took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The provider by ONNX Runtime's name.
    pub(crate) provider: String,
    pub(crate) nodes: usize,
}

/// A loaded graph. ONNX Runtime takes several runs at once, but all its threads are in each of them, so they go one after
/// the other.
pub(crate) struct Runner {
    session: Mutex<Session>,
    pub(crate) placements: Vec<Placement>,
    /// Its device records runs and replays them.
    records: bool,
    #[cfg(test)]
    pub(crate) fault: Mutex<Option<tests::Fault>>,
}

impl Runner {
    /// Loads `graph` on `device`; weights outside of it are in `folder`.
    pub(crate) fn open(
        environment: &Environment,
        graph: &[u8],
        folder: Option<&Path>,
        device: &Device,
        opening: &Opening,
    ) -> Result<Self, Failure> {
        let placed = Arc::new(Mutex::new(Vec::new()));
        let mut builder = builder(environment, device, opening)?;
        if let Some(folder) = folder {
            // The graph is not read from the disk, so it has no folder of its own.
            builder = builder.with_config_entry(
                "session.model_external_initializers_file_folder_path",
                folder.to_string_lossy(),
            )?;
        }
        if !device.is_cpu() {
            builder = listening(builder, &placed)?;
        }
        let session = builder.commit_from_memory(graph)?;
        let mut placements = std::mem::take(&mut *lock(&placed));
        if device.is_cpu() {
            placements.push(Placement {
                provider: device.provider.ort_name().to_owned(),
                nodes: 1, // all of them: there is no other
            });
        }
        Ok(Self {
            session: Mutex::new(session),
            placements,
            records: device.captures(),
            #[cfg(test)]
            fault: Mutex::new(None),
        })
    }

    /// Looks at the session.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&lock(&self.session))
    }

    /// A place to lay inputs and outputs down at.
    pub(crate) fn binding(&self) -> Result<IoBinding, Failure> {
        Ok(lock(&self.session).create_binding()?)
    }

    /// Runs what is bound, until `cancel` is set.
    pub(crate) fn run<T>(
        &self,
        binding: &IoBinding,
        cancel: &Cancel,
        read: impl FnOnce(SessionOutputs<'_>) -> T,
    ) -> Result<T, Failure> {
        self.run_recorded(binding, NOT_RECORDED, cancel, read)
    }

    /// As [`run`](Self::run); a device that records does so under `recording`, and replays what it has under it.
    pub(crate) fn run_recorded<T>(
        &self,
        binding: &IoBinding,
        recording: i32,
        cancel: &Cancel,
        read: impl FnOnce(SessionOutputs<'_>) -> T,
    ) -> Result<T, Failure> {
        #[cfg(test)]
        if let Some(fault) = &mut *lock(&self.fault) {
            fault.pass()?;
        }
        let mut session = lock(&self.session);
        let mut options = RunOptions::new()?;
        // What goes wrong is in the error; the library would print it, too.
        options.set_log_level(LogLevel::Fatal)?;
        if self.records {
            options.set("gpu_graph_id", recording.to_string())?;
        }
        let options = Arc::new(options);
        let terminated = Arc::clone(&options);
        let _hook = cancel.on_cancel(Box::new(move || {
            let _ = terminated.terminate(); // it can only fail where there is no such run
        }));
        let outputs = session.run_binding_with_options(binding, &options);
        if cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        Ok(read(outputs?))
    }
}

fn builder(
    environment: &Environment,
    device: &Device,
    opening: &Opening,
) -> Result<SessionBuilder, Failure> {
    let mut builder = Session::builder(environment)?
        .with_intra_threads(opening.threads)?
        .with_inter_threads(1)?
        // Threads wait for the next operator awake, and for the next token asleep.
        .with_intra_op_spinning(true)?
        .with_inter_op_spinning(false)?
        .with_config_entry("session.force_spinning_stop", "1")?
        .with_optimization_level(opening.optimization)?
        .with_memory_pattern(opening.memory_pattern)?
        .with_log_level(LogLevel::Fatal)?;
    for (key, value) in &opening.entries {
        builder = builder.with_config_entry(key, value)?;
    }
    if device.is_cpu() && !opening.cpu_arena {
        let cpu = ort::ep::CPU::default().with_arena_allocator(false);
        builder = builder.with_execution_providers([cpu.build().error_on_failure()])?;
    }
    Ok(device.attach(builder)?)
}

/// Which provider took how many operators is only said in the log.
fn listening(
    builder: SessionBuilder,
    placed: &Arc<Mutex<Vec<Placement>>>,
) -> Result<SessionBuilder, Failure> {
    let placed = Arc::clone(placed);
    let listen = move |_, _: &str, _: &str, _: &str, message: &str| {
        lock(&placed).extend(placement(message));
    };
    Ok(builder
        .with_log_level(LogLevel::Verbose)?
        .with_logger(Arc::new(listen))?)
}

/// Reads `Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 12` and `All nodes placed on [..]. ..`.
fn placement(message: &str) -> Option<Placement> {
    let (_, rest) = message.split_once("placed on [")?;
    let (provider, rest) = rest.split_once(']')?;
    let (_, nodes) = rest.split_once("Number of nodes: ")?;
    Some(Placement {
        provider: provider.to_owned(),
        nodes: nodes.trim().parse().ok()?,
    })
}

/// The lock, also where a run panicked: the session is whole between two calls of the library.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A provider that fails after some runs, as one does whose device is taken away.
    pub(crate) struct Fault {
        pub(crate) runs_left: usize,
        pub(crate) message: &'static str,
    }

    impl Fault {
        pub(super) fn pass(&mut self) -> Result<(), Failure> {
            match self.runs_left.checked_sub(1) {
                Some(left) => self.runs_left = left,
                None => return Err(Failure::of(&ort::Error::new(self.message))),
            }
            Ok(())
        }
    }

    #[test]
    fn placements_are_read_from_the_log() {
        let check = |message: &str, expected: Option<(&str, usize)>| {
            let found = placement(message);
            let found = found
                .as_ref()
                .map(|found| (found.provider.as_str(), found.nodes));
            assert_eq!(found, expected, "{message}");
        };
        // As ONNX Runtime 1.31.1 writes them (session_state.cc).
        check(
            " All nodes placed on [CPUExecutionProvider]. Number of nodes: 41",
            Some(("CPUExecutionProvider", 41)),
        );
        check(
            " Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 3",
            Some(("CUDAExecutionProvider", 3)),
        );
        check("Node placements", None);
        check("placed on [", None);
        check("placed on [X]. Number of nodes: many", None);
    }
}
