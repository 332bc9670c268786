//! Secrets that only the word before them gives away: `password=..`, `"api_key": ".."`, `Authorization: Bearer ..`.

use std::ops::Range;

use super::anchors::{Anchor, Read};
use super::entropy::{bits_per_byte, is_random};
use super::text::{byte_at, byte_before, floor, run_end};
use super::urls::is_stand_in;
use super::{Confidence, Finding, FindingKind};

const fn password(text: &'static str) -> Anchor {
    Anchor {
        text,
        read: Read::With(read_password),
    }
}

const fn secret(text: &'static str) -> Anchor {
    Anchor {
        text,
        read: Read::With(read_secret),
    }
}

pub(super) const ANCHORS: &[Anchor] = &[
    password("password"),
    password("passwd"),
    password("passphrase"),
    password("passcode"),
    password("pwd"),
    password("passwort"),
    password("kennwort"),
    password("contraseña"),
    password("mot de passe"),
    password("senha"),
    password("wachtwoord"),
    password("密码"),
    password("パスワード"),
    secret("secret"),
    secret("token"),
    secret("api_key"),
    secret("api-key"),
    secret("apikey"),
    secret("api key"),
    secret("access_key"),
    secret("access-key"),
    secret("accesskey"),
    secret("access key"),
    secret("auth_key"),
    secret("authkey"),
    secret("account_key"),
    secret("private_key"),
    secret("privatekey"),
    secret("encryption_key"),
    secret("signing_key"),
    secret("master_key"),
    secret("credential"),
    secret("bearer"),
    secret("authorization"),
];

/// The longest value looked at.
const MOST: usize = 256;

fn read_password(text: &str, at: Range<usize>) -> Option<Finding> {
    let value = Value::after(text, at.end)?;
    let words = value.text(text)?;
    (is_password(words, value.quoted) && !is_stand_in(words))
        .then(|| found(FindingKind::Password, value.range))
}

fn read_secret(text: &str, at: Range<usize>) -> Option<Finding> {
    let value = Value::after(text, at.end)?;
    let words = value.text(text)?;
    if words.len() < 16 || is_code(words, value.quoted) || is_stand_in(words) || !is_random(words) {
        return None;
    }
    let lead = text
        .get(floor(text, at.start.saturating_sub(24))..at.end)?
        .to_ascii_lowercase();
    let of_amazon = words.len() == 40 && lead.contains("aws");
    let kind = if of_amazon {
        FindingKind::AwsKey
    } else {
        FindingKind::GenericSecret
    };
    Some(found(kind, value.range))
}

fn found(kind: FindingKind, range: Range<usize>) -> Finding {
    Finding {
        kind,
        range,
        confidence: Confidence::Likely,
    }
}

/// What is assigned to a word.
struct Value {
    range: Range<usize>,
    quoted: bool,
}

impl Value {
    /// The rest of the word, an assignment, and the value: `_hash" : "..`, ` is ..`, ` Basic ..`.
    fn after(text: &str, at: usize) -> Option<Self> {
        let word_end = run_end(text, at, 24, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
        });
        let mut at = run_end(text, word_end, 4, |b| {
            matches!(b, b'"' | b'\'' | b'`' | b']' | b'*' | b'\\' | b')')
        });
        let blanks = run_end(text, at, 8, |b| matches!(b, b' ' | b'\t'));
        at = operator(text, blanks, word_end)?;
        // `*` for Markdown's bold, `\` for quotes within quotes.
        at = run_end(text, at, 8, |b| {
            matches!(b, b' ' | b'\t' | b'*' | b'\\' | b'\n' | b'\r')
        });
        for scheme in ["Bearer ", "Basic ", "bearer ", "basic ", "Token ", "token "] {
            if text.get(at..)?.starts_with(scheme) {
                at += scheme.len();
            }
        }
        let quote = byte_at(text, at).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
        let start = at + usize::from(quote.is_some());
        let end = match quote {
            Some(quote) => run_end(text, start, MOST, |b| {
                b != quote && b != b'\n' && b != b'\\'
            }),
            None => run_end(text, start, MOST, goes_on),
        };
        let value = text.get(start..floor(text, end))?;
        let value = if quote.is_some() {
            value
        } else {
            value.trim_end_matches(['.', ':', '*'])
        };
        Some(Self {
            range: start..start + value.len(),
            quoted: quote.is_some(),
        })
    }

    fn text<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.get(self.range.clone())
    }
}

/// Where the value may begin after `=`, `:`, `:=`, `=>`, `is`, or the blank after `bearer`.
fn operator(text: &str, at: usize, word_end: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    for sign in [
        "=>", ":=", "==", "=", ":", "：", "is: ", "is ", "lautet ", "est ", "es ", "é ",
    ] {
        if rest.starts_with(sign) {
            // `a == b` compares, and `a::b` is a path.
            let value = rest.get(sign.len()..)?;
            return (sign != "==" && !value.starts_with(':')).then_some(at + sign.len());
        }
    }
    let word = text.get(floor(text, word_end.saturating_sub(6))..word_end)?;
    let bearer = word.eq_ignore_ascii_case("bearer") && byte_before(text, at) == Some(b' ');
    bearer.then_some(at)
}

/// Whether a value without quotes may have this in it.
fn goes_on(b: u8) -> bool {
    let end = matches!(
        b,
        b'"' | b'\'' | b'`' | b',' | b';' | b'<' | b'>' | b')' | b']' | b'}' | b'|' | b'\\' | b'&'
    );
    !end && !b.is_ascii_whitespace()
}

/// At least six characters of two sorts, one of them a digit or a sign.
fn is_password(value: &str, quoted: bool) -> bool {
    let any = |fits: fn(&u8) -> bool| value.as_bytes().iter().any(fits);
    let letters = any(u8::is_ascii_alphabetic) || !value.is_ascii();
    let sorts = [
        any(u8::is_ascii_digit),
        any(|b| b.is_ascii_punctuation() && !b"-_.".contains(b)),
    ];
    (6..=128).contains(&value.len())
        && letters
        && sorts.contains(&true)
        && !value.contains(' ')
        && bits_per_byte(value) >= 2.0
        && !is_code(value, quoted)
}

/// Whether it is an expression of a program, an address or a path, not a value.
fn is_code(value: &str, quoted: bool) -> bool {
    let call = value.contains(['(', '{', '[', '<'])
        || value.contains("::")
        || value.contains("->")
        || value.contains("://");
    // `WIN32_ERROR`
    let constant = value.contains('_')
        && value
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let path = value.starts_with(['/', '.', '~', '@', '#', '&', '-', ':']) || value.contains("${");
    // `self.settings.token2`
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let member = value.contains('.') && value.split('.').all(name);
    match quoted {
        true => path || value.contains(' '),
        false => path || call || constant || member,
    }
}
