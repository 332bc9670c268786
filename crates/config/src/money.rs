//! Money in configuration: a number of United States dollars, read as it is written and never through a float.

use std::fmt;

use inhouse_chat::Money;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

/// The name by which the reader of files knows that a number is wanted with all its digits.
pub(crate) const EXACT: &str = "$inhouse::exact";

struct Amount(Money);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in dollars")
            }

            fn visit_str<E: Error>(self, digits: &str) -> Result<Amount, E> {
                let amount = Decimal::from_str_exact(digits)
                    .or_else(|_| Decimal::from_scientific(digits))
                    .map_err(|_| E::invalid_value(Unexpected::Str(digits), &self))?;
                Ok(Amount(Money::dollars(amount)))
            }
        }

        deserializer.deserialize_newtype_struct(EXACT, Digits)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    Amount::deserialize(deserializer).map(|amount| amount.0)
}

pub(crate) fn serialize<S: Serializer>(amount: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    match amount.amount().to_f64() {
        Some(number) => serializer.serialize_f64(number),
        None => serializer.serialize_str(&amount.amount().to_string()),
    }
}

/// The same for an amount that need not be stated.
pub(crate) mod option {
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Money>, D::Error> {
        Ok(Option::<Amount>::deserialize(deserializer)?.map(|amount| amount.0))
    }

    pub(crate) fn serialize<S: Serializer>(
        amount: &Option<Money>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => super::serialize(amount, serializer),
            None => serializer.serialize_none(),
        }
    }
}
