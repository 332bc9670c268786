//! Looking for ONNX Runtime's library, place by place.

use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    folders::{self, Env, Os},
    place::{Candidate, Flavour, Place, Verdict},
    trust,
    version::Version,
};

/// Tells whether a SHA-256 (64 lower-case digits) is that of a file of an official build.
pub type Official = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Where to look for ONNX Runtime's library, and whom to trust.
#[derive(Clone)]
pub struct Search {
    /// The file or folder that the configuration names. It must come from the user's own files or flags, never
    /// from a configuration file of the current folder: what it names is run.
    pub configured: Option<PathBuf>,
    /// The file or folder that `ORT_DYLIB_PATH` names.
    pub dylib_path: Option<PathBuf>,
    /// inhouse's own folder of runtimes, with a folder for each flavour.
    pub runtimes: Option<PathBuf>,
    /// The flavour that is looked for first in it.
    pub flavour: Option<Flavour>,
    /// Folders of Python packages.
    pub python: Vec<PathBuf>,
    /// `node_modules` of the current folder and those above it: a project's, trusted only by their bytes.
    pub node_of_project: Vec<PathBuf>,
    /// `node_modules` of the machine.
    pub node: Vec<PathBuf>,
    /// The system's folders.
    pub system: Vec<PathBuf>,
    /// The folder that relative names start from.
    pub current_dir: PathBuf,
    /// The folder below which code is somebody else's: the current one, unless the user's home lies in it.
    pub others: Option<PathBuf>,
    /// Which bytes are official.
    pub is_official: Official,
    /// The operating system whose names and layouts are looked for.
    pub os: Os,
}

impl Search {
    /// Everything there is to look at: what the variables say, the folders below `home` (inhouse's own), and the
    /// usual ones. Nothing is official until [`is_official`](Self::is_official) is set.
    pub fn from_env(env: Env<'_>, home: &Path, current_dir: &Path) -> Self {
        let os = Os::HERE;
        let user = ["HOME", "USERPROFILE"].iter().find_map(|name| env(name));
        Self {
            configured: None,
            dylib_path: env("ORT_DYLIB_PATH")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            runtimes: Some(home.join("runtimes")),
            flavour: None,
            python: folders::python(env, os),
            node_of_project: folders::node_of_project(current_dir),
            node: folders::node_of_machine(env, os),
            system: folders::system(env, os, std::env::current_exe().ok().as_deref()),
            current_dir: current_dir.to_path_buf(),
            others: others(current_dir, user.as_deref().map(Path::new)),
            is_official: Arc::new(|_| false),
            os,
        }
    }

    /// Every library that is there, the best first. A file that was named comes first even if it is missing.
    pub fn find(&self) -> Vec<Candidate> {
        let mut found = self.start();
        for (flavour, folder) in self.own_folders() {
            found.folder(&folder, Place::Own(flavour), Trust::Whole);
        }
        for site in &self.python {
            for package in folders::children(site, |name| name.starts_with("onnxruntime")) {
                found.folder(&package.join("capi"), Place::Python, Trust::Outside);
            }
        }
        for (roots, trust) in [
            (&self.node_of_project, Trust::Bytes),
            (&self.node, Trust::Outside),
        ] {
            for folder in roots.iter().flat_map(|root| self.node_folders(root)) {
                found.folder(&folder, Place::Node, trust);
            }
        }
        for folder in &self.system {
            found.folder(folder, Place::System, Trust::Outside);
        }
        found.candidates
    }

    /// What the user named, the configuration before the variable: of a folder the first that can be used.
    pub(super) fn named(&self) -> Option<Candidate> {
        let candidates = self.start().candidates;
        let place = candidates.first()?.place;
        let mut of_place = candidates.iter().filter(|other| other.place == place);
        of_place
            .find(|other| other.verdict.is_usable())
            .or(candidates.first())
            .cloned()
    }

    /// A list with what was named.
    fn start(&self) -> Found<'_> {
        let mut found = Found {
            search: self,
            candidates: Vec::new(),
        };
        found.named(self.configured.as_deref(), Place::Configuration);
        found.named(self.dylib_path.as_deref(), Place::Variable);
        found
    }

    /// inhouse's own folders, the wanted flavour's first.
    fn own_folders(&self) -> Vec<(Flavour, PathBuf)> {
        let Some(runtimes) = &self.runtimes else {
            return Vec::new();
        };
        let others = Flavour::ALL.iter().copied();
        self.flavour
            .into_iter()
            .chain(others.filter(|flavour| Some(*flavour) != self.flavour))
            .map(|flavour| (flavour, runtimes.join(flavour.name())))
            .collect()
    }

    /// The folders of `onnxruntime-node` that have libraries for this machine.
    fn node_folders(&self, root: &Path) -> Vec<PathBuf> {
        let os = match self.os {
            Os::Linux => "linux",
            Os::MacOs => "darwin",
            Os::Windows => "win32",
        };
        let processor = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        let bin = root.join("onnxruntime-node").join("bin");
        folders::children(&bin, |name| name.starts_with("napi-v"))
            .into_iter()
            .map(|version| version.join(os).join(processor))
            .collect()
    }

    /// The file that nobody vouches for, where a file is somebody else's code.
    pub(crate) fn stranger(&self, file: &Path, trust: Trust) -> Option<PathBuf> {
        let is_trusted = match trust {
            Trust::Whole => true,
            Trust::Outside => !self.is_others(file),
            Trust::Bytes => false,
        };
        if is_trusted {
            return None;
        }
        trust::stranger(file, self.os, &*self.is_official)
    }

    /// Whether a file lies where others' code is.
    pub(crate) fn is_others(&self, file: &Path) -> bool {
        self.others.as_deref().is_some_and(|others| {
            // What cannot be resolved cannot be shown to lie elsewhere.
            match (fs::canonicalize(file), fs::canonicalize(others)) {
                (Ok(file), Ok(others)) => file.starts_with(others),
                _ => true,
            }
        })
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("configured", &self.configured)
            .field("dylib_path", &self.dylib_path)
            .field("runtimes", &self.runtimes)
            .finish_non_exhaustive()
    }
}

