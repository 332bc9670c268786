//! How a store is set up.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::convert::{Converter, GgufConverter};
use crate::progress::Cancel;
use crate::system::{RealSystem, System};

/// The hub that is asked when no other is set.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A hub's access token. It is sent to the hub's own address alone and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a token; white space around it is dropped, and an empty one is none.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(token.to_owned()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// How often and how patiently a failed transfer is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in a row without progress, the first included.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from then on.
    pub first_wait: Duration,
    /// No wait is longer, not even one that a server asks for.
    pub longest_wait: Duration,
    /// A connection that gives no byte for so long is given up.
    pub stall: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(120),
            stall: Duration::from_secs(30),
        }
    }
}

/// How a store is set up. The crate reads no environment: the caller resolves it.
#[derive(Clone)]
pub struct StoreOptions {
    /// The program's data folder; models are in `models` below it.
    pub home: PathBuf,
    /// The hub's cache: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub hf_cache: PathBuf,
    /// The hub's address, `HF_ENDPOINT`.
    pub hf_endpoint: String,
    /// The hub's token, `HF_TOKEN`.
    pub hf_token: Option<Token>,
    /// Whether the network is out of bounds.
    pub offline: bool,
    /// Whether `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
    pub proxy_from_environment: bool,
    /// How many files are fetched at once.
    pub parallel: usize,
    /// Retries and waits.
    pub retry: RetryPolicy,
    /// The ways to call pip, tried in this order.
    pub pip: Vec<Vec<OsString>>,
    /// The ways to call npm, tried in this order.
    pub npm: Vec<Vec<OsString>>,
    /// Set to stop whatever the store is doing.
    pub cancel: Cancel,
    /// The machine.
    pub system: Arc<dyn System>,
    /// What turns a GGUF file into a model folder.
    pub converter: Arc<dyn Converter>,
}

impl StoreOptions {
    /// The usual settings for these two folders.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>, hf_cache: impl Into<PathBuf>) -> Self {
        let call = |words: &[&str]| words.iter().map(OsString::from).collect();
        Self {
            home: home.into(),
            hf_cache: hf_cache.into(),
            hf_endpoint: DEFAULT_ENDPOINT.to_owned(),
            hf_token: None,
            offline: false,
            proxy_from_environment: true,
            parallel: 4,
            retry: RetryPolicy::default(),
            pip: vec![
                call(&["python3", "-m", "pip"]),
                call(&["pip3"]),
                call(&["pip"]),
                call(&["python", "-m", "pip"]),
            ],
            // On Windows it is a script, which is only found by its whole name.
            npm: vec![call(&[if cfg!(windows) { "npm.cmd" } else { "npm" }])],
            cancel: Cancel::new(),
            system: Arc::new(RealSystem),
            converter: Arc::new(GgufConverter::default()),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("home", &self.home)
            .field("hf_cache", &self.hf_cache)
            .field("hf_endpoint", &self.hf_endpoint)
            .field("hf_token", &self.hf_token)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}
