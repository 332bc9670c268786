//! Broken, hostile and very large input: one clear error each, or an answer in reasonable time.

use std::fs;
use std::path::Path;

use inhouse_text::{ChatTemplate, Message, TemplateOptions, TextError, TextErrorKind, Tokenizer};

use proptest::prelude::*;

use crate::data;
use crate::tokenizers::tokenizer;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect(name);
    }
    folder
}

fn load_error(files: &[(&str, &str)]) -> TextError {
    Tokenizer::from_folder(folder(files).path()).expect_err("it must be refused")
}

#[test]
fn tokenizers_that_cannot_be_used_are_named() {
    let good =
        fs::read_to_string(data::zoo("llama-fp32").join("tokenizer.json")).expect("a tokenizer");
    let cut: String = good.chars().take(good.len() / 2).collect();
    let rows: [(&[(&str, &str)], TextErrorKind); 8] = [
        (&[], TextErrorKind::File),
        (&[("tokenizer.json", "")], TextErrorKind::Tokenizer),
        (&[("tokenizer.json", &cut)], TextErrorKind::Tokenizer),
        (&[("tokenizer.json", "{}")], TextErrorKind::Tokenizer),
        (&[("tokenizer.json", "[1, 2]")], TextErrorKind::Tokenizer),
        (
            &[("tokenizer.json", "\u{0}\u{1}")],
            TextErrorKind::Tokenizer,
        ),
        (
            &[
                ("tokenizer.json", &good),
                ("tokenizer_config.json", "{\"bos_token\":"),
            ],
            TextErrorKind::Tokenizer,
        ),
        (
            &[("tokenizer.json", &good), ("special_tokens_map.json", "7")],
            TextErrorKind::Tokenizer,
        ),
    ];
    for (files, kind) in rows {
        let error = load_error(files);
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.contains("token"), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        load_error(&[("tokenizer.json", &deep)]).kind(),
        TextErrorKind::Tokenizer
    );
}

/// Parts of a good file replaced by nonsense: an error or a tokenizer, and never a panic.
#[test]
fn damaged_tokenizers_do_no_harm() {
    let good = fs::read_to_string(data::path("tokenizers/byte-fallback-bpe/tokenizer.json"))
        .expect("a tokenizer");
    for (from, to) in [
        ("\"id\":0", "\"id\":4294967295"),
        ("\"id\":0", "\"id\":-1"),
        ("\"BPE\"", "\"Unknown\""),
        ("\"Prepend\"", "\"Precompiled\""),
        ("\"merges\":[", "\"merges\":[[\"no\",\"such\"],"),
        ("\"Strip\"", "\"Fuse\""),
        ("\"content\":\"<s>\"", "\"content\":\"\""),
        (
            "\"truncation\":null",
            "\"truncation\":{\"direction\":\"Right\",\"max_length\":2,\"strategy\":\"LongestFirst\",\"stride\":0}",
        ),
    ] {
        let spaced = good.replace(from, to);
        let same = spaced == good;
        let compact = good.replace(": ", ":").replace(from, to);
        if let Ok(tokenizer) = Tokenizer::from_json(if same {
            compact.as_bytes()
        } else {
            spaced.as_bytes()
        }) {
            let ids = tokenizer.encode("Hello <s> wörld, and more").expect("ids");
            assert!(ids.len() > 2, "nothing is cut: {to}");
            tokenizer.decode(&ids, true);
        }
    }
}

#[test]
fn names_of_the_first_and_last_token_are_read() {
    let good =
        fs::read_to_string(data::zoo("llama-fp32").join("tokenizer.json")).expect("a tokenizer");
    let files = folder(&[
        ("tokenizer.json", &good),
        (
            "tokenizer_config.json",
            r#"{"eos_token": {"content": "<|eot_id|>", "lstrip": false}, "bos_token": null}"#,
        ),
        (
            "special_tokens_map.json",
            r#"{"bos_token": "<|begin_of_text|>", "eos_token": "other"}"#,
        ),
    ]);
    let tokenizer = Tokenizer::from_folder(files.path()).expect("a tokenizer");
    assert_eq!(
        (tokenizer.bos_token(), tokenizer.eos_token()),
        (Some("<|begin_of_text|>"), Some("<|eot_id|>"))
    );
    assert!(tokenizer.is_special(0) && !tokenizer.is_special(50));
}

