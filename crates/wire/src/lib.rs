//! Protocols of providers to and from what is said: Anthropic, OpenAI, Gemini, Ollama.
#![forbid(unsafe_code)]
