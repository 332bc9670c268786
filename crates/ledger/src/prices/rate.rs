//! What tokens of one class cost.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};

/// Dollars for a million tokens of a class, higher above certain lengths of the prompt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rate {
    base: Decimal,
    /// Ascending. A step is for all tokens of the request, not only for those above it.
    above: Vec<(u64, Decimal)>,
}

impl Rate {
    pub(super) fn flat(base: Decimal) -> Self {
        Self {
            base,
            above: Vec::new(),
        }
    }

    /// Dollars for a million tokens when the prompt is so long.
    pub(super) fn per_million(&self, prompt_tokens: u64) -> Decimal {
        let step = self.above.iter().rev();
        step.clone()
            .find(|(start, _)| prompt_tokens > *start)
            .map_or(self.base, |(_, price)| *price)
    }
}

/// `"3"`, or `{"base": "3", "above": [[200000, "6"]]}`.
impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps<'a> {
    base: &'a str,
    #[serde(borrow)]
    above: Vec<(u64, &'a str)>,
}

impl<'de> de::Visitor<'de> for Written {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price in quotes, or its steps")
    }

    fn visit_str<E: de::Error>(self, written: &str) -> Result<Rate, E> {
        price_of(written).map(Rate::flat)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Rate, A::Error> {
        let steps = Steps::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let above = steps.above.into_iter();
        let above = above.map(|(start, price)| Ok((start, price_of(price)?)));
        let mut above = above.collect::<Result<Vec<_>, A::Error>>()?;
        above.sort_by_key(|(start, _)| *start);
        let base = price_of(steps.base)?;
        Ok(Rate { base, above })
    }
}

/// A price that arithmetic with any count of tokens stays exact for.
fn price_of<E: de::Error>(written: &str) -> Result<Decimal, E> {
    let price = Decimal::from_str_exact(written)
        .map_err(|_| E::custom(format!("{written:?} is not a decimal number")))?;
    if is_plausible(price) {
        return Ok(price);
    }
    Err(E::custom(format!("{written} is no price for tokens")))
}

/// Whether a number can be a price: not negative, not absurd, not finer than any currency is.
pub(super) fn is_plausible(price: Decimal) -> bool {
    let sane = Decimal::ZERO..=Decimal::from(1_000_000);
    sane.contains(&price) && price.scale() <= 20
}
