//! Runs decoder models from ONNX Runtime GenAI folders: lifts the graph, keeps the KV cache, decodes and samples.
