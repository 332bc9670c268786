//! How far apart two rows of logits are.

/// Differences of rows, summed up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Difference {
    /// Of squares, in squared standard deviations.
    squares: f64,
    n_logits: usize,
    worst: f64,
    divergence: f64,
    n_rows: usize,
}

impl Difference {
    /// Counts a row; the scale is that of the reference.
    pub(super) fn add(&mut self, reference: &[f32], other: &[f32]) {
        let scale = deviation(reference);
        for (&a, &b) in reference.iter().zip(other) {
            // Logits of tokens that cannot come are minus infinity in both.
            let apart = match a == b {
                true => 0.0,
                false => (f64::from(a) - f64::from(b)).abs() / scale,
            };
            self.squares += apart * apart;
            self.worst = larger(self.worst, apart);
        }
        self.n_logits += reference.len();
        self.divergence += divergence(reference, other);
        self.n_rows += 1;
    }

    /// Counts what was counted elsewhere.
    pub(super) fn join(&mut self, more: &Self) {
        self.squares += more.squares;
        self.n_logits += more.n_logits;
        self.worst = larger(self.worst, more.worst);
        self.divergence += more.divergence;
        self.n_rows += more.n_rows;
    }

    /// In standard deviations.
    pub(super) fn rms(&self) -> f64 {
        (self.squares / self.n_logits.max(1) as f64).sqrt()
    }

    /// In standard deviations.
    pub(super) fn worst(&self) -> f64 {
        self.worst
    }

    /// The mean Kullback-Leibler divergence of a position, in nats.
    pub(super) fn divergence(&self) -> f64 {
        self.divergence / self.n_rows.max(1) as f64
    }
}

/// The standard deviation of the logits that are numbers.
pub(super) fn deviation(row: &[f32]) -> f64 {
    let finite = || row.iter().filter(|value| value.is_finite());
    let n = finite().count().max(1) as f64;
    let mean = finite().map(|&value| f64::from(value)).sum::<f64>() / n;
    let squares = finite().map(|&value| (f64::from(value) - mean).powi(2));
    (squares.sum::<f64>() / n).sqrt().max(f64::MIN_POSITIVE)
}

/// How much the other's probabilities miss of the reference's, in nats; rounding may bring it below 0.
fn divergence(reference: &[f32], other: &[f32]) -> f64 {
    let (of_reference, of_other) = (log_sum_exp(reference), log_sum_exp(other));
    let each = reference.iter().zip(other).map(|(&a, &b)| {
        let a = f64::from(a) - of_reference;
        let share = a.exp();
        match share > 0.0 {
            true => share * (a - (f64::from(b) - of_other)),
            false => 0.0,
        }
    });
    larger(0.0, each.sum())
}

/// Unlike [`f64::max`], this does not pass over what is no number.
fn larger(a: f64, b: f64) -> f64 {
    match a.is_nan() || b <= a {
        true => a,
        false => b,
    }
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let most = f64::from(most);
    let sum: f64 = row
        .iter()
        .map(|&value| (f64::from(value) - most).exp())
        .sum();
    most + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&[f32], &[f32])]) -> Difference {
        let mut difference = Difference::default();
        for (reference, other) in rows {
            difference.add(reference, other);
        }
        difference
    }

    #[test]
    fn differences_are_in_deviations_of_the_reference() {
        let difference = of(&[(&[-2.0, 2.0], &[-2.0, 3.0]), (&[-1.0, 1.0], &[-1.0, 1.0])]);
        assert_eq!(difference.worst(), 0.5);
        assert!((difference.rms() - 0.25).abs() < 1e-12); // half a deviation in one of four
        let mut joined = of(&[(&[-2.0, 2.0], &[-2.0, 3.0])]);
        joined.join(&of(&[(&[-1.0, 1.0], &[-1.0, 1.0])]));
        assert_eq!((joined.rms(), joined.worst()), (difference.rms(), 0.5));
    }

    #[test]
    fn divergence_is_the_textbook_s() {
        let half = 0.5_f64;
        let other = 2.0_f64.ln() as f32; // probabilities 1/3 and 2/3
        let expected = half * (half / (1.0 / 3.0)).ln() + half * (half / (2.0 / 3.0)).ln();
        let found = of(&[(&[0.0, 0.0], &[0.0, other])]).divergence();
        assert!((found - expected).abs() < 1e-7, "{found} and {expected}");
        assert_eq!(of(&[(&[1.0, 2.0], &[1.0, 2.0])]).divergence(), 0.0);
    }

    #[test]
    fn tokens_that_cannot_come_do_no_harm() {
        let never = f32::NEG_INFINITY;
        let difference = of(&[(&[0.0, 1.0, never], &[0.0, 1.0, never])]);
        assert_eq!((difference.rms(), difference.divergence()), (0.0, 0.0));
    }

    #[test]
    fn what_is_no_number_is_not_passed_over() {
        let difference = of(&[(&[0.0, 1.0], &[f32::NAN, 1.0]), (&[0.0, 1.0], &[0.0, 1.0])]);
        assert!(difference.rms().is_nan() && difference.worst().is_nan());
        assert!(difference.divergence().is_nan());
    }
}
