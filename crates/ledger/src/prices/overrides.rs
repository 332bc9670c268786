//! Prices of the user's own.

use inhouse_chat::Money;
use rust_decimal::Decimal;

use super::price::{Entry, Price};
use super::rate::{Rate, is_plausible};

/// What the user says that a model costs, in dollars for a million tokens. What is not given stays as the list has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// At which provider; at every one where none is named.
    pub provider: Option<String>,
    /// Which model, by its name; a `*` at the end stands for anything.
    pub model: String,
    /// Tokens of the prompt.
    pub input: Option<Decimal>,
    /// Tokens of the answer.
    pub output: Option<Decimal>,
    /// Tokens of the prompt that a cache had.
    pub cache_read: Option<Decimal>,
    /// Tokens written to a cache for five minutes, or for an unstated time.
    pub cache_write_5m: Option<Decimal>,
    /// Tokens written to a cache for an hour.
    pub cache_write_1h: Option<Decimal>,
    /// Tokens of sound in the prompt.
    pub input_audio: Option<Decimal>,
    /// Tokens of sound in the answer.
    pub output_audio: Option<Decimal>,
    /// Dollars for a request, besides its tokens.
    pub request: Option<Decimal>,
    /// How many tokens the model can read.
    pub context_window: Option<u64>,
}

impl Override {
    /// A class whose number cannot be a price, for the message of who reads the configuration.
    pub fn implausible(&self) -> Option<&'static str> {
        let classes = [
            ("input", self.input),
            ("output", self.output),
            ("cacheRead", self.cache_read),
            ("cacheWrite5m", self.cache_write_5m),
            ("cacheWrite1h", self.cache_write_1h),
            ("inputAudio", self.input_audio),
            ("outputAudio", self.output_audio),
            ("request", self.request),
        ];
        let wrong = classes
            .into_iter()
            .find(|(_, price)| price.is_some_and(|price| !is_plausible(price)));
        wrong.map(|(class, _)| class)
    }

    pub(super) fn applies(&self, provider: &str, model: &str) -> bool {
        let at_provider = self.provider.as_deref().is_none_or(|own| own == provider);
        at_provider
            && match self.model.strip_suffix('*') {
                Some(start) => model.starts_with(start),
                None => model == self.model,
            }
    }

    /// The listed price with what this override names in place of what it says.
    pub(super) fn over(&self, listed: Option<Price>, model: &str) -> Price {
        let mut price = listed.unwrap_or_else(|| Price::listed(model, None, Vec::new()));
        if let Some(tokens) = self.context_window {
            price.set_context_window(tokens);
        }
        if let Some(entries) = price.entries_mut() {
            if entries.is_empty() {
                entries.push(Entry::default());
            }
            entries.iter_mut().for_each(|entry| self.replace(entry));
        }
        price
    }

    fn replace(&self, entry: &mut Entry) {
        let set = |class: &mut Option<Rate>, own: Option<Decimal>| {
            if let Some(own) = own.filter(|own| is_plausible(*own)) {
                *class = Some(Rate::flat(own));
            }
        };
        set(&mut entry.input, self.input);
        set(&mut entry.output, self.output);
        set(&mut entry.cache_read, self.cache_read);
        set(&mut entry.cache_write, self.cache_write_5m);
        set(&mut entry.cache_write_5m, self.cache_write_5m);
        set(&mut entry.cache_write_1h, self.cache_write_1h);
        set(&mut entry.input_audio, self.input_audio);
        set(&mut entry.output_audio, self.output_audio);
        if let Some(request) = self.request.filter(|own| is_plausible(*own)) {
            entry.request = Some(Money::dollars(request));
        }
    }
}
