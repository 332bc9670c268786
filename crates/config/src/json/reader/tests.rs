use super::*;
use crate::json::Path;

/// The tree in the notation of JSON.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Gone => "gone".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(digits) => digits.clone(),
        Value::String(words) => format!("{:?}", words.text),
        Value::Array(nodes) => format!(
            "[{}]",
            nodes.iter().map(shown).collect::<Vec<_>>().join(",")
        ),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|member| format!("{:?}:{}", member.name, shown(&member.node)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
    }
}

fn check(text: &str, expected: &str) {
    let said = match parse(text) {
        Ok(tree) => shown(&tree),
        Err(error) => format!(
            "{}:{}: {}",
            error.place.line, error.place.column, error.message
        ),
    };
    assert_eq!(said, expected, "{text}");
}

#[test]
fn json_with_comments_and_trailing_commas_is_read() {
    check("\u{feff}{}", "{}");
    check(
        "// a\n{ /* b * / */ \"a\": [1, 2,], // c\n \"b\": {\"c\": null,},}// d",
        r#"{"a":[1,2],"b":{"c":null}}"#,
    );
    check(
        "[true, false, -0.50, 1E+9, \"\"]",
        "[true,false,-0.50,1E+9,\"\"]",
    );
    check(
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
        r#""\"\\/\u{8}\u{c}\n\r\té😀""#,
    );
    check(
        "{\"a\": \"// no comment /* none */\"}",
        "{\"a\":\"// no comment /* none */\"}",
    );
}

#[test]
fn where_it_stops_being_json_is_told() {
    check("", "1:1: the file ends where a value should be");
    check(
        "{",
        "1:2: the file ends where a key in double quotes or } should be",
    );
    check("{\"a\"\n1}", "2:1: '1' is where a colon should be");
    check(
        "{\"a\": 1 \"b\": 2}",
        "1:9: '\"' is where a comma or } should be",
    );
    check("[1 2]", "1:4: '2' is where a comma or ] should be");
    check(
        "{a: 1}",
        "1:2: 'a' is where a key in double quotes or } should be",
    );
    check(
        "{'a': 1}",
        "1:2: '\\'' is where a key in double quotes or } should be",
    );
    check("[,]", "1:2: ',' is where a value should be");
    check("{} {}", "1:4: '{' is where the end of the file should be");
    check(
        "[yes]",
        "1:2: a bare word is where a value should be; put double quotes around it",
    );
    check("[01]", "1:2: 01 is no number");
    check("[1.]", "1:2: 1. is no number");
    check(
        "[\"a\n\"]",
        "1:2: the string that begins here has no end on its line",
    );
    check(
        "[\"é\\x\"]",
        "1:4: no such escape in a string; a backslash is written \\\\",
    );
    check(
        r#"["\ud800"]"#,
        "1:3: no such escape in a string; a backslash is written \\\\",
    );
    check(
        "[\"\t\"]",
        "1:3: a control character is in a string; write it as \\u00..",
    );
    check("{ /* }", "1:3: the comment that begins here has no */");
    check("{ / }", "1:4: ' ' is where the rest of // or /* should be");
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    check(
        &nested(100_000),
        "1:65: more than 64 values are nested here",
    );
}

#[test]
fn places_count_lines_and_characters() {
    let tree = parse("{\n  \"é\": [\n    7]}").unwrap();
    let path = Path::of(["é"]).index(0);
    let (_, node) = tree.find(&path.0).unwrap();
    assert_eq!(node.place, Place { line: 3, column: 5 });
}

#[test]
fn paths_are_written_as_in_programs() {
    let path = Path::of(["prices", "open router", "a/b:free"]).index(2);
    assert_eq!(path.to_string(), r#"prices["open router"]["a/b:free"][2]"#);
    assert_eq!(Path::of(["$schema"]).to_string(), "$schema");
    assert_eq!(Path::of(["a\u{1b}"]).to_string(), "[\"a\\u{1b}\"]");
}
