//! The folders in which libraries lie: Python's, Node's, the system's.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

/// How the environment is asked for a variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// An operating system, as far as file names and usual folders go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux, and what is laid out like it.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Os {
    /// The one this program was built for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };

    /// Whether a file of this name is ONNX Runtime's library.
    pub(super) fn is_library(self, name: &str) -> bool {
        match self {
            Self::Linux => name
                .strip_prefix("libonnxruntime.so")
                .is_some_and(is_version_or_nothing),
            Self::MacOs => name
                .strip_prefix("libonnxruntime")
                .and_then(|rest| rest.strip_suffix(".dylib"))
                .is_some_and(is_version_or_nothing),
            Self::Windows => name.eq_ignore_ascii_case("onnxruntime.dll"),
        }
    }

    /// Whether a file that begins so can be a library.
    pub(super) fn begins_library(self, bytes: &[u8; 4]) -> bool {
        match self {
            Self::Linux => bytes == b"\x7fELF",
            Self::MacOs => [0xfeed_facf, 0xcffa_edfe, 0xcafe_babe, 0xcafe_babf]
                .contains(&u32::from_be_bytes(*bytes)),
            Self::Windows => bytes.starts_with(b"MZ"),
        }
    }

    /// Whether the system's loader may take a file of this name in place of a library that is asked for.
    pub(super) fn is_loadable(self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        match self {
            Self::Linux => name.starts_with("lib") && name.contains(".so"),
            Self::MacOs => name.ends_with(".dylib") || name.ends_with(".framework"),
            Self::Windows => name.ends_with(".dll"),
        }
    }
}

/// `.1.31.1`, or nothing at all.
fn is_version_or_nothing(text: &str) -> bool {
    text.is_empty() || (text.starts_with('.') && text.bytes().all(is_of_version))
}

fn is_of_version(byte: u8) -> bool {
    byte == b'.' || byte.is_ascii_digit()
}

/// The folders of Python's packages, those of an active environment first.
pub(super) fn python(env: Env<'_>, os: Os) -> Vec<PathBuf> {
    let mut sites = Vec::new();
    for prefix in python_prefixes(env, os) {
        sites.extend(sites_of(&prefix, os));
    }
    let (home, below) = match os {
        Os::Linux => return sites, // ~/.local is laid out like any prefix
        Os::MacOs => ("HOME", "Library/Python"),
        Os::Windows => ("APPDATA", "Python"),
    };
    if let Some(home) = folder(env, home) {
        for version in children(&home.join(below), |_| true) {
            sites.push(version.join("site-packages"));
            sites.push(version.join("lib/python/site-packages"));
        }
    }
    sites
}

fn python_prefixes(env: Env<'_>, os: Os) -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .iter()
        .filter_map(|name| folder(env, name))
        .collect();
    for program in ["python3", "python"] {
        if let Some(program) = program_on_path(env, program, os) {
            // In an environment the program is a link, and packages lie beside both of its ends.
            prefixes.extend(prefix_of(&program));
            prefixes.extend(
                fs::canonicalize(&program)
                    .ok()
                    .as_deref()
                    .and_then(prefix_of),
            );
        }
    }
    prefixes.extend(folder(env, "HOME").map(|home| home.join(".local")));
    if os != Os::Windows {
        prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
    }
    prefixes
}

/// The folder that a program belongs to: `/usr` for `/usr/bin/python3`, and on Windows the program's own.
fn prefix_of(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    let is_inner = folder
        .file_name()
        .and_then(OsStr::to_str)
        .is_some_and(|name| name == "bin" || name.eq_ignore_ascii_case("scripts"));
    Some(if is_inner { folder.parent()? } else { folder }.to_path_buf())
}

