//! Warnings: of single answers that were too dear or too slow, and of too many failures.

use std::sync::Mutex;
use std::time::Duration;

use inhouse_config::Alerts;

use crate::AnswerMetadata;

/// Warns of what is above its threshold.
pub(crate) fn check(alerts: &Alerts, answer: &AnswerMetadata) {
    for warning in warnings(alerts, answer) {
        tracing::warn!(request = answer.request_id, provider = %answer.provider, "{warning}");
    }
}

/// How many of the last attempts failed.
#[derive(Debug, Default)]
pub(crate) struct ErrorRate(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    /// The newest is the lowest bit; a failure is a one.
    failed: u64,
    n: u32,
    warned: bool,
}

/// Fewer attempts than this have no rate.
const FEWEST: u32 = 10;

impl ErrorRate {
    /// Counts an attempt, and warns once when more than `threshold` of the last 64 failed.
    pub(crate) fn count(&self, failed: bool, threshold: Option<f64>) {
        let mut last = crate::lock(&self.0);
        last.failed = (last.failed << 1) | u64::from(failed);
        last.n = (last.n + 1).min(u64::BITS);
        let (Some(threshold), true) = (threshold, last.n >= FEWEST) else {
            return;
        };
        let rate = f64::from(last.failed.count_ones()) / f64::from(last.n);
        let above = rate > threshold;
        if above && !last.warned {
            tracing::warn!(
                "{:.0} % of the last {} attempts failed, more than monitoring.alerts.errorRate",
                rate * 100.0,
                last.n
            );
        }
        last.warned = above;
    }
}

fn warnings(alerts: &Alerts, answer: &AnswerMetadata) -> Vec<String> {
    let cost = alerts
        .cost_threshold
        .zip(answer.cost)
        .filter(|(limit, cost)| cost > limit);
    let cost = cost.map(|(limit, cost)| {
        format!("a request cost {cost}, more than monitoring.alerts.costThreshold {limit}")
    });
    let limit = alerts.latency_threshold.map(Duration::from_millis);
    let slow = limit.filter(|limit| answer.latency > *limit);
    let slow = slow.map(|limit| {
        format!(
            "a request took {:.1?}, longer than monitoring.alerts.latencyThreshold {limit:.1?}",
            answer.latency
        )
    });
    cost.into_iter().chain(slow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_failures_are_said_once() {
        let rate = ErrorRate::default();
        let warned = || crate::lock(&rate.0).warned;
        (0..9).for_each(|_| rate.count(true, Some(0.5)));
        assert!(!warned(), "too few to tell");
        rate.count(true, Some(0.5));
        assert!(warned());
        (0..64).for_each(|_| rate.count(false, Some(0.5)));
        assert!(!warned());
        (0..33).for_each(|_| rate.count(true, Some(0.5)));
        assert!(warned());
        rate.count(true, None);
    }
}
