//! How text is cut into words before BPE, by the name that GGUF files give it.

use serde_json::{Value, json};

use crate::error::ConvertError;

/// One way of cutting.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreTokenizer {
    names: &'static [&'static str],
    split: Split,
    /// A word that is a token is taken whole, whatever the merges say.
    pub(super) ignore_merges: bool,
    pub(super) add_bos: bool,
    pub(super) nfc: bool,
    pub(super) class: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Split {
    /// GPT-2's pattern, which `ByteLevel` has built in.
    Gpt2,
    /// Every digit alone, then GPT-2's pattern.
    DigitsThenGpt2,
    /// One pattern that covers the text.
    Pattern(&'static str),
    /// Several patterns, each applied to the pieces the last one left.
    Patterns(&'static [&'static str]),
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A plain GPT-2 tokenizer; the rows below say what differs.
const PLAIN: PreTokenizer = PreTokenizer {
    names: &["gpt-2", "phi-2", "olmo", "mpt"],
    split: Split::Gpt2,
    ignore_merges: false,
    add_bos: false,
    nfc: false,
    class: "GPT2Tokenizer",
};

const ALL: &[PreTokenizer] = &[
    PLAIN,
    PreTokenizer {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "codeshell",
            "exaone",
            "minerva-7b",
        ],
        split: Split::DigitsThenGpt2,
        ..PLAIN
    },
    PreTokenizer {
        names: &["command-r"],
        split: Split::DigitsThenGpt2,
        nfc: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"],
        split: Split::Pattern(LLAMA3),
        ignore_merges: true,
        add_bos: true,
        class: "PreTrainedTokenizerFast",
        ..PLAIN
    },
    PreTokenizer {
        names: &["dbrx", "smaug-bpe"],
        split: Split::Pattern(LLAMA3),
        ..PLAIN
    },
    PreTokenizer {
        names: &["qwen2", "deepseek-r1-qwen", "megrez"],
        split: Split::Pattern(QWEN2),
        nfc: true,
        class: "Qwen2Tokenizer",
        ..PLAIN
    },
    PreTokenizer {
        names: &["stablelm2", "hunyuan"],
        split: Split::Pattern(QWEN2),
        ..PLAIN
    },
    PreTokenizer {
        names: &["tekken"],
        split: Split::Pattern(TEKKEN),
        ignore_merges: true,
        add_bos: true,
        class: "PreTrainedTokenizerFast",
        ..PLAIN
    },
    PreTokenizer {
        names: &["gpt-4o"],
        split: Split::Pattern(GPT4O),
        ..PLAIN
    },
    PreTokenizer {
        // What llama.cpp does where a file names none.
        names: &["default"],
        split: Split::Patterns(&[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"]),
        ..PLAIN
    },
];

/// The one of this name.
pub(super) fn of(name: &str) -> Result<PreTokenizer, ConvertError> {
    let found = ALL.iter().find(|pre| pre.names.contains(&name));
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().flat_map(|pre| pre.names).copied().collect();
        ConvertError::unsupported(format!(
            "gguf key `tokenizer.ggml.pre` is `{name}`, which is not known, so text would be cut wrongly; known are {}",
            known.join(", ")
        ))
    })
}

impl PreTokenizer {
    /// The `pre_tokenizer` of `tokenizer.json`.
    pub(super) fn to_json(self, add_prefix_space: bool) -> Value {
        let bytes = |use_regex: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": true,
                "use_regex": use_regex,
            })
        };
        let steps = match self.split {
            Split::Gpt2 => return bytes(true),
            Split::DigitsThenGpt2 => {
                vec![
                    json!({"type": "Digits", "individual_digits": true}),
                    bytes(true),
                ]
            }
            Split::Pattern(pattern) => vec![isolated(pattern), bytes(false)],
            Split::Patterns(patterns) => {
                let splits = patterns.iter().map(|pattern| isolated(pattern));
                splits.chain([bytes(false)]).collect()
            }
        };
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

fn isolated(pattern: &str) -> Value {
    json!({
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": false,
    })
}
