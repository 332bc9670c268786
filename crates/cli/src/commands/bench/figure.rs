//! A figure over all runs.

use serde::Serialize;

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Figure {
    /// Of at least one value; rounded to `digits` behind the point, as more would only pretend.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, digits: i32) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let round = |value: f64| rounded(value, digits);
        let middle = values.len() / 2;
        let median = match values.as_slice() {
            [] => f64::NAN,
            values if values.len() % 2 == 1 => values[middle],
            values => (values[middle - 1] + values[middle]) / 2.0,
        };
        let (min, max) = (values.first(), values.last());
        Self {
            median: round(median),
            min: round(min.copied().unwrap_or(f64::NAN)),
            max: round(max.copied().unwrap_or(f64::NAN)),
        }
    }
}

/// With so many digits behind the point.
pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    (value * 10f64.powi(digits)).round() / 10f64.powi(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_median_least_and_most() {
        let check = |values: &[f64], (median, min, max)| {
            assert_eq!(
                Figure::of(values.to_vec(), 2),
                Figure { median, min, max },
                "{values:?}"
            );
        };
        check(&[1.234], (1.23, 1.23, 1.23));
        check(&[3.0, 1.0, 2.0], (2.0, 1.0, 3.0));
        check(&[4.0, 1.0, 2.0, 3.0], (2.5, 1.0, 4.0));
    }
}
