//! Libraries that a provider needs and the system's loader does not find: CUDA's, in Python's packages or `/usr/local`.
//!
//! Which ones, and of which version, only the provider's own library knows; so it is asked: it is loaded, the system
//! says which library it misses, that one is looked for and loaded by its full path, and so on. What is loaded once
//! the system takes as found.

use std::path::{Path, PathBuf};

use ort::ep;

use super::name::ExecutionProvider;
use crate::library::{CUT_OFF, Library, Os, Search, children, is_cut_off};

/// Libraries that may be missing, one after the other, before it is given up.
const MOST: usize = 64;

/// Tries until it works, loading what is missing in between. Gives the last message where it does not.
pub(super) fn try_with<T>(
    mut attempt: impl FnMut() -> Result<T, String>,
    find: impl Fn(&str) -> Option<PathBuf>,
    mut load: impl FnMut(&Path) -> Result<(), String>,
) -> Result<T, String> {
    let mut loaded = Vec::new();
    loop {
        let message = match attempt() {
            Ok(done) => return Ok(done),
            Err(message) => message,
        };
        let find = |name: &str| find(name).filter(|path| !loaded.contains(path));
        match load_one(&message, find, &mut load) {
            Some(path) if loaded.len() < MOST => loaded.push(path),
            _ => return Err(message),
        }
    }
}

