//! The loop on a scripted session: no model, exact times.

mod fake;

use std::ops::ControlFlow;
use std::time::Duration;

use self::fake::{END, FakeWords, PROMPT, Scripted};
use super::*;
use crate::cancel::Cancel;
use crate::error::{EngineError, ErrorKind};
use crate::sampling::SearchOptions;
use crate::session::{Logits, Session, Want};

fn options(change: impl FnOnce(&mut GenerateOptions)) -> GenerateOptions {
    let mut options = GenerateOptions {
        stop_tokens: vec![END],
        ..GenerateOptions::default()
    };
    change(&mut options);
    options
}

fn start<'a>(
    session: &'a mut Scripted,
    options: &GenerateOptions,
) -> Result<Generation<'a>, EngineError> {
    let clock = session.clock.clone();
    Ok(
        Generation::new(session, &PROMPT, options, Box::new(FakeWords::default()))?
            .with_clock(clock),
    )
}

/// The pieces of text, and how it ended.
fn pieces(generation: Generation<'_>) -> (Vec<String>, Finish) {
    let (mut pieces, mut end) = (Vec::new(), None);
    for event in generation {
        match event.unwrap() {
            Event::Text(text) => pieces.push(text),
            Event::Token { .. } => assert!(end.is_none()),
            Event::Done(finish) => assert!(end.replace(finish).is_none(), "it ends once"),
        }
    }
    (pieces, end.expect("a generation tells how it ended"))
}

/// Runs a scripted answer and holds pieces, reason and the number of tokens against what is expected.
fn check(
    answer: &[u32],
    change: impl FnOnce(&mut GenerateOptions),
    expected: &[&str],
    reason: FinishReason,
    n_tokens: usize,
) {
    let mut session = Scripted::new(answer);
    let (pieces, finish) = pieces(start(&mut session, &options(change)).unwrap());
    assert_eq!(pieces, expected);
    assert_eq!(finish.reason, reason);
    assert_eq!(finish.usage.completion_tokens, n_tokens);
    let fed = if n_tokens == 0 {
        0
    } else {
        PROMPT.len() + n_tokens - 1
    };
    assert_eq!(session.len(), fed, "the last token is not fed");
}

// === Ends ===

#[test]
fn a_stop_token_ends_the_answer_unprinted() {
    check(
        &[1, 2, END, 3],
        |_| {},
        &["one ", "two "],
        FinishReason::StopToken(END),
        3,
    );
    check(&[END], |_| {}, &[], FinishReason::StopToken(END), 1);
}

#[test]
fn any_of_several_stop_tokens_ends_the_answer() {
    check(
        &[1, 7, 2],
        |o| o.stop_tokens = vec![END, 7],
        &["one "],
        FinishReason::StopToken(7),
        2,
    );
}

#[test]
fn without_stop_tokens_the_length_ends_the_answer() {
    check(
        &[1, END, 2],
        |o| (o.stop_tokens, o.search.max_new_tokens) = (vec![], Some(3)),
        &["one ", "two "],
        FinishReason::Length,
        3,
    );
}

#[test]
fn the_length_asked_for_ends_the_answer() {
    check(
        &[1, 2, 3, 1],
        |o| o.search.max_new_tokens = Some(2),
        &["one ", "two "],
        FinishReason::Length,
        2,
    );
    check(
        &[1, END],
        |o| o.search.max_new_tokens = Some(2),
        &["one "],
        FinishReason::StopToken(END),
        2,
    );
    check(
        &[1, 2],
        |o| o.search.max_length = Some(4),
        &["one "],
        FinishReason::Length,
        1,
    );
}

#[test]
fn no_tokens_asked_for_runs_nothing() {
    check(
        &[1, 2],
        |o| o.search.max_new_tokens = Some(0),
        &[],
        FinishReason::Length,
        0,
    );
}

