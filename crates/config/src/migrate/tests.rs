use super::*;

const OLD: [&str; 2] = [
    include_str!("../../testdata/old-modelid.json"),
    include_str!("../../testdata/old-modelpath.json"),
];

#[test]
fn old_files_say_the_same_in_their_new_form() {
    for old in OLD {
        let new = migrate(old).unwrap();
        assert!(
            new.starts_with("{\n  \"version\": \"1\",\n  \"defaultProvider\""),
            "{new}"
        );
        assert!(!new.contains("\"onnx\""), "{new}");
        let read = |text: &str| crate::parse(text, "f", &[]).unwrap().config;
        let mut same = read(&new);
        same.version = None;
        assert_eq!(same, read(old));
    }
}

#[test]
fn a_file_of_today_stays_as_it_is() {
    for old in OLD {
        let new = migrate(old).unwrap();
        assert_eq!(migrate(&new).unwrap(), new);
    }
}

#[test]
fn variables_and_order_stay() {
    let old = r#"{"providers": {"openai": {"apiKey": "${K:-}"}, "onnx": {}}, // gone
        "fallbackChain": ["onnx", "openai", "onnx-local"], "$schema": "s", "version": 1.0}"#;
    assert_eq!(
        migrate(old).unwrap().split_whitespace().collect::<String>(),
        r#"{"$schema":"s","version":"1","providers":{"openai":{"apiKey":"${K:-}"},"onnx-local":{}},"fallbackChain":["onnx-local","openai"]}"#
    );
}

#[test]
fn what_cannot_be_kept_is_an_error() {
    let check =
        |text: &str, expected: &str| assert_eq!(migrate(text).unwrap_err().to_string(), expected);
    check("[]", "router.config.json:1:1: the file must be an object");
    check(
        "{",
        "router.config.json:1:2: the file ends where a key in double quotes or } should be",
    );
    check(
        r#"{"providers": {"onnx": {}, "onnx-local": {}}}"#,
        "router.config.json:1:28: providers.onnx-local is the same provider as onnx; keep one of them",
    );
    check(
        r#"{"cache": 1, "cache": 2}"#,
        "router.config.json:1:14: cache is given twice, first on line 1",
    );
}
