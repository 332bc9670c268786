//! From the configuration to what the parts of the router go by.

use std::time::Duration;

use inhouse_chat::Money;
use inhouse_config::{
    BudgetPer, BudgetWindow, CircuitBreaker, DetectorAction, Performance, Price, RouterConfig,
};
use inhouse_ledger::{Budget, Override, Scope, Which, Window};
use inhouse_policy::{FindingAction, FindingRules};
use rust_decimal::Decimal;

use crate::breaker::BreakerConfig;
use crate::cache::{CacheConfig, Eviction};

/// Failures farther apart than this are not in a row.
const BREAKER_WINDOW: Duration = Duration::from_secs(60);
/// Answers in memory take no more than this, however many are allowed.
const CACHE_BYTES: usize = 64 << 20;

pub(crate) fn breaker(config: &CircuitBreaker) -> BreakerConfig {
    BreakerConfig {
        threshold: if config.enabled { config.threshold } else { 0 },
        window: BREAKER_WINDOW,
        reset: Duration::from_millis(config.reset_timeout),
    }
}

pub(crate) fn slots(config: &Performance) -> Option<usize> {
    usize::try_from(config.concurrent_requests?).ok()
}

pub(crate) fn cache(config: &inhouse_config::Cache) -> Option<CacheConfig> {
    config.enabled.then(|| CacheConfig {
        max_entries: usize::try_from(config.max_size).unwrap_or(usize::MAX),
        max_bytes: CACHE_BYTES,
        eviction: match config.strategy {
            inhouse_config::CacheStrategy::Lru => Eviction::Lru,
            inhouse_config::CacheStrategy::Fifo => Eviction::Fifo,
            inhouse_config::CacheStrategy::Lfu => Eviction::Lfu,
        },
    })
}

/// Names of kinds were checked when the configuration was read; one that is not known holds for nothing.
pub(crate) fn finding_rules(config: &inhouse_config::Detector) -> FindingRules {
    let by_kind = config.actions.iter().filter_map(|(kind, own)| {
        let kind = kind.parse().ok()?;
        Some((kind, action(*own)))
    });
    FindingRules {
        default: action(config.action),
        by_kind: by_kind.collect(),
        unreadable: action(config.unreadable),
    }
}

fn action(action: DetectorAction) -> FindingAction {
    match action {
        DetectorAction::Allow => FindingAction::Allow,
        DetectorAction::Mask => FindingAction::Mask,
        DetectorAction::RouteLocal => FindingAction::RouteLocal,
        DetectorAction::Block => FindingAction::Block,
    }
}

/// Budgets of the configuration, and the alerts of the old files, which are budgets of a day and a month.
pub(crate) fn budgets(config: &RouterConfig) -> Vec<Budget> {
    let own = config.budgets.iter().enumerate();
    let mut budgets: Vec<_> = own
        .flat_map(|(index, budget)| own_budgets(index, budget))
        .collect();
    let old = &config.routing.cost_optimization;
    let alerts = [
        (
            "routing.costOptimization.budgetAlerts.daily",
            old.budget_alerts.daily,
            Window::Day,
        ),
        (
            "routing.costOptimization.budgetAlerts.monthly",
            old.budget_alerts.monthly,
            Window::Month,
        ),
    ];
    for (id, limit, window) in alerts {
        if let Some(limit) = limit.filter(|_| old.enabled) {
            budgets.push(Budget {
                id: id.to_owned(),
                scope: Scope::Everything,
                window,
                limit,
                hard_stop: old.hard_stop,
                alert_at: thresholds(old.alert_threshold),
            });
        }
    }
    budgets
}

/// One for each name where names are given, else one that each has for itself.
fn own_budgets(index: usize, budget: &inhouse_config::Budget) -> Vec<Budget> {
    let whom = match budget.only.as_slice() {
        [] => vec![Which::Each],
        names => names.iter().cloned().map(Which::One).collect(),
    };
    let whom = if budget.per == BudgetPer::All {
        vec![Which::Each]
    } else {
        whom
    };
    let made = whom.into_iter().map(|which| {
        let suffix = match &which {
            Which::Each => String::new(),
            Which::One(name) => format!(" {name}"),
        };
        Budget {
            id: format!("budgets[{index}]{suffix}"),
            scope: scope(budget.per, which),
            window: match budget.window {
                BudgetWindow::Request => Window::Request,
                BudgetWindow::Day => Window::Day,
                BudgetWindow::Month => Window::Month,
                BudgetWindow::Total => Window::Total,
            },
            limit: budget.limit,
            hard_stop: budget.hard_stop,
            alert_at: thresholds(budget.alert_at),
        }
    });
    made.collect()
}

fn scope(per: BudgetPer, which: Which) -> Scope {
    match per {
        BudgetPer::All => Scope::Everything,
        BudgetPer::Key => Scope::Key(which),
        BudgetPer::Agent => Scope::Agent(which),
        BudgetPer::Provider => Scope::Provider(which),
        BudgetPer::Model => Scope::Model(which),
    }
}

/// Once at the configured share, once when it is all spent.
fn thresholds(share: f64) -> Vec<Decimal> {
    let share = Decimal::try_from(share).ok();
    share.into_iter().chain([Decimal::ONE]).collect()
}

pub(crate) fn prices(config: &RouterConfig) -> Vec<Override> {
    let providers = config.prices.iter();
    let all = providers.flat_map(|(provider, models)| {
        models
            .iter()
            .map(move |(model, price)| own_price(provider, model, price))
    });
    all.collect()
}

fn own_price(provider: &str, model: &str, price: &Price) -> Override {
    Override {
        provider: Some(provider.to_owned()),
        model: model.to_owned(),
        input: price.input.map(Money::amount),
        output: price.output.map(Money::amount),
        cache_read: price.cache_read.map(Money::amount),
        cache_write_5m: price.cache_write.map(Money::amount),
        cache_write_1h: price.cache_write_1h.map(Money::amount),
        input_audio: price.input_audio.map(Money::amount),
        output_audio: price.output_audio.map(Money::amount),
        request: price.request.map(Money::amount),
        context_window: None,
    }
}