#[test]
fn the_context_ends_the_answer_where_nothing_else_does() {
    let mut session = Scripted {
        context_length: 6,
        ..Scripted::new(&[1, 1, 1, 1, 1, 1])
    };
    let (pieces, finish) = pieces(start(&mut session, &options(|_| {})).unwrap());
    assert_eq!((pieces.len(), finish.reason), (3, FinishReason::Length));
}

// === Stop strings and halves of characters ===

#[test]
fn a_stop_string_over_two_tokens_is_not_printed() {
    let stop = |o: &mut GenerateOptions| o.stop_strings = vec!["<stop>".to_owned()];
    check(
        &[1, 4, 5, 2],
        stop,
        &["one "],
        FinishReason::StopString(0),
        3,
    );
    check(
        &[1, 6, 7, END],
        stop,
        &["one ", "<str", "ong>"],
        FinishReason::StopToken(END),
        4,
    );
    check(
        &[1, 4, 4, 5, 2],
        stop,
        &["one ", "<st"],
        FinishReason::StopString(0),
        4,
    );
}

#[test]
fn text_held_back_is_released_at_every_end() {
    let stop = |o: &mut GenerateOptions| o.stop_strings = vec!["<stop>".to_owned()];
    check(
        &[1, 4, END],
        stop,
        &["one ", "<st"],
        FinishReason::StopToken(END),
        3,
    );
    check(
        &[1, 4, 5],
        |o| {
            stop(o);
            o.search.max_new_tokens = Some(2);
        },
        &["one ", "<st"],
        FinishReason::Length,
        2,
    );
}

#[test]
fn a_stop_string_that_only_the_end_makes_certain_counts() {
    let stops =
        |o: &mut GenerateOptions| o.stop_strings = vec!["<strong>!".to_owned(), "str".to_owned()];
    check(
        &[1, 6, END],
        stops,
        &["one ", "<"],
        FinishReason::StopString(1),
        3,
    );
}

#[test]
fn halves_of_a_character_are_printed_together() {
    check(
        &[8, 9, END],
        |_| {},
        &["é"],
        FinishReason::StopToken(END),
        3,
    );
    check(
        &[1, 8, END],
        |_| {},
        &["one ", "\u{fffd}"],
        FinishReason::StopToken(END),
        3,
    );
    check(
        &[8, 9, 1],
        |o| o.stop_strings = vec!["éone".to_owned()],
        &[],
        FinishReason::StopString(0),
        3,
    );
}

// === Least lengths ===

#[test]
fn stop_tokens_wait_for_the_least_length() {
    // Where the end is forbidden, the likeliest of the others is token 1.
    check(
        &[2, END, END],
        |o| o.search.min_new_tokens = 2,
        &["two ", "one "],
        FinishReason::StopToken(END),
        3,
    );
    check(
        &[2, END, END],
        |o| o.search.min_length = 5,
        &["two ", "one "],
        FinishReason::StopToken(END),
        3,
    );
}

#[test]
fn stop_strings_are_ignored_below_the_least_length() {
    let both = |o: &mut GenerateOptions| {
        o.stop_strings = vec!["two".to_owned()];
        o.search.min_new_tokens = 2;
    };
    check(
        &[2, 1, 2, 3],
        both,
        &["two ", "one "],
        FinishReason::StopString(0),
        3,
    );
}

// === Cancelling ===

fn check_cancel(at: usize, notices: bool, expected: &[&str], n_tokens: usize) {
    let cancel = Cancel::new();
    let mut session = Scripted {
        cancel_at: Some((at, cancel.clone())),
        notices,
        ..Scripted::new(&[1, 4, 3, 2, 1, 2, 3])
    };
    let stop = options(|o| o.stop_strings = vec!["<stop>".to_owned()]);
    let (pieces, finish) = pieces(start(&mut session, &stop).unwrap().with_cancel(cancel));
    assert_eq!(pieces, expected);
    assert_eq!(finish.reason, FinishReason::Cancelled);
    assert_eq!(finish.usage.completion_tokens, n_tokens);
    assert_eq!(
        session.len(),
        at,
        "nothing runs after the forward in which the flag was set"
    );
}

