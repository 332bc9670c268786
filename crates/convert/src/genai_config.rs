//! `genai_config.json` as onnxruntime-genai's model builder writes it.

use serde_json::{Value, json};

use crate::family::Config;
use crate::tokenizer::SpecialIds;

pub(crate) fn genai_config(config: &Config, special: &SpecialIds) -> Value {
    let eos = match special.eos.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    let mut model = json!({
        "bos_token_id": special.bos,
        "context_length": config.context,
        "decoder": decoder(config),
        "eos_token_id": eos,
        "pad_token_id": special.pad,
        "type": config.family.genai_type,
        "vocab_size": config.vocab,
    });
    if let Some(fields) = model.as_object_mut() {
        // The runtime refuses null; what a model does not have is left out.
        fields.retain(|_, value| !value.is_null());
    }
    json!({ "model": model, "search": search(config) })
}

fn decoder(config: &Config) -> Value {
    json!({
        "session_options": { "log_id": "onnxruntime-genai", "provider_options": [] },
        "filename": "model.onnx",
        "head_size": config.head_size,
        "hidden_size": config.hidden,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
    })
}

fn search(config: &Config) -> Value {
    json!({
        "diversity_penalty": 0.0,
        "do_sample": false,
        "early_stopping": true,
        "length_penalty": 1.0,
        "max_length": config.context,
        "min_length": 0,
        "no_repeat_ngram_size": 0,
        "num_beams": 1,
        "num_return_sequences": 1,
        "past_present_share_buffer": true,
        "repetition_penalty": 1.0,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
    })
}