/// Whom a file is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The user named it, or had it installed.
    Whole,
    /// It is trusted unless it lies below the folder that holds others' code.
    Outside,
    /// Only its bytes speak for it.
    Bytes,
}

/// The folder that holds others' code. The user's own home, and what it lies in, does not.
fn others(current_dir: &Path, user: Option<&Path>) -> Option<PathBuf> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let current = real(current_dir);
    let is_own = user.is_some_and(|user| real(user).starts_with(&current));
    (!is_own && current.parent().is_some()).then_some(current)
}

/// What was found so far.
struct Found<'a> {
    search: &'a Search,
    candidates: Vec<Candidate>,
}

impl Found<'_> {
    fn named(&mut self, path: Option<&Path>, place: Place) {
        let Some(path) = path else {
            return;
        };
        let path = self.search.current_dir.join(path);
        let verdict = if path.is_dir() {
            // Archives of releases have a folder `lib`.
            let found = [path.clone(), path.join("lib")]
                .map(|folder| self.folder(&folder, place, Trust::Whole));
            if found.contains(&true) {
                return;
            }
            Verdict::Broken("is a folder without ONNX Runtime's library".to_owned())
        } else if path.exists() {
            self.file(&path, place, Trust::Whole);
            return;
        } else {
            Verdict::Missing
        };
        self.candidates.push(Candidate {
            path,
            place,
            version: None,
            verdict,
        });
    }

    /// Takes the libraries of a folder, the newest first, and says whether there is one.
    fn folder(&mut self, folder: &Path, place: Place, trust: Trust) -> bool {
        let os = self.search.os;
        let mut files = folders::children(folder, |name| os.is_library(name));
        files.sort_by_key(|path| std::cmp::Reverse(version_of(path)));
        for path in &files {
            self.file(path, place, trust);
        }
        !files.is_empty()
    }

    fn file(&mut self, path: &Path, place: Place, trust: Trust) {
        let path = real(path);
        if self.candidates.iter().any(|other| other.path == path) {
            return;
        }
        let version = version_of(&path);
        let verdict = self.judge(&path, version, trust);
        self.candidates.push(Candidate {
            path,
            place,
            version,
            verdict,
        });
    }

    fn judge(&self, path: &Path, version: Option<Version>, trust: Trust) -> Verdict {
        match fs::metadata(path) {
            Err(error) => return Verdict::Broken(format!("cannot be read: {error}")),
            Ok(data) if !data.is_file() => return Verdict::Broken("is not a file".to_owned()),
            Ok(_) => {}
        }
        if !self.search.os.begins_library(&beginning(path)) {
            return Verdict::Broken("is not a library of this system".to_owned());
        }
        if is_companion(path) {
            return Verdict::Broken(
                "is a companion of ONNX Runtime's library, not the library".to_owned(),
            );
        }
        if let Some(version) = version.filter(|version| version.is_too_old()) {
            return Verdict::TooOld(version);
        }
        match self.search.stranger(path, trust) {
            Some(file) => Verdict::Untrusted { file },
            None => Verdict::Usable,
        }
    }
}

/// The version that the name tells, or else the file. Links of general names point to files of telling ones.
fn version_of(path: &Path) -> Option<Version> {
    let path = real(path);
    path.file_name()
        .and_then(|name| Version::of_name(name.to_str()?))
        .or_else(|| Version::of_file(&path).ok().flatten())
}

/// Whether a file is one of those that hold a provider. Loaded alone they end the process.
fn is_companion(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().contains("onnxruntime_providers_"))
}

fn beginning(path: &Path) -> [u8; 4] {
    let mut bytes = [0; 4];
    // What cannot be read has no such beginning.
    let _ = fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    bytes
}

/// The file itself, so that the libraries beside it are found, and that it is listed once.
/// On Windows the resolved form of a path is one that not every loader of a companion takes.
fn real(path: &Path) -> PathBuf {
    let resolved = if cfg!(windows) {
        std::path::absolute(path)
    } else {
        fs::canonicalize(path)
    };
    resolved.unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests;
