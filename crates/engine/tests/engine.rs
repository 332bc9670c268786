//! The engine on real exports, held against what ONNX Runtime recorded.

#[path = "engine/zoo.rs"]
mod zoo;
