//! How fast the detector reads: prose, a conversation with code and JSON, tables of numbers, and text made to be slow.
//!
//! `cargo run --release -p inhouse-policy --example detect`

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use inhouse_policy::Detector;

const SIZE: usize = 60_000;

fn main() -> std::io::Result<()> {
    let detector = Detector::default();
    let mut out = std::io::stdout();
    writeln!(out, "{SIZE} bytes each, best of many runs")?;
    for (name, piece) in TEXTS {
        let text: String = piece.chars().cycle().take(SIZE).collect();
        let found = detector.scan_text(&text).len();
        let speed =
            text.len() as f64 / best(|| detector.scan_text(black_box(&text))).as_secs_f64() / 1e6;
        writeln!(out, "{name:<28} {speed:>7.0} MB/s, {found} found")?;
    }
    Ok(())
}

fn best<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut best = Duration::MAX;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        let one = Instant::now();
        black_box(run());
        best = best.min(one.elapsed());
    }
    best
}

const TEXTS: &[(&str, &str)] = &[
    (
        "prose",
        "When the committee met again in the spring, nobody remembered who had first proposed the bridge. The river had \
         risen twice since then, and the ferry, which most of the village still preferred, had been repaired with timber \
         from the old mill. It was agreed, after a long silence, to write to the county and to wait for an answer. ",
    ),
    (
        "code, JSON and logs",
        "{\"tool\":\"read_file\",\"path\":\"src/main.rs\",\"lines\":[120,164],\"hash\":\"da39a3ee5e6b4b0d3255bfef9560\"}\n\
         2026-11-22T13:52:49.123Z INFO served 200 in 12.5 ms from 10.0.0.7 max_tokens=4096\n\
         fn parse(token: &str) -> Result<u64, Error> { token.trim().parse().map_err(|e| Error::new(e, 42)) }\n",
    ),
    (
        "table of numbers",
        "10293847,4.25,2026-01-31,99812,17.5\n556677,12.75,2026-02-01,100233,18.25\n",
    ),
    (
        "personal data throughout",
        "Jane, jane@example.org, +1 415 555 2671, 4111 1111 1111 1111, SSN 219-09-9999; ",
    ),
    ("hostile: digits", "1"),
    ("hostile: valid, unnamed", "111222333 "),
    ("hostile: near a phone", "phone 5551234 "),
    ("hostile: signs of mail", "@"),
    ("hostile: local parts", "a.b@"),
    ("hostile: key beginnings", "-----BEGIN PRIVATE KEY-----"),
    (
        "hostile: keys",
        "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkq",
    ),
    ("hostile: signed tokens", "eyJ.eyJ."),
    ("hostile: words of secrets", "password="),
    ("hostile: addresses", "a://b:c"),
];
