//! A number with a fraction that can be compared and hashed.

use std::hash::{Hash, Hasher};

/// A finite `f64`, so that requests can be compared, and hashed for the cache of answers.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Real(f64);

impl Real {
    /// `None` for infinities and not-a-number.
    pub fn new(value: f64) -> Option<Self> {
        // Adding zero makes -0.0, which equals 0.0, hash as it does.
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Real {}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
