//! What is printed.

use serde::Serialize;

use super::difference::{Difference, deviation};
use super::prompts::{Prompt, Prompts};
use super::side::{Course, Side};
use crate::commands::Context;
use crate::output::{Align, Table, count, plain};
use crate::terminal::Style;

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) exact: bool,
    reference: &'static str,
    native: Side,
    onnxruntime: Side,
    prompts: Vec<Line>,
    #[serde(flatten)]
    all: Agreement,
    max_rms: Option<f64>,
    /// Whether the difference is within the bound, where there is one.
    pub(super) within: bool,
    #[serde(skip)]
    difference: Difference,
}

/// How far two backends agree.
#[derive(Serialize)]
struct Agreement {
    positions: usize,
    /// Positions at which both would take the same token.
    agreed: usize,
    rms_sd: f64,
    worst_sd: f64,
    kl_divergence: f64,
}

/// One prompt.
#[derive(Serialize)]
struct Line {
    /// `None` where it is random tokens.
    text: Option<String>,
    prompt_tokens: usize,
    #[serde(flatten)]
    agreement: Agreement,
    first_difference: Option<Parting>,
}

/// The first position at which they would go different ways.
#[derive(Serialize)]
struct Parting {
    /// 0 is the token right behind the prompt.
    position: usize,
    reference: Token,
    other: Token,
    /// How much likelier the reference finds its own token, in standard deviations of its logits: little, and it is a
    /// matter of rounding.
    gap_sd: f64,
}

#[derive(Serialize)]
struct Token {
    id: u32,
    text: Option<String>,
}

impl Report {
    /// # Errors
    /// The backends give rows of different lengths, so they do not compute the same model.
    pub(super) fn new(
        [native, onnxruntime]: [Side; 2],
        prompts: &Prompts,
        reference: &[Course],
        other: &[Course],
    ) -> anyhow::Result<Self> {
        let mut all = Difference::default();
        let mut lines = Vec::new();
        for ((prompt, reference), other) in prompts.all.iter().zip(reference).zip(other) {
            let difference = difference(reference, other)?;
            all.join(&difference);
            lines.push(Line::new(prompt, prompts, reference, other, &difference));
        }
        let sum = |figure: fn(&Agreement) -> usize| {
            lines.iter().map(|line| figure(&line.agreement)).sum()
        };
        let (positions, agreed) = (sum(|line| line.positions), sum(|line| line.agreed));
        Ok(Self {
            model: String::new(),
            exact: false,
            reference: native.computed.backend,
            native,
            onnxruntime,
            prompts: lines,
            all: Agreement::new(&all, positions, agreed),
            max_rms: None,
            within: true,
            difference: all,
        })
    }

    /// Without a bound any difference will do.
    pub(super) fn hold_against(&mut self, max_rms: Option<f64>) {
        self.max_rms = max_rms;
        self.within = max_rms.is_none_or(|bound| self.difference.rms() <= bound);
    }

    pub(super) fn show(&self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let (native, onnxruntime) = (&self.native.computed, &self.onnxruntime.computed);
        out.line(format!(
            "{}: native ({}) is the reference, {} beside it{}",
            self.model,
            native.computed_by,
            onnxruntime.computed_by,
            if self.exact { "; both in f32" } else { "" }
        ))?;
        out.line("")?;
        out.table(&self.differences())?;
        out.line("")?;
        out.table(&self.speeds())?;
        if let Some(bound) = self.max_rms {
            let (style, word) = match self.within {
                true => (Style::Green, "passed"),
                false => (Style::Red, "failed"),
            };
            let word = context.terminal.out(style, word);
            let rms = self.all.rms_sd;
            out.line("")?;
            out.line(format!("{word}: rms/sd is {rms:.5}, and may be {bound}"))?;
        }
        Ok(())
    }

