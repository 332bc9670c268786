//! Looking for ONNX Runtime's library, place by place.

mod judge;

use std::{
    cmp::Reverse,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    folders::{self, Env, Os},
    place::{Candidate, Flavour, Place},
    trust,
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
        self.candidates().collect()
    }

    /// The same one by one: to judge a file may take reading all of it.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let mut seen = Vec::new();
        self.spots()
            .into_iter()
            .flat_map(|spot| {
                let (place, trust) = (spot.place, spot.trust);
                spot.files(self.os)
                    .into_iter()
                    .map(move |path| (path, place, trust))
            })
            .filter(move |(path, ..)| {
                let is_new = !seen.contains(path);
                seen.push(path.clone());
                is_new
            })
            .map(|(path, place, trust)| self.judge(path, place, trust))
    }

    /// What the user named, the configuration before the variable: of a folder the first that can be used.
    pub(super) fn named(&self) -> Option<Candidate> {
        let mut named = self.candidates().take_while(|one| one.place.is_named());
        let first = named.next()?;
        if first.verdict.is_usable() {
            return Some(first);
        }
        named
            .find(|one| one.place == first.place && one.verdict.is_usable())
            .or(Some(first))
    }

    /// Where to look, in order.
    fn spots(&self) -> Vec<Spot> {
        let mut spots = Vec::new();
        let mut add = |path: PathBuf, place, trust| spots.push(Spot { path, place, trust });
        for (named, place) in [
            (&self.configured, Place::Configuration),
            (&self.dylib_path, Place::Variable),
        ] {
            if let Some(path) = named {
                add(self.current_dir.join(path), place, Trust::Whole);
            }
        }
        for (flavour, folder) in self.own_folders() {
            add(folder, Place::Own(flavour), Trust::Whole);
        }
        for site in &self.python {
            for package in folders::children(site, |name| name.starts_with("onnxruntime")) {
                add(package.join("capi"), Place::Python, Trust::Outside);
            }
        }
        for (roots, trust) in [
            (&self.node_of_project, Trust::Bytes),
            (&self.node, Trust::Outside),
        ] {
            for folder in roots.iter().flat_map(|root| self.node_folders(root)) {
                add(folder, Place::Node, trust);
            }
        }
        for folder in &self.system {
            add(folder.clone(), Place::System, Trust::Outside);
        }
        spots
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

/// A folder to look at, or what was named.
struct Spot {
    path: PathBuf,
    place: Place,
    trust: Trust,
}

impl Spot {
    /// The libraries there, the newest first, links resolved. What was named is given even where it is none.
    fn files(&self, os: Os) -> Vec<PathBuf> {
        let mut files = libraries(&self.path, os);
        if self.place.is_named() {
            files.extend(libraries(&self.path.join("lib"), os)); // as archives of releases are laid out
            if files.is_empty() {
                files.push(judge::real(&self.path));
            }
        }
        files
    }
}

fn libraries(folder: &Path, os: Os) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = folders::children(folder, |name| os.is_library(name))
        .iter()
        .map(|path| judge::real(path))
        .collect();
    files.sort_by_key(|path| Reverse(judge::version_of(path)));
    files
}

#[cfg(test)]
mod tests;
