//! The recorded files.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use inhouse_chat::Dialect;
use serde_json::Value;

/// Folders of `testdata/wire`, and what is spoken in them.
pub(crate) const DIALECTS: &[(&str, Dialect)] = &[
    ("anthropic", Dialect::Anthropic),
    ("openai_chat", Dialect::OpenAiChat),
    ("openai_responses", Dialect::OpenAiResponses),
    ("gemini", Dialect::Gemini),
    ("ollama", Dialect::Ollama),
];

/// What everything recorded is turned into.
pub(crate) fn targets() -> impl Iterator<Item = Dialect> {
    let ours = [Dialect::Neutral].into_iter();
    DIALECTS.iter().map(|(_, dialect)| *dialect).chain(ours)
}

/// Calls `check` with every file whose name ends so; there must be one.
pub(crate) fn each(ending: &str, check: impl Fn(Dialect, &str, &[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire");
    let mut found = 0;
    for (folder, dialect) in DIALECTS {
        let mut files: Vec<_> = fs::read_dir(root.join(folder))
            .unwrap_or_else(|error| panic!("testdata/wire/{folder}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(ending) {
                found += 1;
                let name = format!("{folder}/{name}");
                check(*dialect, &name, &fs::read(&file).unwrap());
            }
        }
    }
    assert!(
        found > 0 || ending == ".ndjson",
        "no file ends with {ending}"
    );
}

/// Every recorded stream.
pub(crate) fn streams() -> Vec<(Dialect, String, Vec<u8>)> {
    let found = RefCell::new(Vec::new());
    for ending in [".sse", ".ndjson"] {
        each(ending, |dialect, name, bytes| {
            let stream = (dialect, name.to_owned(), bytes.to_vec());
            found.borrow_mut().push(stream);
        });
    }
    found.into_inner()
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}