#[test]
fn nothing_and_what_is_no_id_give_nothing() {
    for name in [
        "phi4mini-int4",
        "byte-fallback-bpe",
        "metaspace-unigram",
        "wordpiece",
    ] {
        let tokenizer = tokenizer(name);
        assert_eq!(tokenizer.encode("").expect("ids"), [0; 0], "{name}");
        assert_eq!(tokenizer.decode(&[], false), "", "{name}");
        assert_eq!(
            tokenizer.decode(&[u32::MAX, 1_000_000], false),
            "",
            "{name}"
        );
    }
}

/// A megabyte of each kind of text, most of them short. What is asserted is the answer; the time shows in the length of
/// the test run.
#[test]
fn a_megabyte_is_encoded() {
    let tokenizers = ["phi4mini-int4", "byte-fallback-bpe"].map(tokenizer);
    for (what, unit, size) in [
        ("words", "The quick brown fox, 1234 times.\r\n", 1 << 20),
        ("spaces", " ", 1 << 20),
        ("one letter", "a", 1 << 18),
        ("lines", "\n", 1 << 18),
        ("scripts", "世界👩‍👩‍👧 ﷽עברית ", 1 << 18),
        ("control", "<|end|>", 1 << 18),
    ] {
        let text = unit.repeat(size / unit.len());
        for tokenizer in &tokenizers {
            let ids = tokenizer.encode(&text).expect(what);
            let some = ids.get(..ids.len().min(50_000)).unwrap_or_default();
            assert!(
                text.trim_start().starts_with(
                    tokenizer
                        .decode(some, true)
                        .trim()
                        .trim_end_matches('\u{fffd}')
                ),
                "{what}"
            );
        }
    }
}

fn render(source: &str, text: &str) -> Result<String, TextError> {
    let template = ChatTemplate::from_source("test", source);
    let chat = template.render(&[Message::user(text)], &TemplateOptions::default())?;
    Ok(chat.as_str().to_owned())
}

#[test]
fn templates_fail_with_a_reason_and_without_the_messages() {
    let rows = [
        ("{% if %}", "syntax error", "line 1"),
        ("a\n{{ messages[0].content", "syntax error", "line 2"),
        ("{% for m in messages %}", "syntax error", "line 1"),
        (
            "\n\n{{ messages | nothing_like_it }}",
            "unknown filter",
            "line 3",
        ),
        (
            "{{ messages[0].content.nothing.more }}",
            "undefined",
            "line 1",
        ),
        ("{{ missing.field }}", "undefined", "line 1"),
        (
            "{{ messages[0].content + 1 }}",
            "invalid operation",
            "line 1",
        ),
        (
            "{{ messages[0].content - messages[0].content }}",
            "invalid operation",
            "line 1",
        ),
        (
            "{{ messages[0].content.no_such_method() }}",
            "unknown method",
            "line 1",
        ),
        (
            "{{ raise_exception('not ' + messages[0].content + '!') }}",
            "refuses the conversation: not …!",
            "line 1",
        ),
        ("{% include 'other' %}", "template not found", "line 1"),
        ("{{ strftime_now('%Q') }}", "strftime_now", "line 1"),
        (
            "{{ (messages[0].content | tojson)['x'].y }}",
            "undefined",
            "line 1",
        ),
    ];
    for (source, reason, line) in rows {
        let error = render(source, "secretword").expect_err(source).to_string();
        assert!(
            error.contains(reason) && error.contains(line),
            "{source}: {error}"
        );
        assert!(!error.contains("secret"), "{source}: {error}");
    }
}

