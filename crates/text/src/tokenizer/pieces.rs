//! What one token stands for, by the kind of decoder that `tokenizer.json` names.

use std::sync::LazyLock;

use serde_json::Value;

/// How strings of the vocabulary become text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Style {
    /// GPT-2's alphabet: a character stands for a byte.
    ByteLevel,
    /// SentencePiece: replacements (`▁` for a space), and perhaps tokens `<0x0A>` for bytes.
    Pieces {
        replace: Vec<(String, String)>,
        byte_fallback: bool,
        /// At most so many of this character are taken off the start of the whole text.
        strip: Option<(char, usize)>,
    },
    /// The older SentencePiece form: `▁` is a space, and nothing in the first token.
    Metaspace {
        replacement: char,
        strip_first: bool,
    },
    /// Anything else: the crate decodes.
    Other,
}

/// What one token stands for in the middle of a text.
pub(crate) enum Piece {
    /// Bytes that need not be whole characters.
    Text(Vec<u8>),
    /// One byte of a character that the vocabulary does not have.
    Byte(u8),
}

impl Style {
    /// The style of a `decoder` object.
    pub(crate) fn of_decoder(decoder: &Value) -> Self {
        match kind(decoder) {
            "ByteLevel" => Self::ByteLevel,
            "Metaspace" => Self::metaspace(decoder),
            "Sequence" => Self::sequence(decoder.get("decoders").and_then(Value::as_array)),
            _ => Self::Other,
        }
    }

    fn metaspace(decoder: &Value) -> Self {
        let replacement = decoder
            .get("replacement")
            .and_then(Value::as_str)
            .and_then(|s| s.chars().next());
        let strip_first = decoder.get("prepend_scheme").and_then(Value::as_str) != Some("never");
        Self::Metaspace {
            replacement: replacement.unwrap_or('\u{2581}'),
            strip_first,
        }
    }

    fn sequence(decoders: Option<&Vec<Value>>) -> Self {
        let decoders: &[Value] = decoders.map_or(&[], Vec::as_slice);
        if let [only] = decoders {
            return Self::of_decoder(only);
        }
        let (mut replace, mut byte_fallback, mut fused, mut strip) =
            (Vec::new(), false, false, None);
        for decoder in decoders {
            match kind(decoder) {
                "Replace" if !byte_fallback && !fused => match replacement(decoder) {
                    Some(pair) => replace.push(pair),
                    None => return Self::Other,
                },
                "ByteFallback" if !byte_fallback && !fused => byte_fallback = true,
                "Fuse" => fused = true,
                "Strip" if fused && strip.is_none() => match strip_start(decoder) {
                    Some(start) => strip = Some(start),
                    None => return Self::Other,
                },
                _ => return Self::Other,
            }
        }
        if decoders.is_empty() {
            return Self::Other;
        }
        Self::Pieces {
            replace,
            byte_fallback,
            strip,
        }
    }

    /// What a string of the vocabulary stands for, or `None` for [`Style::Other`].
    pub(crate) fn piece(&self, token: &str) -> Option<Piece> {
        Some(match self {
            Self::ByteLevel => Piece::Text(byte_level(token)),
            Self::Pieces {
                replace,
                byte_fallback,
                ..
            } => {
                let mut text = token.to_owned();
                for (from, to) in replace {
                    text = text.replace(from, to);
                }
                match byte_token(&text).filter(|_| *byte_fallback) {
                    Some(byte) => Piece::Byte(byte),
                    None => Piece::Text(text.into_bytes()),
                }
            }
            Self::Metaspace { replacement, .. } => {
                Piece::Text(token.replace(*replacement, " ").into_bytes())
            }
            Self::Other => return None,
        })
    }
}

fn kind(decoder: &Value) -> &str {
    decoder.get("type").and_then(Value::as_str).unwrap_or("")
}

/// The two strings of a `Replace` that names no regular expression.
fn replacement(decoder: &Value) -> Option<(String, String)> {
    let from = decoder.get("pattern")?.get("String")?.as_str()?;
    let to = decoder.get("content")?.as_str()?;
    (!from.is_empty()).then(|| (from.to_owned(), to.to_owned()))
}

fn strip_start(decoder: &Value) -> Option<(char, usize)> {
    let content = decoder.get("content")?.as_str()?.chars().next()?;
    let start = decoder.get("start")?.as_u64()?;
    (decoder.get("stop")?.as_u64()? == 0).then_some((content, usize::try_from(start).ok()?))
}

/// The byte of a token like `<0x0A>`.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// The bytes of a token in GPT-2's alphabet; a token with any other character stands for itself, as in the crate.
fn byte_level(token: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = token
        .chars()
        .map(|c| BYTE_OF.get(c as usize).copied().flatten())
        .collect();
    bytes.unwrap_or_else(|| token.as_bytes().to_vec())
}

/// GPT-2's alphabet by character: printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
static BYTE_OF: LazyLock<[Option<u8>; 0x144]> = LazyLock::new(|| {
    let mut table = [None; 0x144];
    let mut next = 0x100;
    for byte in 0..=255u8 {
        let itself = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let at = if itself { usize::from(byte) } else { next };
        if !itself {
            next += 1;
        }
        if let Some(slot) = table.get_mut(at) {
            *slot = Some(byte);
        }
    }
    table
});
