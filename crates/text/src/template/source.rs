//! The text of a template before it is compiled.

use std::collections::HashSet;

use minijinja::Value;

use super::marks::Marks;

/// A template whose own words can be compared with texts in stand-ins.
pub(super) struct Adapted {
    pub(super) source: String,
    /// The variables that it now needs.
    pub(super) variables: Vec<(String, Value)>,
}

/// The test that [`adapt`] puts for `in`.
pub(super) const CONTAINED: &str = "__contained";

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

/// Rewrites the places where a template compares a word of its own with what may be a text in stand-ins:
///
/// - `== 'word'` and `!= 'word'` become a look into a list of the word and its stand-ins;
/// - `in` becomes the test [`CONTAINED`], which sees through stand-ins, wherever its two sides are easily told.
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
            .filter(|at| {
                tokens
                    .get(*at)
                    .is_some_and(|token| !token.trim().is_empty())
            })
            .collect();
        let words = Words(
            solid
                .iter()
                .filter_map(|at| tokens.get(*at).copied())
                .collect(),
        );
        let mut replaced: Vec<Option<String>> = vec![None; tokens.len()];
        let mut replace = |nth: usize, text: String| {
            if let Some(slot) = solid.get(nth).and_then(|at| replaced.get_mut(*at)) {
                *slot = Some(text);
            }
        };
        let loop_in = words.loop_in();
        for nth in 1..words.0.len() {
            match words.at(nth) {
                "==" | "!=" if words.is_last_operand(nth + 1) => {
                    let Some(word) = literal(words.at(nth + 1)) else {
                        continue;
                    };
                    let both = vec![
                        Value::from(word.as_str()),
                        Value::from(self.marks.mark(&word)),
                    ];
                    replace(
                        nth,
                        if words.at(nth) == "==" {
                            " in "
                        } else {
                            " not in "
                        }
                        .to_owned(),
                    );
                    replace(nth + 1, self.variable(Value::from(both)));
                }
                "in" if Some(nth) != loop_in => {
                    let negated = words.at(nth - 1) == "not";
                    let left = nth - usize::from(negated);
                    if words.starts_chain_before(left) && words.chain_ends(nth + 1) {
                        if negated {
                            replace(left, "is not".to_owned());
                            replace(nth, CONTAINED.to_owned());
                        } else {
                            replace(nth, format!("is {CONTAINED}"));
                        }
                    }
                }
                _ => {}
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

/// The tokens of a piece of code without the white space.
struct Words<'a>(Vec<&'a str>);

impl Words<'_> {
    fn at(&self, nth: usize) -> &str {
        self.0.get(nth).copied().unwrap_or("")
    }

    /// The `in` that belongs to a `for` tag.
    fn loop_in(&self) -> Option<usize> {
        let start =
            (0..self.0.len()).find(|nth| !matches!(self.at(*nth), "{" | "%" | "-" | "+"))?;
        (self.at(start) == "for")
            .then(|| (start..self.0.len()).find(|nth| self.at(*nth) == "in"))?
    }

    /// Whether the operand at `nth`, a single token, is the whole operand.
    fn is_last_operand(&self, nth: usize) -> bool {
        self.ends_operand(nth + 1)
    }

    /// Whether the token at `nth` cannot belong to the operand before it.
    fn ends_operand(&self, nth: usize) -> bool {
        match self.at(nth) {
            "-" | "+" => matches!(self.at(nth + 1), "%" | "}"),
            "%" => self.at(nth + 1) == "}",
            token => matches!(
                token,
                "" | "}" | ")" | "]" | "," | ":" | "and" | "or" | "if" | "else" | "recursive"
            ),
        }
    }

    /// Whether a name or literal with its attributes, items, calls and filters begins at `nth` and is a whole operand.
    fn chain_ends(&self, nth: usize) -> bool {
        let mut at = match self.at(nth) {
            "(" | "[" => self.closing(nth) + 1,
            "not" | "-" | "{" | "" => return false,
            _ => nth + 1,
        };
        loop {
            match self.at(at) {
                "." => at += 2,
                "(" | "[" => at = self.closing(at) + 1,
                _ => return self.ends_operand(at),
            }
        }
    }

    /// Whether what ends before `nth` is a name or literal with its attributes and so on, and a whole operand.
    fn starts_chain_before(&self, nth: usize) -> bool {
        let mut at = nth;
        loop {
            // Over brackets to what they belong to, then over the name.
            while at > 0 && matches!(self.at(at - 1), ")" | "]") {
                at = self.opening(at - 1);
            }
            let name = at > 0
                && self
                    .at(at - 1)
                    .starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '\'' | '"'));
            if name && !KEYWORDS.contains(&self.at(at - 1)) {
                at -= 1;
            }
            if at == nth {
                return false;
            }
            match at.checked_sub(1).map(|before| self.at(before)) {
                Some("." | "|") => at -= 1,
                Some("-") => return at >= 2 && matches!(self.at(at - 2), "%" | "{"),
                Some(before) => {
                    return matches!(before, "{" | "(" | "[" | "," | "=" | ":")
                        || KEYWORDS.contains(&before) && before != "is";
                }
                None => return false,
            }
        }
    }

    fn closing(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for nth in open..self.0.len() {
            match self.at(nth) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return nth;
            }
        }
        self.0.len()
    }

    fn opening(&self, close: usize) -> usize {
        let mut depth = 0usize;
        for nth in (0..=close).rev() {
            match self.at(nth) {
                ")" | "]" | "}" => depth += 1,
                "(" | "[" | "{" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return nth;
            }
        }
        0
    }
}

/// Words that are no names.
const KEYWORDS: [&str; 9] = ["if", "elif", "else", "and", "or", "not", "in", "is", "set"];

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
