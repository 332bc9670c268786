//! The price list as its file has it, and how a model is found in it.

use inhouse_chat::Money;
use jiff::civil::{Date, Time};
use serde::{Deserialize, Deserializer, de};

use super::price::{Entry, Price, When};
use super::rate::Rate;
use super::rule::{Rule, with_dashed_date};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Snapshot {
    pub(super) source: Source,
    providers: Vec<Provider>,
}

/// Where a price list comes from.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Source {
    /// The package it was made from.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The package's licence.
    pub licence: String,
    /// Whose work it is.
    pub copyright: String,
}

#[derive(Debug, Deserialize)]
struct Provider {
    id: String,
    /// Whose models it offers too, at their prices.
    #[serde(default)]
    fallback: Vec<String>,
    models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    #[serde(rename = "match")]
    rule: Rule,
    context: Option<u64>,
    /// None, where the provider charges for something that usages do not tell apart.
    #[serde(default)]
    prices: Vec<WrittenEntry>,
}

/// What a class costs, and under which condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    #[serde(default, deserialize_with = "day")]
    from: Option<Date>,
    #[serde(default, deserialize_with = "times")]
    between: Option<(Time, Time)>,
    input: Option<Rate>,
    output: Option<Rate>,
    cache_read: Option<Rate>,
    cache_write: Option<Rate>,
    cache_write_5m: Option<Rate>,
    cache_write_1h: Option<Rate>,
    input_audio: Option<Rate>,
    output_audio: Option<Rate>,
    reasoning: Option<Rate>,
    thousand_requests: Option<Rate>,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let written = <&str>::deserialize(deserializer)?;
    let day = Date::strptime("%Y-%m-%d", written).map_err(de::Error::custom)?;
    Ok(Some(day))
}

fn times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(Time, Time)>, D::Error> {
    let (start, end) = <(&str, &str)>::deserialize(deserializer)?;
    let time = |written| Time::strptime("%H:%M", written).map_err(de::Error::custom);
    Ok(Some((time(start)?, time(end)?)))
}

/// Names that a provider goes by besides the list's own.
const ALSO_KNOWN_AS: &[(&str, &str)] = &[
    ("gemini", "google"),
    ("vertex", "google"),
    ("bedrock", "aws"),
    ("xai", "x-ai"),
    ("together-ai", "together"),
    ("moonshot", "moonshotai"),
];

impl Snapshot {
    pub(super) fn parse(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Price> {
        let (provider, model) = (provider.to_lowercase(), model.to_lowercase());
        match (provider.as_str(), model.split_once('/')) {
            // Who runs it is known only where the name says so.
            ("huggingface", _) => {
                let (model, host) = model.rsplit_once(':')?;
                self.find_at(&format!("huggingface_{host}"), model)
            }
            ("litellm", Some((actual, model))) => self.find_at(actual, model),
            _ => self.find_at(&provider, &model),
        }
    }

    fn find_at(&self, provider: &str, model: &str) -> Option<Price> {
        let provider = self.provider(provider)?;
        self.match_at(provider, model)
            .or_else(|| self.match_at(provider, &with_dashed_date(model)?))
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        let other = ALSO_KNOWN_AS.iter().find(|(alias, _)| *alias == name);
        let id = other.map_or(name, |(_, id)| id);
        self.providers.iter().find(|provider| provider.id == id)
    }

    fn match_at(&self, provider: &Provider, model: &str) -> Option<Price> {
        provider.find(model).or_else(|| {
            let others = provider.fallback.iter();
            others
                .filter_map(|id| self.provider(id))
                .find_map(|other| other.find(model))
        })
    }
}

impl Provider {
    fn find(&self, model: &str) -> Option<Price> {
        let found = self.models.iter().find(|entry| entry.rule.holds(model))?;
        let entries = found.prices.iter().cloned().map(Entry::from).collect();
        Some(Price::listed(&found.id, found.context, entries))
    }
}

impl From<WrittenEntry> for Entry {
    fn from(written: WrittenEntry) -> Self {
        let when = match (written.from, written.between) {
            (Some(day), _) => When::From(day),
            (None, Some((start, end))) => When::Between(start, end),
            (None, None) => When::Always,
        };
        let thousand = written.thousand_requests.map(|rate| rate.per_million(0));
        Self {
            when,
            input: written.input,
            output: written.output,
            cache_read: written.cache_read,
            cache_write_5m: written.cache_write_5m.or(written.cache_write.clone()),
            cache_write_1h: written.cache_write_1h,
            cache_write: written.cache_write,
            input_audio: written.input_audio,
            output_audio: written.output_audio,
            reasoning: written.reasoning,
            request: thousand.map(|price| Money::dollars(price * rust_decimal::Decimal::new(1, 3))),
        }
    }
}
