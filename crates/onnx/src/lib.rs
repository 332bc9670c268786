//! ONNX model files: read with external data mapped from disk, and written.
