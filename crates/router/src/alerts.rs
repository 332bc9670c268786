//! Warnings of single answers: too dear, too slow.

use std::time::Duration;

use inhouse_config::Alerts;

use crate::AnswerMetadata;

/// Warns of what is above its threshold.
pub(crate) fn check(alerts: &Alerts, answer: &AnswerMetadata) {
    for warning in warnings(alerts, answer) {
        tracing::warn!(request = answer.request_id, provider = %answer.provider, "{warning}");
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
