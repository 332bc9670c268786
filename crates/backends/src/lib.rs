//! What computes a model: the native engine, or ONNX Runtime with any of its execution providers.
#![forbid(unsafe_code)]
