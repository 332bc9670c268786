//! Numbers out of range.

use std::ops::RangeInclusive;

use inhouse_chat::Money;

use super::Check;
use crate::json::Path;
use crate::{Price, ProviderConfig, RouterConfig};

const SHARE: RangeInclusive<f64> = 0.0..=1.0;
const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;
const QUALITY: RangeInclusive<f64> = 0.0..=100.0;
/// A year, in seconds: clocks end somewhere, and what is kept longer is not meant to be kept.
const LONGEST_TTL: u64 = 366 * 86_400;

pub(super) fn check(config: &RouterConfig, check: &mut Check<'_>) {
    for (name, one) in config.providers.iter() {
        provider(one, &Path::of(["providers"]).name(name), check);
    }
    routing(config, check);
    let retries = Path::of(["retries"]);
    check.positive(
        &retries.name("maxAttempts"),
        Some(config.retries.max_attempts.into()),
    );
    check.within(&retries.name("budget"), Some(config.retries.budget), SHARE);
    let alerts = &config.monitoring.alerts;
    let path = Path::of(["monitoring", "alerts"]);
    check.amount(&path.name("costThreshold"), alerts.cost_threshold);
    check.within(&path.name("errorRate"), alerts.error_rate, SHARE);
    check.positive(&path.name("latencyThreshold"), alerts.latency_threshold);
    cache(config, check);
    for (index, budget) in config.budgets.iter().enumerate() {
        let path = Path::of(["budgets"]).index(index);
        check.amount(&path.name("limit"), Some(budget.limit));
        check.within(&path.name("alertAt"), Some(budget.alert_at), SHARE);
    }
    for (provider, models) in config.prices.iter() {
        for (model, one) in models.iter() {
            price(one, &Path::of(["prices"]).name(provider).name(model), check);
        }
    }
}

fn cache(config: &RouterConfig, check: &mut Check<'_>) {
    let path = Path::of(["cache"]);
    check.positive(&path.name("maxSize"), Some(config.cache.max_size));
    check.at_most(&path.name("ttl"), Some(config.cache.ttl), LONGEST_TTL);
    for (name, own) in config.cache.providers.iter() {
        let path = path.name("providers").name(name).name("ttl");
        check.at_most(&path, own.ttl, LONGEST_TTL);
    }
}

fn provider(provider: &ProviderConfig, path: &Path, check: &mut Check<'_>) {
    check.within(&path.name("temperature"), provider.temperature, TEMPERATURE);
    check.positive(&path.name("maxTokens"), provider.max_tokens.map(u64::from));
    check.positive(&path.name("timeout"), provider.timeout);
    let timeouts = path.name("timeouts");
    check.positive(&timeouts.name("connect"), provider.timeouts.connect);
    check.positive(&timeouts.name("firstToken"), provider.timeouts.first_token);
    check.positive(&timeouts.name("idle"), provider.timeouts.idle);
    check.positive(&timeouts.name("total"), provider.timeouts.total);
    let limit = path.name("rateLimit");
    let requests = provider.rate_limit.requests_per_minute;
    check.positive(&limit.name("requestsPerMinute"), requests.map(u64::from));
    check.positive(
        &limit.name("tokensPerMinute"),
        provider.rate_limit.tokens_per_minute,
    );
    let highest = provider
        .preferences
        .as_ref()
        .and_then(|preferences| preferences.max_price);
    if let Some(highest) = highest {
        let path = path.name("preferences").name("maxPrice");
        check.amount(&path.name("prompt"), highest.prompt);
        check.amount(&path.name("completion"), highest.completion);
    }
}

fn routing(config: &RouterConfig, check: &mut Check<'_>) {
    let routing = &config.routing;
    let path = Path::of(["routing"]);
    for (index, rule) in routing.rules.iter().enumerate() {
        let path = path.name("rules").index(index).name("action");
        check.within(
            &path.name("temperature"),
            rule.action.temperature,
            TEMPERATURE,
        );
        check.positive(
            &path.name("maxTokens"),
            rule.action.max_tokens.map(u64::from),
        );
    }
    let (cost, at) = (&routing.cost_optimization, path.name("costOptimization"));
    check.amount(&at.name("maxCostPerRequest"), cost.max_cost_per_request);
    check.amount(&at.name("costThreshold"), cost.cost_threshold);
    check.amount(
        &at.name("budgetAlerts").name("daily"),
        cost.budget_alerts.daily,
    );
    check.amount(
        &at.name("budgetAlerts").name("monthly"),
        cost.budget_alerts.monthly,
    );
    check.within(
        &at.name("alertThreshold"),
        Some(cost.alert_threshold),
        SHARE,
    );
    let (speed, at) = (&routing.performance, path.name("performance"));
    check.positive(&at.name("timeout"), speed.timeout);
    check.positive(
        &at.name("concurrentRequests"),
        speed.concurrent_requests.map(u64::from),
    );
    check.within(&at.name("exploration"), Some(speed.exploration), SHARE);
    let (breaker, at) = (&speed.circuit_breaker, at.name("circuitBreaker"));
    check.positive(&at.name("threshold"), Some(breaker.threshold.into()));
    check.positive(&at.name("timeout"), breaker.timeout);
    check.positive(&at.name("resetTimeout"), Some(breaker.reset_timeout));
    let quality = routing.quality_optimization.minimum_quality;
    let at = path.name("qualityOptimization").name("minimumQuality");
    check.within(&at, quality, QUALITY);
}

fn price(price: &Price, path: &Path, check: &mut Check<'_>) {
    let prices = [
        ("input", price.input),
        ("output", price.output),
        ("cacheRead", price.cache_read),
        ("cacheWrite", price.cache_write),
        ("cacheWrite1h", price.cache_write_1h),
        ("inputAudio", price.input_audio),
        ("outputAudio", price.output_audio),
        ("request", price.request),
    ];
    for (name, price) in prices {
        check.amount(&path.name(name), price);
    }
}

impl Check<'_> {
    fn positive(&mut self, path: &Path, number: Option<u64>) {
        if number == Some(0) {
            self.error(path, "must be at least 1");
        }
    }

    fn at_most(&mut self, path: &Path, number: Option<u64>, most: u64) {
        if number.is_some_and(|number| number > most) {
            self.error(path, format!("must be at most {most}"));
        }
    }

    fn within(&mut self, path: &Path, number: Option<f64>, range: RangeInclusive<f64>) {
        if number.is_some_and(|number| !range.contains(&number)) {
            self.error(
                path,
                format!("must be from {} to {}", range.start(), range.end()),
            );
        }
    }

    fn amount(&mut self, path: &Path, amount: Option<Money>) {
        if amount.is_some_and(|amount| amount < Money::ZERO) {
            self.error(path, "must not be negative");
        }
    }
}