#[test]
fn cancelling_stops_within_the_token() {
    for notices in [false, true] {
        check_cancel(PROMPT.len(), notices, &[], 0);
        check_cancel(PROMPT.len() + 1, notices, &["one "], 1);
        check_cancel(PROMPT.len() + 2, notices, &["one ", "<st"], 2);
        check_cancel(PROMPT.len() + 4, notices, &["one ", "<stthree ", "two "], 4);
    }
}

#[test]
fn cancelling_between_tokens_or_before_the_start_runs_nothing_more() {
    let cancel = Cancel::new();
    let mut session = Scripted::new(&[1, 2, 3]);
    let mut generation = start(&mut session, &options(|_| {}))
        .unwrap()
        .with_cancel(cancel.clone());
    assert!(matches!(
        generation.next(),
        Some(Ok(Event::Token { id: 1, .. }))
    ));
    cancel.cancel();
    let (pieces, finish) = pieces(generation);
    assert_eq!(
        (pieces, finish.reason),
        (vec!["one ".to_owned()], FinishReason::Cancelled)
    );
    assert_eq!(session.len(), PROMPT.len());

    let mut session = Scripted::new(&[1]);
    let generation = start(&mut session, &options(|_| {}))
        .unwrap()
        .with_cancel(cancel);
    assert_eq!(self::pieces(generation).1.reason, FinishReason::Cancelled);
    assert!(session.is_empty());
}

