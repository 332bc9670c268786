//! What a router is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use inhouse_backends::library::Search;
use inhouse_config::{Env, Loaded};
use inhouse_engine::KvType;
use inhouse_providers::FindModel;

/// What a router is opened with.
pub struct Options {
    /// What it goes by.
    pub config: Loaded,
    /// For proxies.
    pub env: Arc<dyn Env + Send + Sync>,
    /// Nothing leaves this device, and no client of a remote provider is built.
    pub local_only: bool,
    /// Finds models of the engine by name.
    pub models: Arc<dyn FindModel>,
    /// Where usage, budgets and receipts are kept, where the configuration does not say.
    pub ledger: LedgerAt,
    /// A list of prices that is used instead of the shipped one, if it is there.
    pub prices: Option<PathBuf>,
    /// How the engine computes.
    pub compute: Compute,
}

/// Where usage, budgets and receipts are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LedgerAt {
    /// In this file, which is made where it is missing.
    File(PathBuf),
    /// In memory: budgets begin anew with every start.
    Memory,
}

/// How the engine computes.
#[derive(Clone, Debug, Default)]
pub struct Compute {
    /// Threads; every core this process may use where absent.
    pub threads: Option<usize>,
    /// Instruction set; the best this machine has where absent.
    pub isa: Option<inhouse_engine::Isa>,
    /// Type of the KV cache.
    pub kv: KvType,
    /// The folder that packed weights are kept in; they are packed in memory where absent.
    pub packed: Option<PathBuf>,
    /// Memory that a model may take, in bytes; not checked where absent.
    pub available_memory: Option<u64>,
    /// Where ONNX Runtime's library may be, besides where the configuration says: see
    /// [`runtime_search`](crate::runtime_search). Nowhere else where absent.
    pub runtime: Option<Search>,
}
