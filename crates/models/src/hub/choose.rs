//! Which of a repository's files make up the model that was asked for.

use super::TreeFile;
use crate::error::{StoreError, StoreErrorKind};
use crate::source::is_gguf;

/// The files to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A model folder, ready as it is.
    Folder {
        /// The folder in the repository; empty for its root.
        folder: String,
        files: Vec<TreeFile>,
    },
    /// A GGUF file, to be converted.
    Gguf(TreeFile),
}

impl Choice {
    /// What is to be fetched.
    pub(crate) fn files(&self) -> &[TreeFile] {
        match self {
            Self::Folder { files, .. } => files,
            Self::Gguf(file) => std::slice::from_ref(file),
        }
    }

    /// The file that is to be converted.
    pub(crate) fn gguf(&self) -> Option<&TreeFile> {
        match self {
            Self::Folder { .. } => None,
            Self::Gguf(file) => Some(file),
        }
    }
}

const CONFIG: &str = "genai_config.json";

/// Beside a model folder at a repository's root lie other forms of the same model, and pictures.
const NOT_NEEDED: &[&str] = &[
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".h5",
    ".msgpack",
    ".gguf",
    ".ot",
    ".tflite",
    ".mlmodel",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".webp",
    ".mp4",
    ".pdf",
    ".ipynb",
    ".gitattributes",
    ".gitignore",
];

/// Chooses what a pull of `wanted` (a folder, a `.gguf`, or nothing) fetches from `files`.
pub(crate) fn choose(repo: &str, wanted: &str, files: Vec<TreeFile>) -> Result<Choice, StoreError> {
    if is_gguf(wanted) {
        let found = files.into_iter().find(|file| file.path == wanted);
        return found
            .map(Choice::Gguf)
            .ok_or_else(|| missing(repo, wanted, "no such file"));
    }
    let folder = match model_folders(&files, wanted) {
        folders if folders.iter().any(|folder| folder == wanted) => wanted.to_owned(),
        folders => match folders.as_slice() {
            [only] => only.clone(),
            [] => return Err(no_model(repo, wanted, &files)),
            several => return Err(ambiguous(repo, wanted, several)),
        },
    };
    let others: Vec<_> = model_folders(&files, &folder)
        .into_iter()
        .filter(|other| *other != folder)
        .collect();
    let belongs = |file: &TreeFile| {
        is_below(&file.path, &folder)
            && !others.iter().any(|other| is_below(&file.path, other))
            && !NOT_NEEDED
                .iter()
                .any(|end| file.path.to_ascii_lowercase().ends_with(end))
    };
    let files = files.into_iter().filter(belongs).collect();
    Ok(Choice::Folder { folder, files })
}

/// The folders below `wanted`, itself included, that hold a model.
fn model_folders(files: &[TreeFile], wanted: &str) -> Vec<String> {
    let parent = |path: &str| match path.rsplit_once('/') {
        Some((folder, CONFIG)) => Some(folder.to_owned()),
        None if path == CONFIG => Some(String::new()),
        _ => None,
    };
    let below = |folder: &String| folder == wanted || is_below(folder, wanted);
    files
        .iter()
        .filter_map(|file| parent(&file.path))
        .filter(below)
        .collect()
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn missing(repo: &str, wanted: &str, why: &str) -> StoreError {
    let place = if wanted.is_empty() {
        repo.to_owned()
    } else {
        format!("{repo}/{wanted}")
    };
    StoreError::new(StoreErrorKind::NotFound, format!("hf:{place}: {why}"))
}

fn no_model(repo: &str, wanted: &str, files: &[TreeFile]) -> StoreError {
    let ggufs: Vec<_> = files
        .iter()
        .filter(|file| is_gguf(&file.path))
        .map(|file| format!("hf:{repo}/{}", file.path))
        .collect();
    if ggufs.is_empty() {
        let why = "no model folder is there: what can be used has a genai_config.json, or is a .gguf file";
        return missing(repo, wanted, why);
    }
    missing(
        repo,
        wanted,
        &format!(
            "no model folder is there; name one of its files: {}",
            ggufs.join(", ")
        ),
    )
}

fn ambiguous(repo: &str, wanted: &str, folders: &[String]) -> StoreError {
    let names: Vec<_> = folders
        .iter()
        .map(|folder| format!("hf:{repo}/{folder}"))
        .collect();
    missing(
        repo,
        wanted,
        &format!("several models are there, name one: {}", names.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Expected;

    fn files(paths: &[&str]) -> Vec<TreeFile> {
        let file = |path: &&str| TreeFile {
            path: (*path).to_owned(),
            size: 1,
            blob: Expected::GitBlob("0".repeat(40)),
        };
        paths.iter().map(file).collect()
    }

    /// The chosen files, or what the error says.
    fn check(wanted: &str, paths: &[&str], expected: &[&str]) {
        match choose("o/r", wanted, files(paths)) {
            Ok(Choice::Folder { files, .. }) => {
                let chosen: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
                assert_eq!(chosen, expected);
            }
            Ok(Choice::Gguf(file)) => assert_eq!([file.path.as_str()], expected),
            Err(error) => {
                for part in expected {
                    assert!(error.to_string().contains(part), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_folder_is_taken_whole() {
        let paths = [
            "cpu/genai_config.json",
            "cpu/model.onnx",
            "cpu/sub/x",
            "gpu/genai_config.json",
            "README.md",
        ];
        check(
            "cpu",
            &paths,
            &["cpu/genai_config.json", "cpu/model.onnx", "cpu/sub/x"],
        );
    }

    #[test]
    fn the_only_folder_is_found() {
        check(
            "",
            &["a/b/genai_config.json", "a/b/m.onnx", "x"],
            &["a/b/genai_config.json", "a/b/m.onnx"],
        );
        check(
            "a",
            &["a/b/genai_config.json", "c/genai_config.json"],
            &["a/b/genai_config.json"],
        );
    }

    #[test]
    fn a_root_is_taken_without_other_forms() {
        let paths = [
            "genai_config.json",
            "model.onnx",
            "model.safetensors",
            ".gitattributes",
            "cuda/genai_config.json",
            "cuda/model.onnx",
            "data/extra",
        ];
        check(
            "",
            &paths,
            &["genai_config.json", "model.onnx", "data/extra"],
        );
    }

    #[test]
    fn several_folders_are_named() {
        let paths = ["a/genai_config.json", "b/genai_config.json"];
        check("", &paths, &["several", "hf:o/r/a, hf:o/r/b"]);
    }

    #[test]
    fn a_gguf_is_taken_by_name() {
        check("x.Q4_0.gguf", &["x.Q4_0.gguf", "y.gguf"], &["x.Q4_0.gguf"]);
        check("z.gguf", &["x.gguf"], &["no such file"]);
        check("", &["x.gguf"], &["hf:o/r/x.gguf"]);
        check("", &["model.safetensors"], &["genai_config.json"]);
    }
}
