//! Converts model files into ONNX Runtime GenAI folders: GGUF in.
