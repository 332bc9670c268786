//! The engine on real exports, held against what ONNX Runtime recorded.

#[path = "engine/packing.rs"]
mod packing;
#[path = "engine/zoo.rs"]
mod zoo;
