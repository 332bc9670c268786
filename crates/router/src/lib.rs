//! Which provider answers: choosing, retrying, falling back, within a ceiling and a budget.
//!
//! A request is planned ([`Router::explain`] shows the plan): what it needs is read from it, its ceiling is the strictest
//! of all who have a say, rules and the mode put the candidates in order. Then it is sealed, and one loop asks the
//! candidates, one after the other, until an answer has begun. Every attempt is reserved before and booked after, however
//! it ends.
//!
//! **Invariant:** nothing here opens a connection or names a provider's protocol; [`Provider`] is all it knows of them.
//! **Invariant:** after the plan, no code here can read the request: it holds an [`inhouse_policy::Guarded`].
#![forbid(unsafe_code)]

mod adapt;
mod affinity;
mod alerts;
mod answer;
mod attempt;
mod books;
mod breaker;
mod cache;
mod candidate;
mod choose;
mod classify;
mod error;
mod explain;
mod facts;
mod flow;
mod known;
mod limits;
mod member;
mod plan;
mod provider;
mod random;
mod retry;
mod router;
mod rules;
mod run;
mod settings;
mod speed;
mod text_tools;
mod tool_format;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::{Answer, AnswerMetadata, AnswerStream, StreamError};
pub use candidate::PassedOver;
pub use error::{NotAsked, RouteError};
pub use explain::{Considered, Explanation};
pub use facts::{Facts, Known};
pub use known::{Ability, BenchmarkResult, KnownModel, KnownModels};
pub use plan::Caller;
pub use provider::{Answering, Call, EventStream, Late, Learned, Meter, Provider};
pub use router::{Clock, Parts, Router, SystemClock};

/// How many models of providers are kept in mind at most.
const MOST_NAMES: usize = 4_096;

/// The lock, also where a thread panicked while it had it: what is kept here is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
