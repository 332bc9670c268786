//! Reading and writing whole files.

#[path = "onnx/zoo.rs"]
mod zoo;
