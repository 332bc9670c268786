//! Any bytes are a GGUF file or an error; of a file, everything it names can be walked.

#![no_main]

use inhouse_convert::gguf::Gguf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::from_bytes(bytes.to_vec()) else {
        return;
    };
    for tensor in file.tensors() {
        assert_eq!(file.tensor_data(tensor).len(), tensor.byte_len());
    }
    for key in [
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
        "tokenizer.ggml.token_type",
        "tokenizer.ggml.scores",
    ] {
        if let Ok(Some(array)) = file.array(key) {
            let strings = array.strings().map_or(0, Iterator::count);
            let numbers = array.numbers().map_or(0, Iterator::count);
            assert!(strings.max(numbers) <= array.len());
        }
    }
    let _ = (
        file.string("general.architecture"),
        file.uint("llama.block_count"),
        file.float("llama.rope.freq_base"),
    );
});
