//! Items of type `reasoning`.

use inhouse_chat::{Block, BlockKind, Extra, Fields};
use serde_json::{Value, json};

use super::DIALECT;
use super::items::fields;
use crate::WireError;
use crate::fields::{Object, marked};
use crate::note::Notes;
use crate::path::Path;

/// The thought is in `content`, as open models say it; `summary` is empty and stays as it came.
const IN_CONTENT: &str = "\0content";
/// How long each part was, where there was not just one.
const LENGTHS: &str = "\0lengths";
/// Between parts.
pub(super) const BETWEEN: &str = "\n\n";

pub(super) fn are_known(item: &Object<'_>) -> bool {
    let known = |name, kind| {
        item.peek(name)
            .is_none_or(|list| texts(list, kind).is_some())
    };
    item.peek("summary").is_some()
        && known("summary", "summary_text")
        && known("content", "reasoning_text")
}

/// The words of a list of parts that are all of this type and have nothing else.
fn texts<'v>(list: &'v Value, kind: &str) -> Option<Vec<&'v str>> {
    let text = |part: &'v Value| {
        let part = part.as_object().filter(|part| part.len() == 2)?;
        let is_kind = part.get("type").and_then(Value::as_str) == Some(kind);
        part.get("text")?.as_str().filter(|_| is_kind)
    };
    list.as_array()?.iter().map(text).collect()
}

pub(super) fn decode(mut item: Object<'_>) -> Result<Block, WireError> {
    let in_content = item.peek("summary").is_some_and(is_empty)
        && item
            .peek("content")
            .is_some_and(|content| !is_empty(content));
    let (name, kind) = names(in_content);
    let list = item.value(name)?;
    let parts = texts(&list, kind).unwrap_or_default();
    let text = parts.join(BETWEEN);
    if in_content {
        item.mark(IN_CONTENT);
    }
    // Also tells, even where nothing else does, that this provider thought it.
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    item.put_back(LENGTHS, Value::from(lengths));
    Ok(Block {
        kind: BlockKind::Thinking {
            text: text.into(),
            signature: item.opt_string("encrypted_content")?,
        },
        cache: None,
        extra: item.rest(DIALECT),
    })
}

/// Nothing where another provider thought it.
pub(super) fn encode(
    block: &Block,
    text: &str,
    signature: Option<&str>,
    path: &Path<'_>,
    notes: &mut Notes,
) -> Option<Fields> {
    let own = block.extra.of(DIALECT).is_some();
    if !own {
        notes.left_out(&match signature {
            Some(_) => path.field("signature"),
            None => *path,
        });
        return None;
    }
    let (name, kind) = names(marked(&block.extra, DIALECT, IN_CONTENT));
    let parts = split(text, &block.extra);
    let parts: Vec<Value> = parts
        .iter()
        .map(|part| json!({"type": kind, "text": part}))
        .collect();
    let mut out = fields(json!({"type": "reasoning"}));
    out.insert(name.to_owned(), Value::Array(parts));
    if let Some(signature) = signature {
        out.insert("encrypted_content".into(), signature.into());
    }
    Some(out)
}

/// A summary of one part, or of none.
pub(super) fn summary(text: &str) -> Value {
    match text {
        "" => json!([]),
        text => json!([{"type": "summary_text", "text": text}]),
    }
}

fn names(in_content: bool) -> (&'static str, &'static str) {
    match in_content {
        true => ("content", "reasoning_text"),
        false => ("summary", "summary_text"),
    }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_some_and(Vec::is_empty)
}

/// The parts as they were, where the words are still as long.
fn split<'t>(text: &'t str, extra: &Extra) -> Vec<&'t str> {
    let lengths = extra.of(DIALECT).and_then(|fields| fields.get(LENGTHS));
    let lengths = lengths.and_then(Value::as_array);
    match lengths.and_then(|lengths| split_by(text, lengths)) {
        Some(parts) => parts,
        None if text.is_empty() => Vec::new(),
        None => vec![text],
    }
}

fn split_by<'t>(text: &'t str, lengths: &[Value]) -> Option<Vec<&'t str>> {
    let (mut parts, mut rest) = (Vec::with_capacity(lengths.len()), text);
    for (index, length) in lengths.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(BETWEEN)?;
        }
        let length = usize::try_from(length.as_u64()?).ok()?;
        let (part, after) = rest.split_at_checked(length)?;
        parts.push(part);
        rest = after;
    }
    rest.is_empty().then_some(parts)
}
