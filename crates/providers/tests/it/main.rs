//! Providers against scripted upstreams on loopback.

mod answers;
mod checks;
mod connections;
mod errors;
mod estimates;
mod farther;
mod keys;
mod local_only;
mod onnxruntime;
mod relays;
mod requests;
mod support;
mod zones;
