//! The program as its users see it: real arguments, real output, real exit status.
//!
//! Everything runs in a home of its own and offline, but for `smollm2`, which pulls the default model once into the
//! target folder and shares it between its tests, and `runtime`, which does so with ONNX Runtime.

mod bad_input;
mod chat;
mod cli_docs;
mod embed;
mod gateway;
mod gateway_config;
mod gateway_ledger;
mod measure;
mod models;
#[cfg(target_os = "linux")]
mod namespace;
mod onnxruntime;
mod packed;
mod runtime;
mod smollm2;
mod support;
#[cfg(unix)]
mod terminal;
mod usage;
