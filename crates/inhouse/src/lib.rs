#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod environment;
mod error;
mod local;
mod options;
mod router;
mod runtime;

pub use environment::ProcessEnv;
pub use error::StartError;
pub use options::{Compute, LedgerAt, Options};
pub use router::ModelRouter;
pub use runtime::runtime_search;

pub use inhouse_chat::{
    Block, BlockKind, ChatRequest, Complexity, Delta, Event, Message, Metadata, ModelName, Money,
    Privacy, ProviderName, Reply, Role, StopReason, Text, Tool, Usage,
};
pub use inhouse_policy::Zone;
pub use inhouse_providers::FindModel;
pub use inhouse_router::{
    Answer, AnswerMetadata, AnswerStream, Caller, Considered, Explanation, RouteError, StreamError,
};

/// What computes models on this device, ONNX Runtime among it: `inhouse-backends`.
pub use inhouse_backends as backends;
/// What is said, in full: `inhouse-chat`.
pub use inhouse_chat as chat;
/// `router.config.json`: `inhouse-config`.
pub use inhouse_config as config;
/// Usage, budgets and receipts: `inhouse-ledger`.
pub use inhouse_ledger as ledger;
