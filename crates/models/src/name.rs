//! Names of models and of files inside them: both become paths, so both are checked.

use std::path::{Path, PathBuf};

use crate::error::{StoreError, StoreErrorKind};

/// Checks a model's name and lowers its case, for file systems differ in what they make of case.
pub(crate) fn model_name(name: &str) -> Result<String, StoreError> {
    let lower = name.trim().to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = lower
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric());
    if starts_well && lower.len() <= 96 && lower.chars().all(fits) && !lower.ends_with('.') {
        return Ok(lower);
    }
    Err(StoreError::new(
        StoreErrorKind::BadSource,
        format!(
            "{name:?} cannot be a model's name: use up to 96 letters, digits, dots, dashes and underscores, \
             beginning with a letter or digit"
        ),
    ))
}

/// Makes a model's name of whatever a source is called.
pub(crate) fn derive(from: &str) -> Result<String, StoreError> {
    let kept: String = from
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
                c
            } else {
                '-'
            }
        })
        .collect();
    model_name(kept.trim_matches(['-', '.', '_']))
}

/// Turns a path with `/` from outside (a hub's listing, an archive) into a relative path that stays inside.
pub(crate) fn inside(path: &str) -> Result<PathBuf, StoreError> {
    let fits = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part
                .chars()
                .any(|c| c.is_control() || matches!(c, '\\' | ':'))
    };
    if path.len() <= 1024 && path.split('/').all(fits) {
        return Ok(path.split('/').collect());
    }
    Err(StoreError::new(
        StoreErrorKind::Unsafe,
        format!("the file name {path:?} would leave the model's folder: nothing was written"),
    ))
}

/// A relative path with `/`, whatever the system's separator.
pub(crate) fn with_slashes(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit() {
        for (given, expected) in [
            ("phi-4-mini", "phi-4-mini"),
            ("Phi-3.5-Mini", "phi-3.5-mini"),
            (" a ", "a"),
        ] {
            assert_eq!(model_name(given).unwrap(), expected);
        }
    }

    #[test]
    fn names_that_do_not() {
        for given in [
            "", ".", "..", ".locks", "a/b", "a\\b", "c:", "-x", "a b", "é", "x.",
        ] {
            assert!(model_name(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn names_made_of_sources() {
        for (given, expected) in [
            ("Phi-4-mini-instruct-onnx", "phi-4-mini-instruct-onnx"),
            ("my model (1)", "my-model--1"),
            ("--x--", "x"),
        ] {
            assert_eq!(derive(given).unwrap(), expected);
        }
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside("a/b.txt").unwrap(), Path::new("a").join("b.txt"));
        for given in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a\\..\\b",
            "c:/x",
            "a/.",
            "a\0b",
        ] {
            assert_eq!(
                inside(given).unwrap_err().kind(),
                StoreErrorKind::Unsafe,
                "{given:?}"
            );
        }
    }
}
