//! What is printed.

use serde::Serialize;

use super::figure::{Figure, rounded};
use crate::machine::Rates;
use crate::output::{Align, Table};

/// Everything that was measured.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) engine: &'static str,
    pub(super) version: &'static str,
    pub(super) model: String,
    pub(super) processor: String,
    pub(super) backend: &'static str,
    pub(super) computed_by: String,
    pub(super) isa: Option<&'static str>,
    pub(super) threads: usize,
    pub(super) new_tokens: u32,
    pub(super) runs: u32,
    pub(super) weight_bytes_per_token: usize,
    pub(super) kv_bytes_per_token: usize,
    // Loaded once, and memory has one peak.
    pub(super) load_s: Figure,
    pub(super) load_to_first_token_s: Figure,
    pub(super) peak_rss_mb: Figure,
    pub(super) lines: Vec<Line>,
    pub(super) batch: Option<Batch>,
    pub(super) sampling: Sampling,
    pub(super) idle_share_of_core: Option<f64>,
    pub(super) limits: Option<Limits>,
}

/// One length of prompt. Shares are of what the limits allow, 1 is all of it; `None` where that is not known.
#[derive(Serialize)]
pub(super) struct Line {
    pub(super) prompt_tokens: u32,
    pub(super) prefill_tok_s: Figure,
    pub(super) prefill_share: Option<Figure>,
    pub(super) ttft_s: Figure,
    pub(super) decode_tok_s: Figure,
    pub(super) decode_share: Option<Figure>,
}

/// Several sequences decoded together.
#[derive(Serialize)]
pub(super) struct Batch {
    pub(super) sequences: u32,
    pub(super) prompt_tokens: u32,
    /// Of all sequences.
    pub(super) tok_s: Figure,
    pub(super) share: Option<Figure>,
    pub(super) ratio_to_one: f64,
}

/// Choosing one token with common settings.
#[derive(Serialize)]
pub(super) struct Sampling {
    pub(super) ms: f64,
    pub(super) share_of_token: f64,
}

/// What the machine did at most, beside each run.
#[derive(Serialize)]
pub(super) struct Limits {
    pub(super) read_gb_s: Figure,
    pub(super) int8_gmac_s: Figure,
    pub(super) f32_gmac_s: Figure,
}

impl Limits {
    pub(super) fn of(rates: &[Rates]) -> Self {
        let figure =
            |rate: fn(&Rates) -> f64| Figure::of(rates.iter().map(|rates| rate(rates) / 1e9), 1);
        Self {
            read_gb_s: figure(|rates| rates.read),
            int8_gmac_s: figure(|rates| rates.int8),
            f32_gmac_s: figure(|rates| rates.f32),
        }
    }

    /// One line for people.
    pub(super) fn describe(&self) -> String {
        format!(
            "limits: memory is read at {:.1} GB/s; {:.0} G multiply-adds/s in int8, {:.0} G in f32",
            self.read_gb_s.median, self.int8_gmac_s.median, self.f32_gmac_s.median
        )
    }
}

impl Report {
    /// What was run where, for people.
    pub(super) fn heading(&self) -> String {
        format!(
            "{}: {}, {} threads, {}; new {}, runs {}",
            self.model, self.processor, self.threads, self.computed_by, self.new_tokens, self.runs
        )
    }
}

/// The figures for people.
pub(super) fn table(report: &Report) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("", Left),
        ("median", Right),
        ("min", Right),
        ("max", Right),
        ("of the limit", Right),
    ]);
    let shown = |share: Option<Figure>| {
        share.map_or("-".to_owned(), |share| {
            format!("{:.0} %", share.median * 100.0)
        })
    };
    let mut row = |name: String, figure: &Figure, digits: usize, share: Option<String>| {
        let show = |value: f64| format!("{value:.digits$}");
        table.row([
            name,
            show(figure.median),
            show(figure.min),
            show(figure.max),
            share.unwrap_or_default(),
        ]);
    };
    for line in &report.lines {
        let tokens = line.prompt_tokens;
        let name = format!("prefill {tokens}, tokens/s");
        row(
            name,
            &line.prefill_tok_s,
            1,
            Some(shown(line.prefill_share)),
        );
        row(format!("first token of {tokens}, s"), &line.ttft_s, 3, None);
        let name = format!("decode after {tokens}, tokens/s");
        row(name, &line.decode_tok_s, 1, Some(shown(line.decode_share)));
    }
    if let Some(batch) = &report.batch {
        let name = format!("{} together, tokens/s in all", batch.sequences);
        row(name, &batch.tok_s, 1, Some(shown(batch.share)));
        let name = format!("{} together, times one", batch.sequences);
        row(name, &Figure::of([batch.ratio_to_one], 2), 2, None);
    }
    row("load, s".into(), &report.load_s, 2, None);
    let first = &report.load_to_first_token_s;
    row("load to first token, s".into(), first, 2, None);
    row("peak memory, MiB".into(), &report.peak_rss_mb, 0, None);
    let sampling = &report.sampling;
    row(
        "sampling, ms".into(),
        &Figure::of([sampling.ms], 4),
        3,
        None,
    );
    let percent = Figure::of([rounded(sampling.share_of_token * 100.0, 2)], 2);
    row("sampling, % of a token".into(), &percent, 2, None);
    if let Some(share) = report.idle_share_of_core {
        row(
            "idle, % of a core".into(),
            &Figure::of([share * 100.0], 2),
            2,
            None,
        );
    }
    table
}
