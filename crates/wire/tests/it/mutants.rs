//! Recorded bodies with one thing in them replaced: read, or refused by an error that names the place and no value.

use serde_json::{Value, json};

use crate::fixtures::{each, json as parse, targets};

const CANARY: &str = "what a user wrote";

#[test]
fn errors_name_places_and_never_values() {
    let check = |dialect, name: &str, bytes: &[u8], request: bool| {
        if bytes.len() > 20_000 {
            return; // long files say nothing more, and take long
        }
        let body = parse(bytes);
        for at in 0..places(&body) {
            for other in [
                json!(CANARY),
                json!([CANARY]),
                json!({"text": CANARY}),
                json!(-1.5),
            ] {
                let mut mutant = body.clone();
                replace(&mut mutant, &mut at.clone(), &other);
                let refused = if request {
                    inhouse_wire::decode_request(dialect, mutant).map(|request| {
                        targets().for_each(|target| {
                            let refused = inhouse_wire::encode_request(target, &request).err();
                            assert_silent(name, refused);
                        });
                    })
                } else {
                    inhouse_wire::decode_reply(dialect, mutant).map(drop)
                };
                assert_silent(name, refused.err());
            }
        }
    };
    each(".request.json", |dialect, name, bytes| {
        check(dialect, name, bytes, true)
    });
    each(".reply.json", |dialect, name, bytes| {
        check(dialect, name, bytes, false)
    });
}

fn assert_silent(name: &str, error: Option<inhouse_wire::WireError>) {
    if let Some(error) = error {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(CANARY), "{name}: {shown}");
    }
}

/// How many values are in a value, itself included.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(fields) => fields.values().map(places).sum(),
        _ => 0,
    }
}

/// Replaces the value that comes after `left` others.
fn replace(value: &mut Value, left: &mut usize, other: &Value) -> bool {
    if *left == 0 {
        *value = other.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, left, other)),
        Value::Object(fields) => fields.values_mut().any(|field| replace(field, left, other)),
        _ => false,
    }
}
