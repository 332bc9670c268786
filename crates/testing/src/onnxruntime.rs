//! ONNX Runtime's library, as the product itself installs it: fetched once for a target folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use inhouse_models::{Flavour, Runtimes, Silent, StoreOptions};

/// A home of the program with ONNX Runtime for the processor in it; `runtimes` is below it. The tests of the command
/// line have the same.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = target_folder().join("tmp/home");
        let runtimes = Runtimes::open(StoreOptions::new(&home, home.join("hub")));
        let runtimes = runtimes.expect("a folder for runtimes");
        // Processes that come at the same time wait for each other.
        let installed = runtimes.install(Flavour::Cpu, &Silent);
        installed.unwrap_or_else(|error| panic!("ONNX Runtime cannot be installed: {error}"));
        home
    })
}

/// The folder that holds the profile's folder, which holds this program.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a place");
    let mut folders = program.ancestors();
    let deps = folders.find(|folder| folder.ends_with("deps") || folder.ends_with("examples"));
    let target = deps.and_then(|deps| deps.parent()?.parent());
    target.expect("tests lie in the target folder").to_owned()
}
