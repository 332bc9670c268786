//! Who can answer: one file for each upstream, and the engine on this machine.
//!
//! A provider is a file (address, credentials, quirks; its shapes are `inhouse-wire`'s) and an entry in [`ALL`].
//! [`build_all`] makes those of a configuration. What all of them share is here too: HTTP inside a zone, keys in turn,
//! errors with the time to wait, streams that stop the upstream when they are dropped.
//!
//! ```
//! use inhouse_policy::Zone;
//! use inhouse_providers::{Network, Reach, build_all};
//! use inhouse_router::Provider;
//!
//! let file = r#"{"defaultProvider": "ollama", "providers": {"ollama": {}}}"#;
//! let config = inhouse_config::parse(file, "router.config.json", &[])?.config;
//!
//! let built = build_all(&config, &Reach::Network(Network::new(&[])));
//! let ollama = &built.remotes[0];
//! assert_eq!(ollama.zone(&"llama3.2".into()), Zone::Device);
//! assert_eq!(ollama.zone(&"gpt-oss:120b-cloud".into()), Zone::Cloud);
//!
//! assert!(build_all(&config, &Reach::LocalOnly).remotes.is_empty());
//! # Ok::<(), inhouse_config::ConfigError>(())
//! ```
//!
//! **Invariants**
//!
//! - A body that may hold a prompt is sent by one function, which takes an
//!   [`EgressPermit`](inhouse_policy::EgressPermit) and refuses one that is for a nearer zone.
//! - No redirect is followed. Nothing addressed to this device or the own network goes through a proxy, or to an address
//!   outside of it, whatever a name resolves to.
//! - No field of a request has a provider ask, fetch or keep beyond its zone.
//! - A client of a remote provider needs a [`Network`]; with [`Reach::LocalOnly`] there is none.
//! - Errors hold no prompts and no keys, except in the body that the provider sent, which neither `Debug` nor `Display`
//!   shows.
#![forbid(unsafe_code)]

mod answer;
mod anthropic;
mod build;
mod check;
mod clock;
mod compatible;
mod farther;
mod gemini;
mod huggingface;
mod keys;
mod kind;
mod litellm;
mod local;
mod manner;
mod network;
mod ollama;
mod openai;
mod openrouter;
mod refusal;
mod relay;
mod remote;
mod transport;
mod wait;

pub use build::{BuildError, Built, Reach, build, build_all};
pub use check::CheckReport;
pub use clock::{Clock, SystemClock};
pub use kind::Kind;
pub use local::{FindModel, Local, LocalOptions};
pub use network::Network;
pub use remote::Remote;
pub use transport::Lookup;

/// Every kind of upstream that this build knows, in the order in which they are listed.
pub const ALL: &[Kind] = &[
    anthropic::KIND,
    openai::KIND,
    openrouter::KIND,
    gemini::KIND,
    huggingface::KIND,
    ollama::KIND,
    litellm::KIND,
    compatible::KIND,
];
