//! What may go where: zones, permits, personal data and secrets.
//!
//! **Invariant:** nothing here does I/O, reads a clock or knows a provider; policy is pure functions of a request.
#![forbid(unsafe_code)]

mod ceiling;
mod detect;
mod mask;
mod permit;
mod verdict;
mod zone;

pub use ceiling::{Ceiling, Demand};
pub use detect::{
    Class, Confidence, Detect, DetectError, Detector, DetectorOptions, Finding, FindingKind,
    Findings, Unreadable,
};
pub use mask::{Mask, MaskError, Restorer, mask};
pub use permit::{Beyond, Cleared, EgressPermit, Guarded};
pub use verdict::{FindingAction, FindingRules, Verdict};
pub use zone::Zone;