    /// Differences are in standard deviations of the reference's logits.
    fn differences(&self) -> Table {
        use Align::{Left, Right};
        let mut table = Table::new(&[
            ("prompt", Left),
            ("tokens", Right),
            ("rms/sd", Right),
            ("worst/sd", Right),
            ("KL, nats", Right),
            ("same token", Right),
            ("first difference", Left),
        ]);
        let mut row = |name: String, tokens: String, agreement: &Agreement, parting: String| {
            table.row([
                name,
                tokens,
                format!("{:.5}", agreement.rms_sd),
                format!("{:.5}", agreement.worst_sd),
                format!("{:.2e}", agreement.kl_divergence),
                format!("{} of {}", agreement.agreed, agreement.positions),
                parting,
            ]);
        };
        for line in &self.prompts {
            let parting = line.first_difference.as_ref();
            row(
                line.name(),
                line.prompt_tokens.to_string(),
                &line.agreement,
                parting.map_or("-".to_owned(), Parting::describe),
            );
        }
        if self.prompts.len() > 1 {
            row("all".to_owned(), String::new(), &self.all, String::new());
        }
        table
    }

    fn speeds(&self) -> Table {
        use Align::{Left, Right};
        let mut table = Table::new(&[
            ("", Left),
            ("native", Right),
            ("onnxruntime", Right),
            ("native / onnxruntime", Right),
        ]);
        let mut row = |name: &str, digits: usize, figure: &dyn Fn(&Side) -> Option<f64>| {
            let figures = [figure(&self.native), figure(&self.onnxruntime)];
            let show = |figure: Option<f64>, digits: usize| {
                figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
            };
            let ratio = figures[0].zip(figures[1]).map(|(a, b)| a / b);
            let [a, b] = figures.map(|figure| show(figure, digits));
            table.row([name.to_owned(), a, b, show(ratio, 2)]);
        };
        row("prefill, tokens/s", 1, &|side| Some(side.prefill_tok_s));
        row("decode, tokens/s", 1, &|side| side.decode_tok_s);
        row("load, s", 2, &|side| Some(side.load_s));
        row("memory, MiB", 0, &|side| {
            side.memory_bytes.map(|bytes| (bytes >> 20) as f64)
        });
        table
    }
}

fn difference(reference: &Course, other: &Course) -> anyhow::Result<Difference> {
    let mut difference = Difference::default();
    for (a, b) in reference.rows.iter().zip(&other.rows) {
        if a.len() != b.len() {
            anyhow::bail!(
                "the native engine gives {} logits a token and ONNX Runtime {}",
                a.len(),
                b.len()
            );
        }
        difference.add(a, b);
    }
    Ok(difference)
}

impl Agreement {
    fn new(difference: &Difference, positions: usize, agreed: usize) -> Self {
        Self {
            positions,
            agreed,
            rms_sd: difference.rms(),
            worst_sd: difference.worst(),
            kl_divergence: difference.divergence(),
        }
    }
}

impl Line {
    fn new(
        prompt: &Prompt,
        prompts: &Prompts,
        reference: &Course,
        other: &Course,
        difference: &Difference,
    ) -> Self {
        let both = || reference.best.iter().zip(&other.best);
        let agreed = both().filter(|(a, b)| a == b).count();
        let parting = both().position(|(a, b)| a != b).map(|position| {
            let (a, b) = (reference.best[position], other.best[position]);
            let token = |id| Token {
                id,
                text: prompts.token(id),
            };
            let row = &reference.rows[position];
            let logit = |id: u32| row.get(id as usize).copied().map_or(f64::NAN, f64::from);
            Parting {
                position,
                reference: token(a),
                other: token(b),
                gap_sd: (logit(a) - logit(b)) / deviation(row),
            }
        });
        Self {
            text: prompt.text.clone(),
            prompt_tokens: prompt.ids.len(),
            agreement: Agreement::new(difference, both().count(), agreed),
            first_difference: parting,
        }
    }

    /// The beginning of its text, on one line.
    fn name(&self) -> String {
        const MOST: usize = 28;
        let Some(text) = &self.text else {
            return "random tokens".to_owned();
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = plain(&words.join(" "));
        match line.chars().count() {
            0..=MOST => line,
            _ => line.chars().take(MOST - 2).chain("..".chars()).collect(),
        }
    }
}

impl Parting {
    fn describe(&self) -> String {
        format!(
            "after {}: {} for {}, {:.3} sd apart",
            count(self.position, "token"),
            self.other.describe(),
            self.reference.describe(),
            self.gap_sd
        )
    }
}

impl Token {
    fn describe(&self) -> String {
        match &self.text {
            Some(text) => format!("{text:?}"),
            None => self.id.to_string(),
        }
    }
}
