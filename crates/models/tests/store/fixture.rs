//! A store in a temporary folder, with a machine and a converter that tests can look into.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inhouse_models::{
    Converter, Event, Installed, ProgressSink, Store, StoreError, StoreErrorKind, StoreOptions,
    System, Token,
};
use jiff::Timestamp;
use tempfile::TempDir;

use super::hub::{FOLDER, Hub, REPO};

/// A machine whose clock stands still and whose disk is as large as told.
pub(super) struct Machine {
    pub(super) slept: Mutex<Duration>,
    pub(super) free: AtomicU64,
    /// So many bytes can still be written.
    pub(super) room: Arc<AtomicU64>,
}

impl System for Machine {
    fn now(&self) -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn sleep(&self, time: Duration) {
        *self.slept.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        assert!(path.is_dir(), "{}", path.display());
        Ok(self.free.load(Ordering::SeqCst))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = fs::File::options().create(true).append(true).open(path)?;
        Ok(Box::new(Limited {
            file,
            room: Arc::clone(&self.room),
        }))
    }
}

struct Limited {
    file: fs::File,
    room: Arc<AtomicU64>,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.room.load(Ordering::SeqCst)).unwrap_or(usize::MAX);
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = self.file.write(&bytes[..bytes.len().min(room)])?;
        self.room.fetch_sub(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Makes a folder whose `model.onnx` is the GGUF file itself.
pub(super) struct Copying;

impl Converter for Copying {
    fn convert(
        &self,
        gguf: &Path,
        folder: &Path,
        progress: &mut dyn FnMut(u64, u64, &str),
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        if !fs::read(gguf)?.starts_with(b"GGUF") {
            return Err("it is not a GGUF file".into());
        }
        progress(1, 2, "weights");
        fs::copy(gguf, folder.join("model.onnx"))?;
        fs::write(folder.join("genai_config.json"), "{}")?;
        progress(2, 2, "weights");
        Ok(())
    }
}

/// A temporary folder with a store in it.
pub(super) struct Fixture {
    pub(super) root: TempDir,
    pub(super) machine: Arc<Machine>,
    pub(super) options: StoreOptions,
    pub(super) events: Events,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let machine = Arc::new(Machine {
            slept: Mutex::default(),
            free: AtomicU64::new(u64::MAX / 4),
            room: Arc::new(AtomicU64::new(u64::MAX / 4)),
        });
        let mut options = StoreOptions::new(root.path().join("home"), root.path().join("hub"));
        // Nobody listens there.
        options.hf_endpoint = "http://127.0.0.1:9".to_owned();
        options.proxy_from_environment = false;
        options.system = Arc::clone(&machine) as Arc<dyn System>;
        options.converter = Arc::new(Copying);
        options.retry.attempts = 4;
        // Long enough for a busy machine; tests of connections that stand still set their own.
        options.retry.stall = Duration::from_secs(20);
        options.pip = Vec::new();
        options.npm = Vec::new();
        Self {
            root,
            machine,
            options,
            events: Events::default(),
        }
    }

    /// A store whose hub is this one.
    pub(super) fn of(hub: &Hub) -> Self {
        let mut fixture = Self::new();
        fixture.options.hf_endpoint = hub.hub.url();
        fixture
    }

    pub(super) fn with_token(mut self, token: &str) -> Self {
        self.options.hf_token = Token::new(token);
        self
    }

    pub(super) fn offline(mut self) -> Self {
        self.options.offline = true;
        self
    }

    pub(super) fn store(&self) -> Store {
        Store::open(self.options.clone()).unwrap()
    }

    pub(super) fn pull(&self, what: &str) -> Result<Installed, StoreError> {
        self.store().pull(what, &self.events)
    }

    /// Pulls the folder of the sample repository.
    pub(super) fn pull_sample(&self) -> Result<Installed, StoreError> {
        self.pull(&sample())
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// The repository's folder in the hub's cache.
    pub(super) fn cache(&self) -> PathBuf {
        self.path("hub")
            .join(format!("models--{}", REPO.replace('/', "--")))
    }

    pub(super) fn slept(&self) -> Duration {
        *self
            .machine
            .slept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The source of the sample's model.
pub(super) fn sample() -> String {
    format!("hf:{REPO}/{FOLDER}")
}

/// Remembers what it heard.
#[derive(Default)]
pub(super) struct Events(Mutex<Vec<String>>);

impl ProgressSink for Events {
    fn event(&self, event: &Event<'_>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{event:?}"));
    }
}

impl Events {
    pub(super) fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many events hold this text.
    pub(super) fn count(&self, text: &str) -> usize {
        self.all()
            .iter()
            .filter(|event| event.contains(text))
            .count()
    }
}

/// Expects an error of this kind whose message, causes included, holds these texts.
#[track_caller]
pub(super) fn expect_error<T: std::fmt::Debug>(
    result: Result<T, StoreError>,
    kind: StoreErrorKind,
    texts: &[&str],
) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message = format!("{message}: {cause}");
        next = cause.source();
    }
    for text in texts {
        assert!(message.contains(text), "{text:?} is not in: {message}");
    }
}

/// The files and links below a folder: `path size` or `path -> target`, sorted.
pub(super) fn listing(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, lines: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_symlink() {
                lines.push(format!(
                    "{shown} -> {}",
                    fs::read_link(&path).unwrap().display()
                ));
            } else if metadata.is_dir() {
                walk(root, &path, lines);
            } else {
                lines.push(format!("{shown} {}", metadata.len()));
            }
        }
    }
    let mut lines = Vec::new();
    walk(folder, folder, &mut lines);
    lines.sort();
    lines
}

/// Writes a file and the folders above it.
pub(super) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
