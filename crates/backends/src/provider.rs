//! Execution providers: their names and options, which of them work here, and what their errors mean.
//!
//! The way of a provider into a session: [`ready`] once, which finds the libraries it needs; [`Options::new`]; then
//! [`attach`] for every session that is built. [`probe`] tells which providers work and why the others do not.

mod class;
mod companions;
mod dispatch;
mod machine;
mod name;
mod options;
mod probe;
mod reason;
mod trial;
mod webgpu;

pub use class::{Class, classify};
pub use dispatch::{attach, dispatch};
pub use name::ExecutionProvider;
pub use options::{Options, capture_key};
pub use probe::{Probe, State, explain, probe, probe_one, ready};
pub use reason::{Missing, Reason};
