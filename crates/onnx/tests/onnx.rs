//! Reading and writing whole files.

#[path = "onnx/external.rs"]
mod external;
#[path = "onnx/fields.rs"]
mod fields;
#[path = "onnx/hostile.rs"]
mod hostile;
#[path = "onnx/random.rs"]
mod random;
#[path = "onnx/wire.rs"]
mod wire;
#[path = "onnx/writer.rs"]
mod writer;
#[path = "onnx/zoo.rs"]
mod zoo;
