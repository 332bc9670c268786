//! Who can answer: one file for each upstream, and the engine on this machine.
#![forbid(unsafe_code)]
