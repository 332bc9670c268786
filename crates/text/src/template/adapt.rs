//! A template made ready for texts in stand-ins.

use minijinja::Value;

use super::marks::Marks;
use super::source::{Block, blocks, literal, tokens};

/// A template whose own words can be compared with texts in stand-ins.
pub(super) struct Adapted {
    pub(super) source: String,
    /// The variables that it now needs.
    pub(super) variables: Vec<(String, Value)>,
}

/// The test that [`adapt`] puts for `in`.
pub(super) const CONTAINED: &str = "__contained";

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

struct Adapter<'a> {
    marks: &'a Marks,
    out: String,
    variables: Vec<(String, Value)>,
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
