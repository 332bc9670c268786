//! Looking for ONNX Runtime's library, place by place.

mod judge;

use std::{
    cmp::Reverse,
    fmt, fs, iter,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    folders::{self, Env, Os},
    place::{Candidate, Flavour, Place},
    trust,
};
use crate::provider::ExecutionProvider;

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
    /// Execution providers that are asked for, the most wanted first: a library that has one goes before those that
    /// do not, as only one can be loaded. With none, whatever can do more goes first in inhouse's own folder.
    pub wanted: Vec<ExecutionProvider>,
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
            wanted: Vec::new(),
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
        let others = iter::once_with(|| self.others_by_rank()).flatten();
        let mut seen = Vec::new();
        files(self.named_spots(), self.os)
            .chain(others)
            .filter(move |found| {
                let is_new = !seen.contains(&found.path);
                seen.push(found.path.clone());
                is_new
            })
            .map(|found| self.judge(found.path, found.place, found.trust))
    }

    /// What nobody named: where a provider is wanted, the libraries that have it before the others.
    fn others_by_rank(&self) -> Vec<Spot> {
        let mut found: Vec<Spot> = files(self.other_spots(), self.os).collect();
        found.sort_by_key(|found| self.rank(&found.path)); // places keep their order
        found
    }

    /// The place among the wanted providers of the first that lies beside this library.
    fn rank(&self, library: &Path) -> usize {
        let is_beside = |provider: &ExecutionProvider| {
            provider
                .companion(self.os)
                .is_some_and(|file| library.with_file_name(file).is_file())
        };
        let place = self.wanted.iter().position(is_beside);
        place.unwrap_or(usize::MAX)
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

    /// What the user named.
    fn named_spots(&self) -> Vec<Spot> {
        let both = [
            (&self.configured, Place::Configuration),
            (&self.dylib_path, Place::Variable),
        ];
        both.into_iter()
            .filter_map(|(path, place)| {
                Some(Spot {
                    path: self.current_dir.join(path.as_ref()?),
                    place,
                    trust: Trust::Whole,
                })
            })
            .collect()
    }

    /// Where to look besides, in order.
    fn other_spots(&self) -> Vec<Spot> {
        let mut spots = Vec::new();
        let mut add = |path: PathBuf, place, trust| spots.push(Spot { path, place, trust });
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

    /// inhouse's own folders: the plainest first where it is known what is wanted, as the rest is found by its rank.
    fn own_folders(&self) -> Vec<(Flavour, PathBuf)> {
        let Some(runtimes) = &self.runtimes else {
            return Vec::new();
        };
        let mut all = Flavour::ALL.to_vec();
        if !self.wanted.is_empty() {
            all.reverse();
        }
        all.into_iter()
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

/// A folder to look at, what was named, or a file that was found there.
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

/// The files of each, in order.
fn files(spots: Vec<Spot>, os: Os) -> impl Iterator<Item = Spot> {
    spots.into_iter().flat_map(move |spot| {
        let (place, trust) = (spot.place, spot.trust);
        let file = move |path| Spot { path, place, trust };
        spot.files(os).into_iter().map(file)
    })
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
