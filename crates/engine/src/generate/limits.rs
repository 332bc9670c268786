//! How many tokens an answer may have, settled before anything runs.

use crate::error::EngineError;
use crate::sampling::SearchOptions;

/// Most tokens of the answer to a prompt of `prompt` tokens in a context of `context`.
pub(super) fn max_new_tokens(
    search: &SearchOptions,
    prompt: usize,
    context: usize,
) -> Result<usize, EngineError> {
    if prompt == 0 {
        return Err(EngineError::options(
            "the prompt is empty; it must have at least one token",
        ));
    }
    match search.max_new_tokens {
        Some(asked) => asked_for(search, prompt, context, asked),
        None => what_is_left(search, prompt, context),
    }
}

fn asked_for(
    search: &SearchOptions,
    prompt: usize,
    context: usize,
    asked: usize,
) -> Result<usize, EngineError> {
    let end = prompt.saturating_add(asked);
    if end > context {
        return Err(EngineError::context_overflow(end, context));
    }
    if end < search.min_length {
        return Err(EngineError::options(format!(
            "min_length is {} and the prompt's {prompt} tokens with max_new_tokens make {end}; the least cannot be \
             above the most",
            search.min_length
        )));
    }
    Ok(asked)
}

fn what_is_left(
    search: &SearchOptions,
    prompt: usize,
    context: usize,
) -> Result<usize, EngineError> {
    let least_end = prompt
        .saturating_add(search.min_new_tokens.max(1))
        .max(search.min_length);
    if least_end > context {
        return Err(EngineError::context_overflow(least_end, context));
    }
    let end = search.max_length.map_or(context, |max| max.min(context));
    if end < least_end {
        return Err(EngineError::options(format!(
            "max_length is {end} and at least {least_end} tokens are needed (the prompt has {prompt}); \
             raise it or shorten the prompt"
        )));
    }
    Ok(end - prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        prompt: usize,
        change: impl FnOnce(&mut SearchOptions),
        expected: Result<usize, &str>,
    ) {
        let mut search = SearchOptions::default();
        change(&mut search);
        let found = max_new_tokens(&search, prompt, 100).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    const ADVICE: &str = "shorten the prompt or ask for fewer new tokens";

    #[test]
    fn the_rest_of_the_context_is_the_limit_unless_another_is_given() {
        check(40, |_| {}, Ok(60));
        check(40, |s| s.max_new_tokens = Some(60), Ok(60));
        check(40, |s| s.max_new_tokens = Some(0), Ok(0));
        check(100, |s| s.max_new_tokens = Some(0), Ok(0));
        check(40, |s| s.max_length = Some(70), Ok(30));
        check(40, |s| s.max_length = Some(1000), Ok(60));
        check(
            40,
            |s| (s.max_length, s.max_new_tokens) = (Some(50), Some(20)),
            Ok(20),
        );
    }

    #[test]
    fn overflow_names_both_numbers() {
        let overflow = |needed| {
            format!("{needed} tokens are needed and the model's context holds 100; {ADVICE}")
        };
        check(100, |_| {}, Err(&overflow(101)));
        check(250, |_| {}, Err(&overflow(251)));
        check(101, |s| s.max_new_tokens = Some(0), Err(&overflow(101)));
        check(40, |s| s.max_new_tokens = Some(61), Err(&overflow(101)));
        check(250, |s| s.max_new_tokens = Some(10), Err(&overflow(260)));
        check(40, |s| s.min_new_tokens = 70, Err(&overflow(110)));
        check(40, |s| s.min_length = 120, Err(&overflow(120)));
    }

    #[test]
    fn a_maximal_length_below_what_is_needed_is_named() {
        check(
            40,
            |s| s.max_length = Some(40),
            Err(
                "max_length is 40 and at least 41 tokens are needed (the prompt has 40); \
                 raise it or shorten the prompt",
            ),
        );
        check(
            40,
            |s| (s.max_length, s.min_new_tokens) = (Some(50), 20),
            Err(
                "max_length is 50 and at least 60 tokens are needed (the prompt has 40); \
                 raise it or shorten the prompt",
            ),
        );
    }

    #[test]
    fn a_least_length_that_the_answer_cannot_reach_is_named() {
        check(
            40,
            |s| (s.min_length, s.max_new_tokens) = (60, Some(10)),
            Err(
                "min_length is 60 and the prompt's 40 tokens with max_new_tokens make 50; the least cannot be \
                 above the most",
            ),
        );
    }

    #[test]
    fn an_empty_prompt_is_refused() {
        check(
            0,
            |_| {},
            Err("the prompt is empty; it must have at least one token"),
        );
    }
}