fn sites_of(prefix: &Path, os: Os) -> Vec<PathBuf> {
    if os == Os::Windows {
        return vec![prefix.join("Lib").join("site-packages")];
    }
    let mut sites = Vec::new();
    for lib in ["lib", "lib64", "local/lib"] {
        for python in children(&prefix.join(lib), |name| name.starts_with("python3")) {
            sites.push(python.join("site-packages"));
            sites.push(python.join("dist-packages"));
        }
    }
    sites
}

/// The `node_modules` of the current folder and of those above it: what a project brings along.
pub(super) fn node_of_project(current_dir: &Path) -> Vec<PathBuf> {
    current_dir
        .ancestors()
        .map(|folder| folder.join("node_modules"))
        .collect()
}

/// The `node_modules` of the machine.
pub(super) fn node_of_machine(env: Env<'_>, os: Os) -> Vec<PathBuf> {
    let mut roots = list(env, "NODE_PATH");
    for prefix in ["NPM_CONFIG_PREFIX", "npm_config_prefix"] {
        roots.extend(folder(env, prefix).map(|prefix| modules_of(&prefix, os)));
    }
    if let Some(node) = program_on_path(env, "node", os) {
        roots.extend(prefix_of(&node).map(|prefix| modules_of(&prefix, os)));
    }
    if os == Os::Windows {
        roots.extend(folder(env, "APPDATA").map(|data| data.join("npm").join("node_modules")));
    } else {
        roots.extend(["/usr/local", "/usr"].map(|prefix| modules_of(Path::new(prefix), os)));
    }
    roots
}

fn modules_of(prefix: &Path, os: Os) -> PathBuf {
    match os {
        Os::Windows => prefix.join("node_modules"),
        Os::Linux | Os::MacOs => prefix.join("lib").join("node_modules"),
    }
}

/// The folders that the system's loader looks at, and the program's own. Not Windows' system folder: that has a
/// library of its own, for other programs.
pub(super) fn system(env: Env<'_>, os: Os, program: Option<&Path>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = program
        .and_then(Path::parent)
        .map(Path::to_path_buf)
        .into_iter()
        .collect();
    match os {
        Os::Windows => {}
        Os::MacOs => {
            folders.extend(list(env, "DYLD_LIBRARY_PATH"));
            let usual = ["/opt/homebrew/lib", "/usr/local/lib", "/opt/local/lib"];
            folders.extend(usual.map(PathBuf::from));
        }
        Os::Linux => {
            folders.extend(list(env, "LD_LIBRARY_PATH"));
            folders.extend(configured_for_loader(Path::new("/etc/ld.so.conf.d")));
            let usual = ["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib64", "/lib"];
            folders.extend(usual.map(PathBuf::from));
        }
    }
    folders
}

/// The folders that files like `/etc/ld.so.conf.d/x86_64-linux-gnu.conf` name, one a line.
fn configured_for_loader(folder: &Path) -> Vec<PathBuf> {
    children(folder, |name| name.ends_with(".conf"))
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.lines()
                .map(|line| PathBuf::from(line.trim()))
                .filter(|path| path.is_absolute())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Entries of a folder whose names pass, in order of their names, the highest first: `python3.11` before `python3.9`.
pub(crate) fn children(folder: &Path, passes: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u64>, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str().filter(|name| passes(name))?;
            Some((numbers(name), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.into_iter().map(|(_, path)| path).collect()
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// A variable that names a folder. Relative ones are passed over: they would mean the current folder's.
fn folder(env: Env<'_>, name: &str) -> Option<PathBuf> {
    env(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// A variable that lists folders, without relative and empty entries.
fn list(env: Env<'_>, name: &str) -> Vec<PathBuf> {
    env(name).map_or_else(Vec::new, |value| {
        std::env::split_paths(&value)
            .filter(|path| path.is_absolute())
            .collect()
    })
}

fn program_on_path(env: Env<'_>, name: &str, os: Os) -> Option<PathBuf> {
    let file = match os {
        Os::Windows => format!("{name}.exe"),
        Os::Linux | Os::MacOs => name.to_owned(),
    };
    list(env, "PATH")
        .into_iter()
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
}
