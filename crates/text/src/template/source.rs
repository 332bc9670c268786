//! The text of a template before it is compiled.

use minijinja::Value;

use super::marks::Marks;

/// A template whose own words can be compared with texts in stand-ins.
pub(super) struct Adapted {
    pub(super) source: String,
    /// The variables that it now needs.
    pub(super) variables: Vec<(String, Value)>,
}

/// `source` without the `generation` tags, which mark the assistant's tokens for training and print nothing.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for (block, text) in blocks(source) {
        let word = || {
            let inner = text.strip_prefix("{%")?.strip_suffix("%}")?;
            Some(inner.trim_matches(['-', '+']).trim())
        };
        match word() {
            Some("generation") if block == Block::Code => {
                out.push_str(&text.replacen("generation", "if true", 1))
            }
            Some("endgeneration") if block == Block::Code => {
                out.push_str(&text.replacen("endgeneration", "endif", 1))
            }
            _ => out.push_str(text),
        }
    }
    out
}

/// Rewrites the places where a template compares a word of its own with what may be a text in stand-ins:
///
/// - `== 'word'` and `!= 'word'` become a look into a list of the word and its stand-ins;
/// - `'</word>' in` looks for the stand-ins, unless the word is a plain one, which names the field of a dictionary;
/// - `in ['word', ..]` has the stand-ins of every word besides.
pub(super) fn adapt(source: &str, marks: &Marks) -> Adapted {
    let mut adapter = Adapter {
        marks,
        out: String::with_capacity(source.len()),
        variables: Vec::new(),
    };
    for (block, text) in blocks(source) {
        match block {
            Block::Code => adapter.code(text),
            Block::Data => adapter.out.push_str(text),
        }
    }
    Adapted {
        source: adapter.out,
        variables: adapter.variables,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Block {
    /// `{{ .. }}` or `{% .. %}`, delimiters included.
    Code,
    /// Text, comments, and what `raw` protects.
    Data,
}

/// Cuts a template into its blocks; together they are the whole of it.
fn blocks(source: &str) -> Vec<(Block, &str)> {
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

struct Adapter<'a> {
    marks: &'a Marks,
    out: String,
    variables: Vec<(String, Value)>,
}

/// A piece of code: a string literal, a word, an operator, or white space.
fn tokens(code: &str) -> Vec<&str> {
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

impl Adapter<'_> {
    fn code(&mut self, code: &str) {
        let tokens = tokens(code);
        // Where the tokens are that say something.
        let solid: Vec<usize> = (0..tokens.len())
            .filter(|at| tokens.get(*at).is_some_and(|t| !t.trim().is_empty()))
            .collect();
        let mut replaced: Vec<Option<String>> = vec![None; tokens.len()];
        let token = |nth: Option<usize>| {
            nth.and_then(|nth| tokens.get(*solid.get(nth)?))
                .copied()
                .unwrap_or("")
        };
        let mut lists = Lists::default();
        for nth in 0..solid.len() {
            let (before, this, after) = (
                token(nth.checked_sub(1)),
                token(Some(nth)),
                token(Some(nth + 1)),
            );
            let inside = lists.step(before, this);
            let Some(word) = literal(this) else { continue };
            let Some(&at) = solid.get(nth) else { continue };
            let ends = !matches!(after, "+" | "~" | "*" | "|" | "." | "[" | "/" | "-" | "(")
                && literal(after).is_none();
            if matches!(before, "==" | "!=") && ends {
                let both = vec![
                    Value::from(word.as_str()),
                    Value::from(self.marks.mark(&word)),
                ];
                let name = self.variable(Value::from(both));
                let operator = solid.get(nth - 1).and_then(|at| replaced.get_mut(*at));
                if let Some(operator) = operator {
                    *operator = Some(if before == "==" { " in " } else { " not in " }.to_owned());
                }
                set(&mut replaced, at, name);
            } else if after == "in" || (after == "not" && token(Some(nth + 2)) == "in") {
                if starts_expression(before) && !is_plain_word(&word) {
                    let name = self.variable(Value::from(self.marks.mark(&word)));
                    set(&mut replaced, at, name);
                }
            } else if inside
                && matches!(before, "[" | "," | "(")
                && matches!(after, "]" | "," | ")")
            {
                let name = self.variable(Value::from(self.marks.mark(&word)));
                set(&mut replaced, at, format!("{this}, {name}"));
            }
        }
        for (token, replaced) in tokens.iter().zip(&replaced) {
            self.out.push_str(replaced.as_deref().unwrap_or(token));
        }
    }

    fn variable(&mut self, value: Value) -> String {
        let name = format!("__word_{}", self.variables.len());
        self.variables.push((name.clone(), value));
        name
    }
}

fn set(replaced: &mut [Option<String>], at: usize, text: String) {
    if let Some(slot) = replaced.get_mut(at) {
        *slot = Some(text);
    }
}

/// Follows whether the code is inside of the list behind an `in`.
#[derive(Default)]
struct Lists {
    open: Option<usize>,
    depth: usize,
}

impl Lists {
    fn step(&mut self, before: &str, this: &str) -> bool {
        match this {
            "[" => {
                self.depth += 1;
                if before == "in" && self.open.is_none() {
                    self.open = Some(self.depth);
                }
            }
            "(" | "{" => self.depth += 1,
            "]" | ")" | "}" => {
                if self.open == Some(self.depth) {
                    self.open = None;
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
        self.open == Some(self.depth)
    }
}

/// Whether what follows this token is a whole operand.
fn starts_expression(before: &str) -> bool {
    matches!(
        before,
        "if" | "elif" | "and" | "or" | "not" | "(" | "," | "=" | "[" | "{" | "else" | "%" | "-"
    )
}

fn is_plain_word(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// What a string literal says, if the token is one without unusual escapes.
fn literal(token: &str) -> Option<String> {
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
