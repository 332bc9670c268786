use rust_decimal::Decimal;

use super::*;
use crate::Ledger;

fn dollars(amount: &str) -> Money {
    Money::dollars(amount.parse().unwrap())
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

const NOON: &str = "2026-11-22T12:00:00Z";

fn ask<'a>(request: &'a str, most: &str) -> Ask<'a> {
    Ask {
        request,
        key: Some("team-a"),
        agent: None,
        provider: "anthropic",
        model: "claude-haiku-4-5",
        most: Some(dollars(most)),
        at: at(NOON),
        sent: true,
    }
}

fn budget(scope: Scope, window: Window, limit: &str) -> Budget {
    Budget {
        id: "b".into(),
        scope,
        window,
        limit: dollars(limit),
        hard_stop: true,
        alert_at: Vec::new(),
    }
}

fn ledger(budgets: impl IntoIterator<Item = Budget>) -> Ledger {
    let ledger = Ledger::in_memory().unwrap();
    ledger.set_budgets(budgets);
    ledger
}

/// Spent and reserved of the only counter.
fn balance(ledger: &Ledger) -> (Money, Money) {
    let balances = ledger.balances(at(NOON)).unwrap();
    assert!(balances.len() <= 1, "{balances:?}");
    balances
        .first()
        .map(|balance| (balance.spent, balance.reserved))
        .unwrap_or_default()
}

#[test]
fn what_is_reserved_is_settled_released_or_dropped() {
    let check = |end: fn(Reservation), spent: &str| {
        let ledger = ledger([budget(Scope::Everything, Window::Day, "10")]);
        let reservation = ledger.reserve(&ask("r", "4")).unwrap();
        assert_eq!(balance(&ledger), (Money::ZERO, dollars("4")));
        end(reservation);
        assert_eq!(balance(&ledger), (dollars(spent), Money::ZERO));
    };
    check(
        |held| drop(held.settle(Some(dollars("1.5"))).unwrap()),
        "1.5",
    );
    check(|held| drop(held.settle(Some(dollars("7"))).unwrap()), "7");
    check(|held| drop(held.settle(None).unwrap()), "4");
    check(|held| held.release().unwrap(), "0");
    check(drop, "4");
}

#[test]
fn what_was_not_sent_costs_nothing_when_dropped() {
    let ledger = ledger([budget(Scope::Everything, Window::Day, "10")]);
    let unsent = Ask {
        sent: false,
        ..ask("r", "4")
    };
    drop(ledger.reserve(&unsent).unwrap());
    assert_eq!(balance(&ledger), (Money::ZERO, Money::ZERO));
    let mut held = ledger.reserve(&unsent).unwrap();
    held.mark_sent().unwrap();
    drop(held);
    assert_eq!(balance(&ledger), (dollars("4"), Money::ZERO));
}

#[test]
fn a_budget_refuses_what_could_exceed_it() {
    let ledger = ledger([budget(Scope::Everything, Window::Day, "10")]);
    let held = ledger.reserve(&ask("r", "6")).unwrap();
    let Err(Refusal::Exceeded(exceeded)) = ledger.reserve(&ask("s", "4.01")) else {
        panic!("reserved more than there is");
    };
    assert_eq!(
        exceeded.to_string(),
        "the budget \"b\" allows $10.00: $0.00 is spent, $6.00 reserved, and this could cost $4.01"
    );
    held.settle(Some(dollars("1"))).unwrap();
    let _ = ledger.reserve(&ask("s", "9")).unwrap();
}
