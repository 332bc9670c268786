//! Many language models behind one call, prompts kept in-house.
#![forbid(unsafe_code)]
