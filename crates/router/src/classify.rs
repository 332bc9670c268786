//! How hard a request is and whether it needs reasoning, guessed in process from its last question.
//!
//! A guess steers cost and quality only, never privacy. It is a handful of signs, each of which can be looked up here,
//! and takes microseconds; asking a model would take longer than many answers, and would show it the prompt.

use inhouse_chat::{Block, ChatRequest, Complexity, Role};

/// Words that ask for an argument rather than an answer.
const REASONING: &[&str] = &[
    "prove",
    "proof",
    "derive",
    "deduce",
    "infer",
    "step by step",
    "reason through",
    "think through",
    "theorem",
    "lemma",
    "integral",
    "differential equation",
    "probability that",
    "how many ways",
    "optimal",
    "optimize",
    "optimise",
    "puzzle",
    "riddle",
    "logic",
    "contradiction",
    "trade-off",
    "tradeoff",
    "root cause",
    "time complexity",
    "big-o",
    "solve",
    "calculate",
    "beweise",
    "beweis",
    "leite her",
    "démontre",
    "demuestra",
    "dimostra",
];

/// Words of work that takes several steps or much knowledge.
const HARD: &[&str] = &[
    "refactor",
    "architecture",
    "architect",
    "design a",
    "implement",
    "debug",
    "migrate",
    "race condition",
    "deadlock",
    "concurrency",
    "distributed",
    "security review",
    "audit",
    "benchmark",
    "analyse",
    "analyze",
    "compare",
    "evaluate",
    "strategy",
    "whole codebase",
    "entire codebase",
    "end to end",
    "end-to-end",
    "specification",
    "research",
    "review",
    "plan for",
    "write a paper",
    "in depth",
    "in-depth",
    "comprehensive",
];

/// Words of work that any model can do.
const EASY: &[&str] = &[
    "translate",
    "summarize",
    "summarise",
    "fix the typo",
    "spell",
    "rephrase",
    "rewrite this",
    "what is the capital",
    "define",
    "convert",
    "format",
    "list",
    "hello",
    "thanks",
    "yes or no",
];

/// How hard the last question looks.
pub(crate) fn complexity(request: &ChatRequest, prompt_tokens: u64) -> Complexity {
    let question = last_question(request);
    let mut score = 0i32;
    score += count(&question, HARD).min(3) * 2;
    score += count(&question, REASONING).min(2) * 2;
    score -= count(&question, EASY).min(2);
    score += i32::from(question.contains("```")) * 2;
    score += i32::from(question.len() > 600) + i32::from(question.len() > 3000);
    score += i32::from(prompt_tokens > 8_000) + i32::from(prompt_tokens > 40_000);
    score += i32::from(request.tools.len() > 5);
    match score {
        ..=0 if question.len() <= 280 => Complexity::Low,
        ..=3 => Complexity::Medium,
        _ => Complexity::High,
    }
}

/// Whether the last question looks like one that needs reasoning.
pub(crate) fn reasoning(request: &ChatRequest) -> bool {
    count(&last_question(request), REASONING) > 0
}

/// Signs are near the beginning or the end of what is asked, not in what is pasted between.
const ENDS: usize = 2_000;

fn last_question(request: &ChatRequest) -> String {
    let users = request.messages.iter().rev();
    let last = users
        .filter(|message| message.role == Role::User)
        .find_map(|message| {
            let text: Vec<_> = message.content.iter().filter_map(Block::as_text).collect();
            (!text.is_empty()).then_some(text)
        });
    let mut question = String::new();
    for text in last.unwrap_or_default() {
        let text = text.as_str();
        let head = boundary(text, ENDS);
        let tail = boundary(text, text.len().saturating_sub(ENDS)).max(head);
        for part in [&text[..head], &text[tail..]] {
            question.push_str(&part.to_lowercase());
            question.push(' ');
        }
    }
    question
}

/// The first place from `at` on where a character begins, or the end.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}

/// How many of the signs are there, as whole words.
fn count(question: &str, signs: &[&str]) -> i32 {
    let there = signs.iter().filter(|sign| has_word(question, sign)).count();
    i32::try_from(there).unwrap_or(i32::MAX)
}

fn has_word(text: &str, word: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        edge(text[..at].chars().next_back()) && edge(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::Message;

    fn asked(text: &str) -> ChatRequest {
        ChatRequest::new(
            "m",
            [Message::system("You prove theorems."), Message::user(text)],
        )
    }

    #[test]
    fn questions_are_as_hard_as_they_look() {
        let check = |text: &str, hard| {
            let request = asked(text);
            assert_eq!(
                complexity(&request, text.len() as u64 / 4),
                hard,
                "{text:.60}"
            );
        };
        check("What is the capital of France?", Complexity::Low);
        check("Translate 'good morning' to Italian", Complexity::Low);
        check("hello", Complexity::Low);
        check(
            "Explain how a vaccine works, and why two doses are given.",
            Complexity::Low,
        );
        check("Implement a binary search in Rust.", Complexity::Medium);
        check(&"word ".repeat(300), Complexity::Medium);
        check(
            "Refactor this service: find the race condition, debug the deadlock and design a migration",
            Complexity::High,
        );
        check(
            "Prove the theorem, then derive the optimal bound and compare both",
            Complexity::High,
        );
    }

    #[test]
    fn arguments_need_reasoning() {
        let check = |text: &str, needed| assert_eq!(reasoning(&asked(text)), needed, "{text}");
        check("Prove that there are infinitely many primes.", true);
        check("What is the time complexity of quicksort?", true);
        check("Who wrote Faust?", false);
        check("Improve this sentence.", false); // "improve" is not "prove"
    }

    #[test]
    fn any_text_has_an_answer() {
        for text in ["", "é", "日本語".repeat(2_000).as_str(), "\u{0}\u{1F600}"] {
            let _ = (complexity(&asked(text), 0), reasoning(&asked(text)));
        }
    }
}
