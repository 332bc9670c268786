//! Which provider answers: choosing, retrying, falling back, within a ceiling and a budget.
#![forbid(unsafe_code)]

mod provider;

pub use provider::{Answering, Call, EventStream, Meter, Provider};
