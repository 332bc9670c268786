//! A hub on loopback: one repository, its small files from the hub itself, its large ones from another server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::server::{Request, Response, Server};

pub(super) const REPO: &str = "tester/Tiny-onnx";
pub(super) const FOLDER: &str = "cpu/int4";

/// One file of the repository.
#[derive(Clone)]
pub(super) struct HubFile {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    /// Large files are in LFS: named by sha256, and served elsewhere.
    pub(super) large: bool,
}

impl HubFile {
    fn new(path: &str, bytes: impl Into<Vec<u8>>, large: bool) -> Self {
        Self {
            path: path.to_owned(),
            bytes: bytes.into(),
            large,
        }
    }

    /// The name of its blob.
    pub(super) fn id(&self) -> String {
        if self.large {
            sha256(&self.bytes)
        } else {
            git_blob(&self.bytes)
        }
    }
}

/// What the hub does instead of answering.
type Trick = Box<dyn FnMut(&Request) -> Option<Response> + Send>;

/// What the hub holds and how it behaves.
pub(super) struct State {
    pub(super) commit: String,
    pub(super) files: Vec<HubFile>,
    /// Entries in a page of the listing.
    pub(super) page: usize,
    /// Before the path in the link to the next page.
    pub(super) links_to: String,
    /// The token that is wanted.
    pub(super) token: Option<String>,
    /// Where large files are; the hub redirects there.
    elsewhere: String,
    /// Asked first, by the end of the target; the empty end is asked for everything.
    tricks: HashMap<String, Trick>,
    /// Raw entries that are added to the listing.
    pub(super) listed: Vec<serde_json::Value>,
}

/// The hub and the server with its large files.
pub(super) struct Hub {
    pub(super) hub: Server,
    pub(super) elsewhere: Server,
    state: Arc<Mutex<State>>,
}

