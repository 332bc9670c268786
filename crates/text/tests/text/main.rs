//! The crate from outside, held against recorded references.

mod zoo;
