//! The order in which candidates are asked: one function a mode.

use std::cmp::Ordering;

use inhouse_chat::{Money, ProviderName};
use inhouse_config::{CostOptimization, Mode};

use crate::candidate::{Candidate, PassedOver, Skipped};
use crate::random::Random;

/// What the order depends on besides the candidates.
pub(crate) struct Wish<'a> {
    pub(crate) mode: Mode,
    pub(crate) default: Option<&'a ProviderName>,
    pub(crate) cost: &'a CostOptimization,
    pub(crate) minimum_quality: Option<f64>,
    /// The share of requests that measure somebody else than the fastest.
    pub(crate) exploration: f64,
    pub(crate) random: &'a Random,
}

/// Puts `candidates` in the order in which they are asked, and says why some are not.
pub(crate) fn order(candidates: Vec<Candidate>, wish: &Wish<'_>) -> (Vec<Candidate>, Vec<Skipped>) {
    match wish.mode {
        // As configured: the named or default one first, then the chain.
        Mode::Manual | Mode::RuleBased => (candidates, Vec::new()),
        Mode::CostOptimized => (cheapest_first(candidates, wish), Vec::new()),
        Mode::PerformanceOptimized => (fastest_first(candidates, wish), Vec::new()),
        Mode::QualityOptimized => good_enough(candidates, wish.minimum_quality),
    }
}

/// Free ones first; those of unknown price last, for nobody can say that they are cheap.
fn cheapest_first(mut candidates: Vec<Candidate>, wish: &Wish<'_>) -> Vec<Candidate> {
    if !wish.cost.prefer_cheaper {
        return candidates;
    }
    candidates.sort_by(|a, b| by_cost(a.expected, b.expected));
    // Below the threshold a price does not matter, and the default stays.
    let small = |cost: Option<Money>| {
        cost.zip(wish.cost.cost_threshold)
            .is_some_and(|(cost, limit)| cost < limit)
    };
    let default = candidates.iter().position(|candidate| {
        Some(candidate.member.name()) == wish.default && small(candidate.expected)
    });
    if let Some(default) = default {
        candidates[..=default].rotate_right(1);
    }
    candidates
}

fn by_cost(a: Option<Money>, b: Option<Money>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then(a.cmp(&b))
}

/// Two are drawn and the faster of them is asked: near the best, and without everybody going to the one that was best a
/// moment ago (Mitzenmacher, "The power of two choices in randomized load balancing", 2001). Now and then somebody who
/// was not measured lately goes first. The others follow, fastest first.
fn fastest_first(mut candidates: Vec<Candidate>, wish: &Wish<'_>) -> Vec<Candidate> {
    candidates.sort_by(by_duration);
    if candidates.len() < 2 {
        return candidates;
    }
    let first = if wish.random.fraction() < wish.exploration {
        let unmeasured = candidates.iter().position(|one| one.duration.is_none());
        unmeasured.unwrap_or_else(|| wish.random.below(candidates.len()))
    } else {
        let one = wish.random.below(candidates.len());
        let other = (one + 1 + wish.random.below(candidates.len() - 1)) % candidates.len();
        one.min(other) // they are sorted
    };
    candidates[..=first].rotate_right(1);
    candidates
}

fn by_duration(a: &Candidate, b: &Candidate) -> Ordering {
    let unmeasured = |one: &Candidate| one.duration.is_none();
    unmeasured(a)
        .cmp(&unmeasured(b))
        .then(a.duration.cmp(&b.duration))
}

/// With a minimum, the cheapest that reaches it; without one, the best, and the cheaper of equals.
fn good_enough(candidates: Vec<Candidate>, minimum: Option<f64>) -> (Vec<Candidate>, Vec<Skipped>) {
    let Some(minimum) = minimum else {
        return (best_first(candidates), Vec::new());
    };
    let mut good = Vec::new();
    let mut skipped = Vec::new();
    for candidate in candidates {
        let why = match candidate.quality {
            Some(quality) if quality >= minimum => {
                good.push(candidate);
                continue;
            }
            Some(quality) => PassedOver::BelowQuality(quality, minimum),
            None => PassedOver::QualityUnknown(minimum),
        };
        skipped.push(Skipped {
            provider: candidate.member.name().clone(),
            model: Some(candidate.model.clone()),
            why,
        });
    }
    good.sort_by(|a, b| by_cost(a.expected, b.expected));
    (good, skipped)
}

fn best_first(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(|a, b| {
        let better = |one: &Candidate| one.quality.unwrap_or(f64::NEG_INFINITY);
        better(b)
            .total_cmp(&better(a))
            .then_with(|| by_cost(a.expected, b.expected))
    });
    candidates
}