/// Loads the library that is missing or, where that one misses another, the other.
fn load_one(
    message: &str,
    find: impl Fn(&str) -> Option<PathBuf>,
    load: &mut impl FnMut(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
    let mut chain = vec![missing_library(message)?.to_owned()];
    loop {
        let path = find(chain.last()?)?;
        let Err(message) = load(&path) else {
            return Some(path);
        };
        let next = missing_library(&message)?.to_owned();
        if chain.contains(&next) {
            return None;
        }
        chain.push(next);
    }
}

/// The library that a message of the system's loader names as missing.
pub(super) fn missing_library(message: &str) -> Option<&str> {
    if let Some((before, _)) = message.split_once(": cannot open shared object file") {
        let name = before.rsplit([' ', '/']).next()?;
        return Some(name).filter(|name| !name.is_empty());
    }
    let (_, rest) = message.split_once("which depends on \"")?;
    let (name, rest) = rest.split_once('"')?;
    rest.starts_with(" which is missing").then_some(name)
}

/// Windows has a DirectML of its own, an older one: the one beside the library goes first.
pub(super) fn load_before(provider: ExecutionProvider, folders: &[PathBuf]) {
    if provider == ExecutionProvider::DirectMl {
        load_if_there(&["DirectML.dll"], folders);
    }
}

/// Libraries that CUDA's provider opens by their names only when a kernel wants them.
pub(super) fn load_after(provider: ExecutionProvider, folders: &[PathBuf]) {
    if matches!(
        provider,
        ExecutionProvider::Cuda | ExecutionProvider::TensorRt
    ) {
        load_if_there(ep::cuda::CUDA_DYLIBS, folders);
        load_if_there(&ep::cuda::CUDNN_DYLIBS[..1], folders); // it finds its parts beside itself
    }
}

fn load_if_there(names: &[&str], folders: &[PathBuf]) {
    for name in names {
        // Where it does not load, whoever needs it will say so.
        let _ = find(name, folders).map(|path| load(&path));
    }
}

/// Loads a library by its full path, to stay.
pub(super) fn load(path: &Path) -> Result<(), String> {
    if is_cut_off(path) {
        return Err(format!("{} {CUT_OFF}", path.display()));
    }
    ort::util::preload_dylib(path).map_err(|error| {
        let source = std::error::Error::source(&error);
        source.map_or_else(|| error.to_string(), ToString::to_string)
    })
}

/// The file of this name in one of the folders that hold NVIDIA's libraries.
pub(super) fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Folders with NVIDIA's libraries: those of the Python that the library belongs to, other Pythons', the system's.
/// Never those of the folder that others' code is in: nobody vouches for them.
pub(super) fn folders(library: &Library, search: &Search) -> Vec<PathBuf> {
    let inner = match search.os {
        Os::Windows => "bin",
        Os::Linux | Os::MacOs => "lib",
    };
    let mut folders = vec![library.folder().to_path_buf()];
    let beside = library.folder().ancestors().nth(2); // site-packages/onnxruntime/capi
    for site in beside
        .into_iter()
        .chain(search.python.iter().map(PathBuf::as_path))
    {
        for package in children(&site.join("nvidia"), |_| true) {
            folders.push(package.join(inner));
        }
        folders.push(site.join("tensorrt_libs"));
        folders.push(site.join("tensorrt_rtx_libs"));
    }
    if search.os == Os::Linux {
        for toolkit in children(Path::new("/usr/local"), |name| name.starts_with("cuda")) {
            folders.push(toolkit.join("lib64"));
        }
        folders.push(PathBuf::from("/opt/cuda/lib64"));
    }
    folders.retain(|folder| folder.is_dir() && !search.is_others(folder));
    folders
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        path::{Path, PathBuf},
    };

    use super::{missing_library, try_with};

    #[test]
    fn messages_name_what_is_missing() {
        for (message, expected) in [
            (
                "Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open \
                 shared object file: No such file or directory",
                Some("libcublasLt.so.13"),
            ),
            (
                "/opt/x/libcublas.so.13: cannot open shared object file: No such file or directory",
                Some("libcublas.so.13"),
            ),
            (
                "Error loading \"C:\\x\\onnxruntime_providers_cuda.dll\" which depends on \"cublasLt64_13.dll\" which \
                 is missing. (Error 126: \"The specified module could not be found.\")",
                Some("cublasLt64_13.dll"),
            ),
            ("libfoo.so: undefined symbol: bar", None),
            (": cannot open shared object file", None),
            ("", None),
        ] {
            assert_eq!(missing_library(message), expected, "{message}");
        }
    }

    /// A loader with files that need others; loads as long as every file that is needed can be found.
    fn check(needs: &[(&str, &[&str])], found: &[&str], expected: Result<&[&str], &str>) {
        let loaded = RefCell::new(Vec::<String>::new());
        let missing = |name: &str| {
            let needed = needs.iter().find(|(file, _)| *file == name);
            let needed = needed.map_or(&[][..], |(_, needed)| needed);
            let absent = needed
                .iter()
                .find(|one| !loaded.borrow().iter().any(|have| have == *one));
            absent.map(|one| format!("{one}: cannot open shared object file: No such file"))
        };
        let result = try_with(
            || missing("provider").map_or(Ok(()), Err),
            |name| found.contains(&name).then(|| PathBuf::from(name)),
            |path: &Path| {
                let name = path.display().to_string();
                if let Some(message) = missing(&name) {
                    return Err(message);
                }
                loaded.borrow_mut().push(name);
                Ok(())
            },
        );
        let loaded = loaded.into_inner();
        match expected {
            Ok(order) => {
                assert_eq!(result, Ok(()));
                assert_eq!(loaded, order);
            }
            Err(name) => assert_eq!(missing_library(&result.expect_err("missing")), Some(name)),
        }
    }

    #[test]
    fn what_is_missing_is_loaded_in_the_order_of_need() {
        check(&[], &[], Ok(&[]));
        check(&[("provider", &["a", "b"])], &["a", "b"], Ok(&["a", "b"]));
        check(
            &[("provider", &["a"]), ("a", &["b"])],
            &["a", "b"],
            Ok(&["b", "a"]),
        );
        check(&[("provider", &["a", "b"])], &["a"], Err("b"));
        check(&[("provider", &["a"]), ("a", &["b"])], &["a"], Err("a"));
        check(&[("provider", &["a"]), ("a", &["a"])], &["a"], Err("a"));
        check(
            &[("provider", &["a"]), ("a", &["b"]), ("b", &["a"])],
            &["a", "b"],
            Err("a"),
        );
    }
}
