//! Any JSON is a request, an answer or an error with a path; what was read can be written in every protocol, and in its
//! own it stays as it is.
//!
//! The first byte chooses the protocol.

#![no_main]

use inhouse_chat::Dialect;
use inhouse_wire::{
    AnswerOptions, decode_failure, decode_reply, decode_request, encode_reply, encode_request,
};
use libfuzzer_sys::fuzz_target;

const DIALECTS: [Dialect; 6] = [
    Dialect::Anthropic,
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Gemini,
    Dialect::Ollama,
    Dialect::Neutral,
];

fuzz_target!(|bytes: &[u8]| {
    let [which, body @ ..] = bytes else {
        return;
    };
    let dialect = DIALECTS[usize::from(*which) % DIALECTS.len()];
    let _ = decode_failure(400, None, body);
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return;
    };
    match decode_request(dialect, json.clone()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(request) => {
            for target in DIALECTS {
                let _ = encode_request(target, &request);
            }
            if let Ok(sent) = encode_request(dialect, &request) {
                let again = decode_request(dialect, sent.body.clone()).expect("what we write can be read");
                let sent_again = encode_request(dialect, &again).expect("and written again");
                assert_eq!(sent_again.body, sent.body);
            }
        }
    }
    if let Ok(reply) = decode_reply(dialect, json) {
        for target in DIALECTS {
            let encoded = encode_reply(target, &reply, &AnswerOptions::default());
            let _ = decode_reply(target, encoded.body);
        }
    }
});
