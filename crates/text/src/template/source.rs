//! The text of a template before it is compiled.

use std::collections::HashSet;

/// The method that [`prepare`] puts for `[::-1]`.
pub(super) const REVERSED: &str = "__reversed";

/// `source` for minijinja: without the `generation` tags, which mark the assistant's tokens for training and print
/// nothing, and with a method call for `[::-1]`, at which minijinja 3.0 panics where there is nothing to reverse.
pub(super) fn prepare(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for (block, text) in blocks(source) {
        match (block, tag_word(text)) {
            (Block::Data, _) => out.push_str(text),
            (_, Some("generation")) => out.push_str(&text.replacen("generation", "if true", 1)),
            (_, Some("endgeneration")) => out.push_str(&text.replacen("endgeneration", "endif", 1)),
            _ => push_reversed(&mut out, text),
        }
    }
    out
}

fn push_reversed(out: &mut String, code: &str) {
    let tokens = tokens(code);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if tokens.get(at..at + 6) == Some(&["[", ":", ":", "-", "1", "]"]) {
            out.push_str(&format!(".{REVERSED}()"));
            at += 6;
        } else {
            out.push_str(token);
            at += 1;
        }
    }
}

/// The words that a template names in quotes: letters, digits and `_` only.
pub(super) fn plain_words(source: &str) -> HashSet<String> {
    let code = blocks(source)
        .into_iter()
        .filter(|(block, _)| *block == Block::Code);
    let literals = code.flat_map(|(_, text)| tokens(text)).filter_map(literal);
    literals
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Block {
    /// `{{ .. }}` or `{% .. %}`, delimiters included.
    Code,
    /// Text, comments, and what `raw` protects.
    Data,
}

/// Cuts a template into its blocks; together they are the whole of it.
pub(super) fn blocks(source: &str) -> Vec<(Block, &str)> {
    let mut blocks = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let (start, tail) = rest.split_at(at);
        let length = match tail.as_bytes().get(1) {
            Some(b'#') => tail.find("#}").map_or(tail.len(), |end| end + 2),
            Some(b'{' | b'%') => code_length(tail),
            _ => 1,
        };
        let is_code = matches!(tail.as_bytes().get(1), Some(b'{' | b'%'));
        let (text, after) = tail.split_at(length);
        blocks.push((Block::Data, start));
        blocks.push((if is_code { Block::Code } else { Block::Data }, text));
        rest = after;
        if is_code && tag_word(text) == Some("raw") {
            let end = rest.find("endraw").map_or(rest.len(), |end| {
                rest.get(..end).and_then(|raw| raw.rfind("{%")).unwrap_or(0)
            });
            let (raw, after) = rest.split_at(end);
            blocks.push((Block::Data, raw));
            rest = after;
        }
    }
    blocks.push((Block::Data, rest));
    blocks
}

fn tag_word(tag: &str) -> Option<&str> {
    Some(
        tag.strip_prefix("{%")?
            .strip_suffix("%}")?
            .trim_matches(['-', '+'])
            .trim(),
    )
}

/// The length of the code at the start of `text`, delimiters and strings within it minded.
fn code_length(text: &str) -> usize {
    let end = if text.starts_with("{{") { "}}" } else { "%}" };
    let (mut at, mut depth) = (2, 0usize);
    while let Some(rest) = text.get(at..) {
        if depth == 0 && rest.starts_with(end) {
            return at + 2;
        }
        let Some(c) = rest.chars().next() else { break };
        match c {
            '\'' | '"' => {
                at += string_length(rest);
                continue;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    text.len()
}

/// The length of the string literal at the start of `text`, quotes included.
fn string_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, c)| c);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return at + 1;
        }
    }
    text.len()
}

/// A piece of code: a string literal, a word, an operator, or white space.
pub(super) fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match c {
            '\'' | '"' => string_length(rest),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c if c.is_whitespace() => rest
                .find(|c: char| !c.is_whitespace())
                .unwrap_or(rest.len()),
            '=' | '!' if rest.get(1..2) == Some("=") => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// What a string literal says, if the token is one without unusual escapes.
pub(super) fn literal(token: &str) -> Option<String> {
    let quote = token.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = token.get(1..)?.strip_suffix(quote)?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                c @ ('\\' | '\'' | '"') => c,
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}
