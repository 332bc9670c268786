//! The library as its users call it: over real upstreams on loopback and the engine with small models.

mod documents;
#[cfg(target_os = "linux")]
mod namespace;
mod support;
