//! What is printed.

use serde::Serialize;

use super::figure::{Figure, rounded};
use crate::commands::Context;
use crate::commands::computed::Computed;
use crate::machine::Rates;
use crate::output::{Align, Table};

/// Everything that was measured.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) engine: &'static str,
    pub(super) version: &'static str,
    pub(super) model: String,
    pub(super) processor: String,
    #[serde(flatten)]
    pub(super) computed: Computed,
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

/// The figures for people: one backend's with their spread, or two backends' side by side.
pub(super) fn show(reports: &[Report], context: &Context) -> anyhow::Result<()> {
    for report in reports {
        context.out.line(report.heading())?;
    }
    match reports {
        [one] => context.out.table(&alone(one))?,
        reports => context.out.table(&side_by_side(reports))?,
    }
    if let Some(limits) = reports.iter().find_map(|report| report.limits.as_ref()) {
        context.out.line(limits.describe())?;
    }
    Ok(())
}

/// A figure as it is shown.
struct Row {
    name: String,
    figure: Figure,
    digits: usize,
    /// Of the limit, for figures that have one.
    share: Option<Option<Figure>>,
}

impl Row {
    fn new(name: impl Into<String>, figure: Figure, digits: usize) -> Self {
        Self {
            name: name.into(),
            figure,
            digits,
            share: None,
        }
    }

    fn of_limit(self, share: Option<Figure>) -> Self {
        Self {
            share: Some(share),
            ..self
        }
    }

    fn show(&self, value: f64) -> String {
        let digits = self.digits;
        match value.is_nan() {
            true => "-".to_owned(),
            false => format!("{value:.digits$}"),
        }
    }
}

impl Report {
    /// What was run where.
    fn heading(&self) -> String {
        let by = &self.computed.computed_by;
        format!(
            "{}: {}, {} threads, {by}; new {}, runs {}",
            self.model, self.processor, self.threads, self.new_tokens, self.runs
        )
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for line in &self.lines {
            let tokens = line.prompt_tokens;
            let prefill = Row::new(format!("prefill {tokens}, tokens/s"), line.prefill_tok_s, 1);
            let decode = Row::new(
                format!("decode after {tokens}, tokens/s"),
                line.decode_tok_s,
                1,
            );
            rows.push(prefill.of_limit(line.prefill_share));
            rows.push(Row::new(
                format!("first token of {tokens}, s"),
                line.ttft_s,
                3,
            ));
            rows.push(decode.of_limit(line.decode_share));
        }
        if let Some(batch) = &self.batch {
            let name = |what: &str| format!("{} together, {what}", batch.sequences);
            let row = Row::new(name("tokens/s in all"), batch.tok_s, 1);
            rows.push(row.of_limit(batch.share));
            let ratio = Figure::of([batch.ratio_to_one], 2);
            rows.push(Row::new(name("times one"), ratio, 2));
        }
        rows.push(Row::new("load, s", self.load_s, 2));
        let first = self.load_to_first_token_s;
        rows.push(Row::new("load to first token, s", first, 2));
        rows.push(Row::new("peak memory, MiB", self.peak_rss_mb, 0));
        let sampling = Figure::of([self.sampling.ms], 4);
        rows.push(Row::new("sampling, ms", sampling, 3));
        let percent = Figure::of([rounded(self.sampling.share_of_token * 100.0, 2)], 2);
        rows.push(Row::new("sampling, % of a token", percent, 2));
        if let Some(share) = self.idle_share_of_core {
            let percent = Figure::of([share * 100.0], 2);
            rows.push(Row::new("idle, % of a core", percent, 2));
        }
        rows
    }
}

/// One backend, with the spread of its runs and shares of the limits.
fn alone(report: &Report) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("", Left),
        ("median", Right),
        ("min", Right),
        ("max", Right),
        ("of the limit", Right),
    ]);
    for row in report.rows() {
        let Figure { median, min, max } = row.figure;
        let [median, min, max] = [median, min, max].map(|value| row.show(value));
        let share = match row.share {
            None => String::new(),
            Some(None) => "-".to_owned(),
            Some(Some(share)) => format!("{:.0} %", share.median * 100.0),
        };
        table.row([row.name, median, min, max, share]);
    }
    table
}

/// Medians of each backend, and the first's over the last's.
fn side_by_side(reports: &[Report]) -> Table {
    let names: Vec<&str> = reports
        .iter()
        .map(|report| report.computed.backend)
        .collect();
    let ratio = names.join(" / ");
    let columns = names.iter().copied().chain([ratio.as_str()]);
    let columns = columns.map(|name| (name, Align::Right));
    let heading: Vec<_> = [("", Align::Left)].into_iter().chain(columns).collect();
    let mut table = Table::new(&heading);
    let rows: Vec<Vec<Row>> = reports.iter().map(Report::rows).collect();
    let [first, .., last] = rows.as_slice() else {
        return table;
    };
    for (index, row) in first.iter().enumerate() {
        let medians = rows.iter().filter_map(|rows| rows.get(index));
        let mut entries = vec![row.name.clone()];
        entries.extend(medians.map(|row| row.show(row.figure.median)));
        let ratio = last
            .get(index)
            .map(|last| row.figure.median / last.figure.median);
        let ratio = ratio.filter(|ratio| ratio.is_finite());
        entries.push(ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
        table.row(entries);
    }
    table
}
