//! What is said between people, programs and models: requests, replies, stream events, usage and errors.
//!
//! These types belong to no provider. `inhouse-wire` turns each protocol into them and back, the router reads them to
//! choose, the ledger reads [`Usage`]. Text of users and models is [`Text`], keys are [`Secret`]: neither has a `Debug`
//! or `Display` that shows it, so no log line can.
//!
//! ```
//! use inhouse_chat::{ChatRequest, Message, Privacy};
//!
//! let mut request = ChatRequest::new("phi-4", [Message::user("Summarise my diary")]);
//! request.metadata.privacy = Some(Privacy::High);
//! assert!(!format!("{request:?}").contains("diary"));
//! ```
#![forbid(unsafe_code)]

mod assemble;
mod content;
mod dialect;
mod error;
mod event;
mod id;
mod message;
mod metadata;
mod money;
mod real;
mod reply;
mod request;
mod text;
mod tool;
mod usage;

pub use assemble::{Assembler, Disorder};
pub use content::{Block, BlockKind, CacheTtl, Source};
pub use dialect::{Dialect, Extra, Fields};
pub use error::{BoxError, Failure, Fault, Phase, ProviderError};
pub use event::{Delta, Event};
pub use id::{ModelName, ProviderName};
pub use message::{Message, Role};
pub use metadata::{Complexity, Metadata, Privacy};
pub use money::Money;
pub use real::Real;
pub use reply::{Reply, StopReason};
pub use request::{ChatRequest, Effort, Reasoning, ResponseFormat, Sampling};
pub use text::{Json, Secret, Text};
pub use tool::{Tool, ToolChoice, ToolMode};
pub use usage::Usage;
