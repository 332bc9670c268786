//! A home to run in, and the program in it.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use inhouse_testing::{Answer, Received, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of the repository's test data.
pub(crate) fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(path)
        .canonicalize()
        .unwrap()
}

/// A model folder with random weights and recorded outputs.
pub(crate) fn zoo(name: &str) -> PathBuf {
    testdata("zoo").join(name)
}

/// Every folder of the zoo.
pub(crate) fn zoo_folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(testdata("zoo"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// A user with a home of their own, offline.
pub(crate) struct User {
    pub(crate) folder: TempDir,
}

impl User {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of this user's.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A file of this user's.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with these arguments; nothing of this process's environment reaches it but the search path.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("inhouse");
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("INHOUSE_HOME", self.path("home"))
            .env("INHOUSE_OFFLINE", "1");
        command
    }

    /// What the program prints and how it ends, with what differs from one run to the next taken out.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.shown(&self.command(args).output().unwrap())
    }

    /// As [`User::run`], with leave to use the network.
    pub(crate) fn online(&self, args: &[&str]) -> String {
        let mut command = self.command(args);
        self.shown(&command.env_remove("INHOUSE_OFFLINE").output().unwrap())
    }

    /// As [`User::json`], with leave to use the network.
    pub(crate) fn online_json(&self, args: &[&str]) -> Value {
        let mut command = self.command(args);
        let output = command.env_remove("INHOUSE_OFFLINE").output().unwrap();
        assert!(output.status.success(), "{}", self.shown(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Writes over every place in a file where these bytes are.
    pub(crate) fn replace_bytes(&self, name: &str, old: &str, new: &str) {
        assert_eq!(old.len(), new.len());
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        let places: Vec<usize> = (0..bytes.len().saturating_sub(old.len()))
            .filter(|&at| bytes[at..].starts_with(old.as_bytes()))
            .collect();
        assert!(!places.is_empty(), "{old} is not in {name}");
        for at in places {
            bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// See [`User::run`].
    pub(crate) fn shown(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let whole = format!(
            "status: {}\n----- stdout\n{}----- stderr\n{}",
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr)
        );
        let folder = self.folder.path().canonicalize().unwrap();
        let whole = whole.replace(folder.to_str().unwrap(), "[USER]");
        whole.replace(testdata(".").to_str().unwrap(), "[TESTDATA]")
    }

    /// The JSON that the program prints; it has to succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{}", self.shown(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// An upstream that speaks OpenAI's Chat Completions, answers "Hello there" and tells of the models `m1` and `m2`.
pub(crate) struct Answering {
    pub(crate) upstream: Upstream,
    /// Dropping it ends the thread that the upstream runs on.
    _running: tokio::sync::oneshot::Sender<()>,
}

impl Answering {
    pub(crate) fn start() -> Self {
        let (started, upstream) = std::sync::mpsc::channel();
        let (running, ends) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                started.send(Upstream::start().await).unwrap();
                let _ = ends.await;
            });
        });
        let upstream = upstream.recv().unwrap();
        upstream.always_by(answer);
        Self {
            upstream,
            _running: running,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.upstream.base_url()
    }

    /// Its answer as a stream.
    pub(crate) fn streamed(&self) -> Answer {
        streamed()
    }
}

/// Waits for what happens elsewhere, such as an upstream.
pub(crate) fn wait<T>(happening: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let patience = std::time::Duration::from_secs(60);
        let waited = tokio::time::timeout(patience, happening).await;
        waited.unwrap_or_else(|_| panic!("it did not happen"))
    })
}

fn answer(request: &Received) -> Answer {
    if request.target.ends_with("/models") {
        return Answer::json(&json!({"object": "list", "data": [{"id": "m1"}, {"id": "m2"}]}));
    }
    if request.json()["stream"] == true {
        return streamed();
    }
    Answer::json(&json!({
        "id": "c1", "object": "chat.completion", "model": "m1",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello there"}}],
        "usage": usage(),
    }))
}

fn streamed() -> Answer {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "model": "m1",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let end = json!({"id": "c1", "object": "chat.completion.chunk", "model": "m1", "choices": [], "usage": usage()});
    let chunks = [
        chunk(
            json!({"role": "assistant", "content": "Hello"}),
            Value::Null,
        ),
        chunk(json!({"content": " there"}), Value::Null),
        chunk(json!({}), "stop".into()),
        end,
    ];
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    Answer::sse(events.collect::<String>() + "data: [DONE]\n\n")
}

fn usage() -> Value {
    json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
}

/// The keys of a JSON object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}
