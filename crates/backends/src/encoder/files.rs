//! Small files of a model's folder, which may come from anywhere.

use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Component, Path, PathBuf};

use inhouse_engine::{EngineError, ErrorKind};
use serde::de::DeserializeOwned;

/// A file beyond this is refused unread: `tokenizer_config.json` with all its added tokens is the largest of them.
const MOST_BYTES: u64 = 32 << 20;

/// What a JSON file says, or `None` where there is no such file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let size = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(wrong(path, "it is not a file")),
        Err(error) if error.kind() == NotFound => return Ok(None),
        Err(error) => return Err(cannot_read(path, error)),
    };
    if size > MOST_BYTES {
        let why = format!("it has {size} bytes, more than the {MOST_BYTES} that are read");
        return Err(wrong(path, &why));
    }
    let bytes = fs::read(path).map_err(|error| cannot_read(path, error))?;
    let read = serde_json::from_slice(&bytes);
    read.map(Some)
        .map_err(|error| wrong(path, &error.to_string()))
}

/// A folder that a file of the folder names.
pub(super) fn below(folder: &Path, named: &str, by: &str) -> Result<PathBuf, EngineError> {
    let is_plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if Path::new(named).components().all(is_plain) {
        return Ok(folder.join(named));
    }
    let message = format!("{by} names {named:?}, which is not inside the model's folder");
    Err(EngineError::config(message))
}

/// What is wrong with a file.
pub(super) fn wrong(path: &Path, why: &str) -> EngineError {
    EngineError::config(format!("{}: {why}", path.display()))
}

pub(super) fn cannot_read(path: &Path, error: std::io::Error) -> EngineError {
    let message = format!("cannot read {}", path.display());
    EngineError::with_source(ErrorKind::Load, message, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_below_the_model() {
        let check = |named: &str, expected: Option<&str>| {
            let found = below(Path::new("m"), named, "modules.json").ok();
            assert_eq!(found, expected.map(PathBuf::from), "{named}");
        };
        check("", Some("m/"));
        check("1_Pooling", Some("m/1_Pooling"));
        check("./a/b", Some("m/./a/b"));
        check("..", None);
        check("a/../../b", None);
        check("/etc", None);
    }
}
