//! What may go where: zones, permits, personal data and secrets.
//!
//! **Invariant:** nothing here does I/O, reads a clock or knows a provider; policy is pure functions of a request.
#![forbid(unsafe_code)]

mod ceiling;
mod permit;
mod zone;

pub use ceiling::{Ceiling, Demand};
pub use permit::{Beyond, Cleared, EgressPermit, Guarded};
pub use zone::Zone;
