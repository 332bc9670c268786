//! Money: exact decimals of United States dollars.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use rust_decimal::Decimal;

/// An amount of United States dollars, exact.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Money(Decimal);

impl Money {
    /// Nothing to pay, which is not the same as an unknown price.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// So many dollars.
    pub const fn dollars(amount: Decimal) -> Self {
        Self(amount)
    }

    /// The amount in dollars.
    pub const fn amount(self) -> Decimal {
        self.0
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// `$0.00`, `$1.47`, `$0.000375`: at least cents, and as exact as the amount is.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.0.normalize();
        let places = amount.scale().max(2) as usize;
        let sign = if amount.is_sign_negative() { "-" } else { "" };
        f.pad(&format!("{sign}${:.places$}", amount.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_cents_and_every_place_they_have() {
        let check = |amount: &str, shown: &str| {
            assert_eq!(Money::dollars(amount.parse().unwrap()).to_string(), shown);
        };
        check("0", "$0.00");
        check("1.5", "$1.50");
        check("0.000375", "$0.000375");
        check("0.10000", "$0.10");
        check("-2", "-$2.00");
    }
}
