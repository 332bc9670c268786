//! The crate from outside, held against what other software makes of the same input
//! (`scripts/record_text_reference.py`).

mod bad_input;
mod control;
mod data;
mod encoder;
mod families;
mod templates;
mod tokenizers;
mod zoo;