#[test]
fn hostile_templates_end() {
    let rows = [
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "too many steps",
        ),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "test"),
        (
            "{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
            "writes too much",
        ),
        ("{{ 'x' * 999999999999 }}", "invalid operation"),
        ("{{ range(999999999999) | list }}", "test"),
        (
            "{% set n = namespace(x=[]) %}{% for i in range(5000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
            "nested too deeply",
        ),
    ];
    for (source, reason) in rows {
        let error = render(source, "hello").expect_err(source).to_string();
        assert!(error.contains(reason), "{source}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Templates with a piece missing, moved or repeated: an answer or an error.
    #[test]
    fn damaged_templates_do_no_harm(
        name in prop::sample::select(vec!["own-constructs", "own-llama", "qwen3", "phi3.5", "mistral-nemo"]),
        cut in 0.0..1.0f64, length in 0usize..40, paste in 0.0..1.0f64, keep in any::<bool>(),
    ) {
        let mut source: Vec<char> =
            fs::read_to_string(data::path(&format!("templates/{name}.jinja"))).expect(name).chars().collect();
        let from = (cut * source.len() as f64) as usize;
        let to = (from + length).min(source.len());
        let piece: Vec<char> =
            if keep { source[from..to].to_vec() } else { source.drain(from..to).collect() };
        let at = (paste * source.len() as f64) as usize;
        source.splice(at..at, piece);
        let source: String = source.into_iter().collect();
        let _ = render(&source, "Hello </think> <|im_end|>");
    }
}

#[test]
fn what_minijinja_stumbles_over_works() {
    for (source, wanted) in [
        (
            "{{ ''[::-1] }}|{{ [][::-1] | length }}|{{ messages[0].content[::-1] }}",
            "|0|cba",
        ),
        (
            "{% generation %}a{% endgeneration %}{%- generation -%} b {%- endgeneration %}",
            "ab",
        ),
        ("{{ 'x' if none is iterable else 'y' }}", "y"),
        ("{{ {'items': 1}.items() | list }}", "[('items', 1)]"),
        (
            "{{ strftime_now('%d %b %Y, %-d. %B %H:%M') }}",
            "01 Jan 1970, 1. January 00:00",
        ),
    ] {
        assert_eq!(render(source, "abc").expect(source), wanted, "{source}");
    }
}

#[test]
fn a_megabyte_goes_through_a_template() {
    let text = "Hello <|im_end|> wörld 世界\n".repeat((1 << 20) / 30);
    let source = fs::read_to_string(data::path("templates/qwen3.jinja")).expect("a template");
    let template = ChatTemplate::from_source("qwen3", source);
    let chat = template
        .render(&[Message::user(text.as_str())], &TemplateOptions::default())
        .expect("it renders");
    let tokenizer = tokenizer("qwen3-int8");
    let end = tokenizer.token_to_id("<|im_end|>").expect("a token");
    let ids = tokenizer.encode_chat(&chat).expect("ids");
    assert_eq!(ids.iter().filter(|id| **id == end).count(), 1);
}

fn from_folder(files: &[(&str, &str)]) -> Result<Option<ChatTemplate>, TextError> {
    let folder = folder(files);
    let path: &Path = folder.path();
    ChatTemplate::from_folder(path)
}

#[test]
fn templates_are_found_in_their_order() {
    let config = r#"{"chat_template": "config {{ bos_token }}", "bos_token": "<s>"}"#;
    let list = r#"{"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "no tools"}]}"#;
    let plain = TemplateOptions::default();
    let tools = TemplateOptions {
        tools: Some(serde_json::json!([])),
        ..TemplateOptions::default()
    };
    for (files, options, wanted) in [
        (
            vec![
                ("chat_template.jinja", "file {{ bos_token }}"),
                ("tokenizer_config.json", config),
            ],
            &plain,
            "file <s>",
        ),
        (
            vec![("tokenizer_config.json", config)],
            &plain,
            "config <s>",
        ),
        (vec![("tokenizer_config.json", list)], &plain, "no tools"),
        (vec![("tokenizer_config.json", list)], &tools, "tools"),
    ] {
        let template = from_folder(&files)
            .expect("readable")
            .expect("there is one");
        assert_eq!(
            template.render(&[], options).expect("it renders").as_str(),
            wanted
        );
    }
    assert!(from_folder(&[]).expect("readable").is_none());
    assert!(
        from_folder(&[("tokenizer_config.json", r#"{"chat_template": null}"#)])
            .expect("readable")
            .is_none()
    );
    for config in [
        r#"{"chat_template": 7}"#,
        r#"{"chat_template": [{"name": "rag", "template": ""}]}"#,
    ] {
        let error = from_folder(&[("tokenizer_config.json", config)]).expect_err("no template");
        assert_eq!(error.kind(), TextErrorKind::Template, "{error}");
    }
}
