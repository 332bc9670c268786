//! The price of one model, and what usage comes to with it.

use inhouse_chat::{Money, Usage};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::rate::Rate;

/// What one model charges.
#[derive(Clone, Debug)]
pub struct Price {
    model: String,
    context_window: Option<u64>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Exactly nothing, whatever it does.
    Free,
    /// The last entry that is in force counts; where none is, the first.
    Listed(Vec<Entry>),
}

/// What the classes cost under one condition.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) when: When,
    pub(super) input: Option<Rate>,
    pub(super) output: Option<Rate>,
    pub(super) cache_read: Option<Rate>,
    /// Where nobody says for how long.
    pub(super) cache_write: Option<Rate>,
    pub(super) cache_write_5m: Option<Rate>,
    pub(super) cache_write_1h: Option<Rate>,
    pub(super) input_audio: Option<Rate>,
    pub(super) output_audio: Option<Rate>,
    pub(super) reasoning: Option<Rate>,
    pub(super) request: Option<Money>,
}

/// When an entry is in force. Days and hours are those of UTC.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum When {
    #[default]
    Always,
    /// From this day on.
    From(Date),
    /// Every day from one time until just before another, which may be on the next day.
    Between(Time, Time),
}

/// What the provider itself says that it charged. A negative amount is nobody's price.
pub(super) fn charged(usage: &Usage) -> Option<Money> {
    usage.charged.filter(|charged| *charged >= Money::ZERO)
}

impl Price {
    /// The price of what runs on own hardware: exactly nothing.
    pub fn free() -> Self {
        Self {
            model: String::new(),
            context_window: None,
            kind: Kind::Free,
        }
    }

    pub(super) fn listed(model: &str, context_window: Option<u64>, entries: Vec<Entry>) -> Self {
        Self {
            model: model.to_owned(),
            context_window,
            kind: Kind::Listed(entries),
        }
    }

    pub(super) fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.kind {
            Kind::Free => None,
            Kind::Listed(entries) => Some(entries),
        }
    }

    pub(super) fn set_context_window(&mut self, tokens: u64) {
        self.context_window = Some(tokens);
    }

    /// The model as the list calls it: several names may lead to one entry.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How many tokens the model can read, where the list says so.
    pub fn context_window(&self) -> Option<u64> {
        self.context_window
    }

    /// Whether everything costs nothing because it runs on own hardware.
    pub fn is_free(&self) -> bool {
        matches!(self.kind, Kind::Free)
    }

    /// What a reply cost: what the provider says that it charged, else what its usage comes to. `None` where a class of
    /// tokens that was used has no price.
    pub fn cost(&self, usage: &Usage, at: Timestamp) -> Option<Money> {
        match &self.kind {
            Kind::Free => Some(Money::ZERO),
            Kind::Listed(entries) => {
                charged(usage).or_else(|| in_force(entries, at)?.cost(usage, self.is_claude()))
            }
        }
    }

    /// What a request will cost with so many tokens in prompt and answer, if a cache has `cached` of the prompt's.
    pub fn estimate(
        &self,
        prompt_tokens: u64,
        output_tokens: u64,
        cached: u64,
        at: Timestamp,
    ) -> Option<Money> {
        let cache_read = cached.min(prompt_tokens);
        let usage = Usage {
            input: prompt_tokens - cache_read,
            cache_read,
            output: output_tokens,
            ..Usage::default()
        };
        self.cost(&usage, at)
    }

    /// The most that a request can cost: each token of the prompt at the dearest of the classes that it may turn out to
    /// be, the answer as long as it may become. This is what a budget reserves.
    pub fn upper_bound(
        &self,
        prompt_tokens: u64,
        most_output_tokens: u64,
        at: Timestamp,
    ) -> Option<Money> {
        let blank = Usage {
            output: most_output_tokens,
            ..Usage::default()
        };
        let (n, rest) = (prompt_tokens, blank);
        let classes = [
            Usage { input: n, ..rest },
            Usage {
                cache_read: n,
                ..rest
            },
            Usage {
                cache_write_5m: n,
                ..rest
            },
            Usage {
                cache_write_1h: n,
                ..rest
            },
        ];
        let costs = classes.iter().map(|usage| self.cost(usage, at));
        costs.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Whether Anthropic's rule for caches holds, whoever sells the model.
    fn is_claude(&self) -> bool {
        self.model.contains("claude")
    }
}

fn in_force(entries: &[Entry], at: Timestamp) -> Option<&Entry> {
    let last = entries.iter().rev().find(|entry| entry.when.holds(at));
    last.or_else(|| entries.first())
}

impl When {
    fn holds(self, at: Timestamp) -> bool {
        let utc = || at.to_zoned(TimeZone::UTC);
        match self {
            Self::Always => true,
            Self::From(day) => utc().date() >= day,
            Self::Between(start, end) => {
                let now = utc().time();
                if end < start {
                    now >= start || now < end
                } else {
                    start <= now && now < end
                }
            }
        }
    }
}

impl Entry {
    fn cost(&self, usage: &Usage, is_claude: bool) -> Option<Money> {
        let prompt = usage.prompt_tokens();
        let rate = |own: &Option<Rate>| own.as_ref().map(|rate| rate.per_million(prompt));
        let input = rate(&self.input);
        let output = rate(&self.output);
        let times_input = |factor| input.map(|input| input * factor);

        // What has no price of its own is charged as what it is a part of. Anthropic publishes what writing to its
        // caches costs: one and a quarter of the input price for five minutes, twice that price for an hour.
        let claude = |factor| is_claude.then(|| times_input(factor)).flatten();
        let write_5m = rate(&self.cache_write_5m)
            .or_else(|| claude(Decimal::new(125, 2)))
            .or(input);
        let write_1h = rate(&self.cache_write_1h)
            .or_else(|| claude(Decimal::TWO))
            .or_else(|| rate(&self.cache_write))
            .or(input);

        let audio_in = usage.input_audio.min(usage.input);
        let audio_out = usage.output_audio.min(usage.output);
        let thought = usage.reasoning.min(usage.output - audio_out);
        let lines = [
            (usage.input - audio_in, input),
            (audio_in, rate(&self.input_audio).or(input)),
            (usage.cache_read, rate(&self.cache_read).or(input)),
            (usage.cache_write_5m, write_5m),
            (usage.cache_write_1h, write_1h),
            (usage.output - audio_out - thought, output),
            (thought, rate(&self.reasoning).or(output)),
            (audio_out, rate(&self.output_audio).or(output)),
        ];
        let tokens = sum(lines)?.checked_mul(Decimal::new(1, 6))?;
        Some(Money::dollars(tokens) + self.request.unwrap_or_default())
    }
}

/// Dollars times a million; `None` where a class that was used has no price, or the sum has no end.
fn sum(lines: impl IntoIterator<Item = (u64, Option<Decimal>)>) -> Option<Decimal> {
    let used = lines.into_iter().filter(|(count, _)| *count > 0);
    let mut total = Decimal::ZERO;
    for (count, rate) in used {
        total = total.checked_add(rate?.checked_mul(count.into())?)?;
    }
    Some(total)
}
