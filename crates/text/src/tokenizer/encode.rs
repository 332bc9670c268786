//! Text to ids: what `tokenizers` does, but with a say in where added tokens may be.

use std::ops::Range;

use tokenizers::normalizer::Range as Span;
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Token,
};

use super::Inner;
use super::control::{Part, mask};
use crate::{TextError, TextErrorKind};

type Failure = tokenizers::Error;
type Split = (NormalizedString, Option<Vec<Token>>);

/// The ids of `text`, in which the bytes of `user` (in order) are text whatever they say.
pub(super) fn encode(
    inner: &Inner,
    text: &str,
    user: &[Range<usize>],
) -> Result<Vec<u32>, TextError> {
    encode_parts(inner, text, user).map_err(|error| {
        // The crate's own messages speak of the vocabulary; the longest of them are cut all the same.
        let reason: String = error.to_string().chars().take(200).collect();
        TextError::new(
            TextErrorKind::Encode,
            format!("the tokenizer cannot encode this text: {reason}"),
        )
    })
}

fn encode_parts(inner: &Inner, text: &str, user: &[Range<usize>]) -> Result<Vec<u32>, Failure> {
    let masked = mask(text, |at| contains(user, at), !user.is_empty());
    let mut parts = PreTokenizedString::from(text);
    parts.split(|_, whole| cut(&whole, &inner.control.split_plain(whole.get(), &masked)))?;
    parts.split(|_, mut part| {
        if let Some(normalizer) = inner.hf.get_normalizer() {
            normalizer.normalize(&mut part)?;
        }
        if !inner.control.has_normalized() {
            return Ok(vec![(part, None)]);
        }
        let is_user = |at: usize| comes_from(&part, at, user);
        let masked = mask(part.get(), is_user, !user.is_empty());
        let found = inner.control.split_normalized(part.get(), &masked);
        cut(&part, &found)
    })?;
    if let Some(pre_tokenizer) = inner.hf.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut parts)?;
    }
    parts.tokenize(|part| {
        let (start, end) = part.offsets_original();
        tokenize(inner, part.get(), overlap(user, start, end))
    })?;
    Ok(parts
        .into_encoding(None, 0, OffsetType::None)?
        .get_ids()
        .to_vec())
}

/// Whether the byte at `at` lies in one of the ranges.
fn contains(ranges: &[Range<usize>], at: usize) -> bool {
    let next = ranges.partition_point(|range| range.end <= at);
    ranges.get(next).is_some_and(|range| range.contains(&at))
}

/// Whether any of the ranges shares a byte with `start..end`.
fn overlap(ranges: &[Range<usize>], start: usize, end: usize) -> bool {
    let next = ranges.partition_point(|range| range.end <= start);
    ranges.get(next).is_some_and(|range| range.start < end)
}

/// Whether the normalised character at `at` was made of anything that lies in the ranges.
fn comes_from(part: &NormalizedString, at: usize, ranges: &[Range<usize>]) -> bool {
    let shift = part.offsets_original().0;
    let span = part.convert_offsets(Span::Normalized(at..at + 1));
    span.is_none_or(|span| overlap(ranges, span.start + shift, span.end + shift))
}

fn cut(text: &NormalizedString, parts: &[Part]) -> Result<Vec<Split>, Failure> {
    parts
        .iter()
        .map(|part| {
            let slice = text
                .slice(Span::Normalized(part.start..part.end))
                .ok_or("an added token inside a character")?;
            let tokens = part.id.map(|id| {
                let value = slice.get().to_owned();
                let len = value.len();
                vec![Token::new(id, value, (0, len))]
            });
            Ok((slice, tokens))
        })
        .collect()
}

/// The tokens of one word. A model may know the string of a control token as a word like any other (Unigram does);
/// such a token is spelled character by character where the word holds text of a message (`spell`).
fn tokenize(inner: &Inner, word: &str, spell: bool) -> Result<Vec<Token>, Failure> {
    let model = inner.hf.get_model();
    let tokens = model.tokenize(word)?;
    if !spell
        || !tokens
            .iter()
            .any(|token| inner.control_ids.contains(&token.id))
    {
        return Ok(tokens);
    }
    let mut spelled = Vec::new();
    for token in tokens {
        if !inner.control_ids.contains(&token.id) {
            spelled.push(token);
            continue;
        }
        for c in token.value.chars() {
            let letters = model.tokenize(c.encode_utf8(&mut [0; 4]))?;
            if letters
                .iter()
                .any(|letter| inner.control_ids.contains(&letter.id))
            {
                return Err("a character of it is a control token of this model".into());
            }
            spelled.extend(letters);
        }
    }
    Ok(spelled)
}