impl Hub {
    /// A hub with one repository: a model in a folder, another beside it, and files that no model needs.
    pub(super) fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            commit: "5ca1ab1e".repeat(5),
            files: sample(),
            page: 1000,
            links_to: String::new(),
            token: None,
            elsewhere: String::new(),
            tricks: HashMap::new(),
            listed: Vec::new(),
        }));
        let [for_hub, for_elsewhere] = [Arc::clone(&state), Arc::clone(&state)];
        let hub = Server::start(move |request| lock(&for_hub).answer(request));
        let elsewhere = Server::start(move |request| lock(&for_elsewhere).bytes(request));
        lock(&state).elsewhere = elsewhere.url();
        Self {
            hub,
            elsewhere,
            state,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Answers requests whose target ends so by `trick`, as long as it has an answer.
    pub(super) fn trick(
        &self,
        end: &str,
        trick: impl FnMut(&Request) -> Option<Response> + Send + 'static,
    ) {
        self.state().tricks.insert(end.to_owned(), Box::new(trick));
    }

    /// Sends large files from the other server by its name instead of its number.
    pub(super) fn redirect_by_name(&self) {
        let name = self.elsewhere.url_by_name();
        self.state().elsewhere = name;
    }

    /// The file of this path.
    pub(super) fn file(&self, path: &str) -> HubFile {
        self.state()
            .files
            .iter()
            .find(|file| file.path == path)
            .unwrap()
            .clone()
    }

    /// The large file of the sample.
    pub(super) fn weights(&self) -> HubFile {
        self.file("cpu/int4/model.onnx.data")
    }

    /// Changes a file and with it the commit.
    pub(super) fn change(&self, path: &str, bytes: &[u8], commit: &str) {
        let mut state = self.state();
        state.commit = commit.to_owned();
        state
            .files
            .iter_mut()
            .find(|file| file.path == path)
            .unwrap()
            .bytes = bytes.to_vec();
    }

    /// Requests for a large file's bytes.
    pub(super) fn transfers(&self) -> Vec<Request> {
        self.elsewhere.requests()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(response) = self.tricked(request) {
            return response;
        }
        let wanted = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.is_some() && request.header("authorization") != wanted.as_deref() {
            return Response::new(401, "").with("X-Error-Code", "RepoNotFound");
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let api = format!("/api/models/{REPO}/");
        let resolve = format!("/{REPO}/resolve/");
        if let Some(rest) = path.strip_prefix(&api) {
            return match rest.split_once('/') {
                Some(("revision", revision)) => self.revision(revision),
                Some(("tree", place)) => self.tree(path, place, query),
                _ => Response::new(404, ""),
            };
        }
        match path
            .strip_prefix(&resolve)
            .and_then(|rest| rest.split_once('/'))
        {
            Some((_, file)) => self.resolve(&decode(file), request),
            None => Response::new(404, "").with("X-Error-Code", "RepoNotFound"),
        }
    }

    fn tricked(&mut self, request: &Request) -> Option<Response> {
        let path = request.target.split('?').next().unwrap_or("");
        let matching = |end: &&String| path.ends_with(end.as_str());
        let ends: Vec<_> = self.tricks.keys().filter(matching).cloned().collect();
        ends.iter()
            .find_map(|end| self.tricks.get_mut(end).and_then(|trick| trick(request)))
    }

    fn knows(&self, revision: &str) -> bool {
        revision == "main" || revision == self.commit || revision == "refs%2Fpr%2F1"
    }

    fn revision(&self, revision: &str) -> Response {
        if !self.knows(revision) {
            return Response::new(404, "").with("X-Error-Code", "RevisionNotFound");
        }
        let files: Vec<_> = self
            .files
            .iter()
            .map(|file| json!({ "rfilename": file.path }))
            .collect();
        let info = json!({
            "id": REPO, "modelId": REPO, "sha": self.commit, "private": false, "gated": false, "disabled": false,
            "tags": ["onnx", "license:mit"], "cardData": { "license": "mit" }, "siblings": files,
        });
        Response::new(200, info.to_string())
    }

    fn tree(&self, path: &str, place: &str, query: &str) -> Response {
        let (_, folder) = place.split_once('/').unwrap_or((place, ""));
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let mut entries: Vec<_> = self
            .files
            .iter()
            .filter(|file| file.path.starts_with(&prefix))
            .map(entry)
            .collect();
        if entries.is_empty() {
            return Response::new(404, "").with("X-Error-Code", "EntryNotFound");
        }
        entries
            .push(json!({ "type": "directory", "oid": "0".repeat(40), "size": 0, "path": "cpu" }));
        entries.extend(self.listed.iter().cloned());
        let cursor = query
            .split('&')
            .find_map(|part| part.strip_prefix("cursor="));
        let start = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let end = entries.len().min(start + self.page);
        let response = Response::new(200, json!(entries[start..end]).to_string());
        if end == entries.len() {
            return response;
        }
        response.with(
            "Link",
            format!(
                "<{}{path}?recursive=true&cursor={end}>; rel=\"next\"",
                self.links_to
            ),
        )
    }

    fn resolve(&self, path: &str, request: &Request) -> Response {
        let Some(file) = self.files.iter().find(|file| file.path == path) else {
            return Response::new(404, "").with("X-Error-Code", "EntryNotFound");
        };
        let id = file.id();
        if !file.large {
            return Response::file(&file.bytes, &id, request).with("X-Repo-Commit", &self.commit);
        }
        Response::new(302, "")
            .with(
                "Location",
                format!("{}/{id}?signature=secret", self.elsewhere),
            )
            .with("X-Linked-ETag", format!("\"{id}\""))
            .with("X-Linked-Size", file.bytes.len().to_string())
            .with("X-Repo-Commit", &self.commit)
    }

    /// The server with the large files.
    fn bytes(&mut self, request: &Request) -> Response {
        if let Some(response) = self.tricked(request) {
            return response;
        }
        let id = request
            .target
            .trim_start_matches('/')
            .split('?')
            .next()
            .unwrap_or("");
        match self.files.iter().find(|file| file.large && file.id() == id) {
            Some(file) => Response::file(&file.bytes, "elsewhere-1", request),
            None => Response::new(403, "the signature is wrong"),
        }
    }
}

fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| std::str::from_utf8(&tail[..2]).unwrap());
        bytes.push(escaped.map_or(*first, |hex| u8::from_str_radix(hex, 16).unwrap()));
        rest = &tail[if escaped.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(bytes).unwrap()
}

fn entry(file: &HubFile) -> serde_json::Value {
    let mut entry = json!({
        "type": "file", "oid": git_blob(&file.bytes), "size": file.bytes.len(), "path": file.path,
    });
    if file.large {
        entry["lfs"] = json!({ "oid": file.id(), "size": file.bytes.len(), "pointerSize": 134 });
    }
    entry
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The repository's files; their bytes are fixed, so their hashes are too.
fn sample() -> Vec<HubFile> {
    let config = r#"{ "model": { "decoder": { "filename": "model.onnx" } } }"#;
    vec![
        HubFile::new(".gitattributes", "* -text\n", false),
        HubFile::new("README.md", "# Tiny\n", false),
        HubFile::new("cpu/int4/genai_config.json", config, false),
        HubFile::new("cpu/int4/model.onnx", noise(1, 5_000), true),
        HubFile::new("cpu/int4/model.onnx.data", noise(2, 300_000), true),
        HubFile::new("cpu/int4/tokenizer.json", "{}\n", false),
        HubFile::new("cpu/int4/sub folder/a+b.txt", "needs encoding\n", false),
        HubFile::new("gpu/genai_config.json", config, false),
        HubFile::new("gpu/model.onnx", noise(3, 1_000), true),
    ]
}

/// Bytes that look random and are always the same.
pub(super) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn git_blob(bytes: &[u8]) -> String {
    let mut sha1 = Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    sha1.update(bytes);
    hex(&sha1.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