#[test]
fn a_callback_that_breaks_hears_nothing_more() {
    let mut session = Scripted::new(&[1, 2, 3, 1]);
    let mut generation = start(&mut session, &options(|_| {})).unwrap();
    let mut printed = String::new();
    let finish = generation.run(|event| match event {
        Event::Text(text) => {
            printed += &text;
            if text == "two " {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(finish.unwrap().reason, FinishReason::Cancelled);
    let error = generation.run(|_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the generation has already ended; start another"
    );
    assert_eq!(printed, "one two ");
    assert_eq!(session.len(), PROMPT.len() + 1);
}

// === Errors before anything runs ===

fn check_refused(
    session: &mut Scripted,
    change: impl FnOnce(&mut GenerateOptions),
    kind: ErrorKind,
    message: &str,
) {
    let before = session.len();
    let error = start(session, &options(change))
        .err()
        .expect("it is refused");
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    assert_eq!(session.len(), before);
}

#[test]
fn more_than_the_context_holds_is_refused_with_both_numbers() {
    check_refused(
        &mut Scripted {
            context_length: 10,
            ..Scripted::new(&[1])
        },
        |o| o.search.max_new_tokens = Some(8),
        ErrorKind::ContextOverflow {
            needed: 11,
            limit: 10,
        },
        "11 tokens are needed and the model's context holds 10; \
         shorten the prompt or ask for fewer new tokens",
    );
    check_refused(
        &mut Scripted {
            context_length: 3,
            ..Scripted::new(&[1])
        },
        |_| {},
        ErrorKind::ContextOverflow {
            needed: 4,
            limit: 3,
        },
        "4 tokens are needed and the model's context holds 3; \
         shorten the prompt or ask for fewer new tokens",
    );
}

#[test]
fn bad_options_are_refused() {
    let session = &mut Scripted::new(&[1]);
    let kind = ErrorKind::Options;
    check_refused(
        session,
        |o| o.search.top_p = 2.0,
        kind,
        "top_p is 2; it must be between 0 and 1",
    );
    check_refused(
        session,
        |o| o.stop_strings = vec![String::new()],
        kind,
        "a stop string is empty; it must have at least one character",
    );
    check_refused(
        session,
        |o| o.logprobs = Some(21),
        kind,
        "21 top log-probabilities are asked for; it must be between 0 and 20",
    );
    session.fed = PROMPT.to_vec();
    check_refused(
        session,
        |_| {},
        kind,
        "the session holds 3 tokens and the prompt has 3; at least its last one must be left to run",
    );
}

#[test]
fn an_error_of_the_model_ends_the_generation() {
    struct Broken;
    impl Session for Broken {
        fn vocab_size(&self) -> usize {
            2
        }
        fn context_length(&self) -> usize {
            8
        }
        fn ids(&self) -> &[u32] {
            &[]
        }
        fn truncate(&mut self, _: usize) {}
        fn extend(&mut self, _: &[u32], _: Want, _: &Cancel) -> Result<Logits, EngineError> {
            Ok(Logits {
                rows: 1,
                vocab: 2,
                data: vec![f32::NAN; 2],
            })
        }
    }
    let mut session = Broken;
    let text = Box::new(FakeWords::default());
    let mut generation =
        Generation::new(&mut session, &[1], &GenerateOptions::default(), text).unwrap();
    assert_eq!(
        generation.next().unwrap().unwrap_err().kind(),
        ErrorKind::Load
    );
    assert!(generation.next().is_none());
}

// === Accounting ===

#[test]
fn usage_and_times_are_exact() {
    let mut session = Scripted {
        fed: vec![10],
        ..Scripted::new(&[1, 2, 3, END])
    };
    let clock = session.clock.clone();
    let mut events = Vec::new();
    let mut generation = start(&mut session, &options(|_| {})).unwrap();
    let finish = generation.run(|event| {
        // What the caller does in between does not count.
        clock.add(1000);
        events.push(event);
        ControlFlow::Continue(())
    });
    let millis = Duration::from_millis;
    let expected = Finish {
        reason: FinishReason::StopToken(END),
        usage: Usage {
            prompt_tokens: 3,
            cached_tokens: 1,
            completion_tokens: 4,
        },
        timings: Timings {
            prefill_tokens: 2,
            prefill: millis(20),
            time_to_first_token: millis(20),
            decode_tokens: 3,
            decode: millis(30),
        },
        seed: None,
    };
    assert_eq!(finish.unwrap(), expected);
    assert_eq!(expected.timings.prefill_tokens_per_second(), Some(100.0));
    assert_eq!(expected.timings.decode_tokens_per_second(), Some(100.0));
    assert_eq!(Timings::default().decode_tokens_per_second(), None);
    assert_eq!(events.len(), 6, "three tokens and their texts");
    assert_eq!(generation.tokens(), [10, 10, 10, 1, 2, 3, END]);
    assert_eq!(session.fed, [10, 10, 10, 1, 2, 3]);
}

#[test]
fn tokens_come_with_logprobs_where_asked_for() {
    let mut session = Scripted::new(&[2, END]);
    let events: Vec<Event> = start(&mut session, &options(|o| o.logprobs = Some(2)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let Event::Token {
        id: 2,
        logprobs: Some(logprobs),
    } = &events[0]
    else {
        panic!("{events:?}")
    };
    assert!(logprobs.logprob > -1e-6 && logprobs.logprob <= 0.0);
    assert_eq!(
        logprobs.top.iter().map(|top| top.id).collect::<Vec<_>>(),
        [2, 0]
    );
    assert!((logprobs.top[1].logprob + 20.0).abs() < 1e-4);
}

#[test]
fn debug_output_hides_the_text() {
    assert_eq!(
        format!("{:?}", Event::Text("secret".to_owned())),
        "Text(6 bytes)"
    );
    assert_eq!(
        format!(
            "{:?}",
            Event::Token {
                id: 5,
                logprobs: None
            }
        ),
        "Token(..)"
    );
}

#[test]
fn a_seed_repeats_the_answer_and_is_reported() {
    let run = |seed| {
        let search = SearchOptions {
            do_sample: true,
            temperature: 12.0,
            max_new_tokens: Some(30),
            seed,
            ..SearchOptions::default()
        };
        let mut session = Scripted::new(&[]);
        pieces(
            start(
                &mut session,
                &GenerateOptions {
                    search,
                    ..GenerateOptions::default()
                },
            )
            .unwrap(),
        )
    };
    let (first, finish) = run(None);
    assert!(finish.seed.is_some());
    assert_eq!(run(finish.seed).0, first);
    assert_ne!(run(Some(1)).0, run(Some(2)).0);
}
