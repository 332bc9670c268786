use std::collections::HashMap;

use proptest::prelude::*;
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

/// Whether a second request of `most` is refused after one of 6 out of 10.
fn check_scope(scope: Scope, change: fn(&mut Ask<'_>), refused: bool) {
    let ledger = ledger([budget(scope.clone(), Window::Day, "10")]);
    let _held = ledger.reserve(&ask("r", "6")).unwrap();
    let mut second = ask("s", "6");
    change(&mut second);
    assert_eq!(ledger.reserve(&second).is_err(), refused, "{scope:?}");
}

#[test]
fn a_budget_counts_what_is_in_its_scope() {
    let one = |name: &str| Which::One(name.into());
    check_scope(Scope::Everything, |ask| ask.provider = "openai", true);
    check_scope(Scope::Provider(one("anthropic")), |_| {}, true);
    check_scope(
        Scope::Provider(one("anthropic")),
        |ask| ask.provider = "openai",
        false,
    );
    check_scope(Scope::Provider(Which::Each), |_| {}, true);
    check_scope(
        Scope::Provider(Which::Each),
        |ask| ask.provider = "openai",
        false,
    );
    check_scope(Scope::Model(one("claude-haiku-4-5")), |_| {}, true);
    check_scope(
        Scope::Model(Which::Each),
        |ask| ask.model = "gpt-5.5",
        false,
    );
    check_scope(Scope::Key(one("team-a")), |_| {}, true);
    check_scope(Scope::Key(one("team-a")), |ask| ask.key = None, false);
    check_scope(
        Scope::Key(Which::Each),
        |ask| ask.key = Some("team-b"),
        false,
    );
    check_scope(Scope::Agent(Which::Each), |_| {}, true);
    check_scope(
        Scope::Agent(Which::Each),
        |ask| ask.agent = Some("coder"),
        false,
    );
    check_scope(Scope::Agent(one("coder")), |_| {}, false);
}

#[test]
fn windows_are_days_and_months_of_utc() {
    let check = |window: Window, first: &str, second: &str, refused: bool| {
        let ledger = ledger([budget(Scope::Everything, window, "10")]);
        let spend = |time| {
            ledger.reserve(&Ask {
                at: at(time),
                ..ask("r", "6")
            })
        };
        drop(spend(first).unwrap());
        assert_eq!(
            spend(second).is_err(),
            refused,
            "{window:?} {first} {second}"
        );
    };
    check(
        Window::Day,
        "2026-11-22T00:00:00Z",
        "2026-11-22T23:59:59Z",
        true,
    );
    check(
        Window::Day,
        "2026-11-22T23:59:59Z",
        "2026-11-23T00:00:00Z",
        false,
    );
    check(
        Window::Day,
        "2026-11-23T00:30:00+02:00",
        "2026-11-22T01:00:00Z",
        true,
    );
    check(
        Window::Month,
        "2026-11-01T00:00:00Z",
        "2026-11-30T23:59:59Z",
        true,
    );
    check(
        Window::Month,
        "2026-11-30T23:59:59Z",
        "2026-12-01T00:00:00Z",
        false,
    );
    check(
        Window::Month,
        "2026-11-22T12:00:00Z",
        "2027-11-22T12:00:00Z",
        false,
    );
    check(
        Window::Total,
        "2026-11-22T12:00:00Z",
        "2036-11-22T12:00:00Z",
        true,
    );
}

#[test]
fn a_settlement_counts_for_the_window_of_its_reservation() {
    let ledger = ledger([budget(Scope::Everything, Window::Day, "10")]);
    let late = Ask {
        at: at("2026-11-21T23:59:59Z"),
        ..ask("r", "6")
    };
    ledger
        .reserve(&late)
        .unwrap()
        .settle(Some(dollars("5")))
        .unwrap();
    assert_eq!(balance(&ledger), (Money::ZERO, Money::ZERO));
    assert_eq!(ledger.balances(late.at).unwrap()[0].spent, dollars("5"));
}

#[test]
fn all_attempts_of_a_request_share_its_budget() {
    let ledger = ledger([budget(Scope::Everything, Window::Request, "10")]);
    let first = ledger.reserve(&ask("r", "6")).unwrap();
    assert!(ledger.reserve(&ask("r", "5")).is_err());
    assert!(ledger.reserve(&ask("s", "10")).is_ok());
    first.settle(Some(dollars("4"))).unwrap();
    let second = ledger.reserve(&ask("r", "6")).unwrap();
    assert!(ledger.reserve(&ask("r", "0.01")).is_err());
    second.release().unwrap();
    assert!(ledger.reserve(&ask("r", "6.01")).is_err());
}

#[test]
fn a_refused_attempt_leaves_nothing_behind() {
    let day = budget(Scope::Everything, Window::Day, "5");
    let request = Budget {
        id: "request".into(),
        ..budget(Scope::Everything, Window::Request, "10")
    };
    let month = Budget {
        id: "month".into(),
        ..budget(Scope::Everything, Window::Month, "100")
    };
    let ledger = ledger([month, request, day]);
    for _ in 0..3 {
        assert!(ledger.reserve(&ask("r", "6")).is_err());
    }
    let left = ledger.balances(at(NOON)).unwrap();
    assert!(
        left.iter()
            .all(|left| left.spent + left.reserved == Money::ZERO),
        "{left:?}"
    );
    drop(ledger.reserve(&ask("r", "5")).unwrap());
}

#[test]
fn what_costs_nothing_is_never_refused_nor_written() {
    let ledger = ledger([budget(Scope::Everything, Window::Day, "0")]);
    ledger
        .reserve(&ask("r", "0"))
        .unwrap()
        .settle(Some(Money::ZERO))
        .unwrap();
    assert!(ledger.balances(at(NOON)).unwrap().is_empty());
    // A free model that was charged for all the same counts.
    ledger
        .reserve(&ask("r", "0"))
        .unwrap()
        .settle(Some(dollars("1")))
        .unwrap();
    assert_eq!(balance(&ledger), (dollars("1"), Money::ZERO));
}

#[test]
fn an_unknown_price_passes_only_where_nothing_stops() {
    let check = |hard_stop: bool| {
        let ledger = ledger([Budget {
            hard_stop,
            ..budget(Scope::Everything, Window::Day, "10")
        }]);
        let asked = ledger.reserve(&Ask {
            most: None,
            ..ask("r", "0")
        });
        match asked {
            Ok(held) => drop(held.settle(Some(dollars("2"))).unwrap()),
            Err(Refusal::Unpriced { budget, .. }) => {
                assert_eq!((budget.as_str(), hard_stop), ("b", true))
            }
            Err(other) => panic!("{other}"),
        }
        let spent = if hard_stop { Money::ZERO } else { dollars("2") };
        assert_eq!(balance(&ledger).0, spent);
    };
    check(true);
    check(false);
}

#[test]
fn each_threshold_is_told_of_once_in_a_window() {
    let part = |text: &str| text.parse::<Decimal>().unwrap();
    for window in [Window::Day, Window::Request] {
        let ledger = ledger([Budget {
            hard_stop: false,
            alert_at: vec![part("1"), part("0.5"), part("0.8")],
            ..budget(Scope::Everything, window, "10")
        }]);
        let spend = |amount: &str| -> Vec<Decimal> {
            let held = ledger.reserve(&ask("r", amount)).unwrap();
            let alerts = held.settle(Some(dollars(amount))).unwrap();
            alerts.iter().map(|alert| alert.threshold).collect()
        };
        assert_eq!(spend("4.99"), []);
        assert_eq!(spend("0.01"), [part("0.5")]);
        assert_eq!(spend("1"), []);
        assert_eq!(spend("5"), [part("0.8"), part("1")]);
        assert_eq!(spend("5"), []);
    }
}

#[test]
fn alerts_of_dropped_reservations_are_kept() {
    let ledger = ledger([Budget {
        alert_at: vec![Decimal::new(5, 1)],
        ..budget(Scope::Everything, Window::Day, "10")
    }]);
    drop(ledger.reserve(&ask("r", "6")).unwrap());
    assert_eq!(ledger.take_alerts().len(), 1);
    assert_eq!(ledger.take_alerts().len(), 0);
}

#[test]
fn two_hundred_requests_at_once_stay_within_the_limit() {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    let ledger = ledger([budget(Scope::Everything, Window::Day, "50")]);
    let cents_of_mock = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for thread in 0..200 {
            let (ledger, cents_of_mock) = (&ledger, &cents_of_mock);
            threads.spawn(move || {
                for turn in 0..5_u64 {
                    let Ok(held) = ledger.reserve(&ask(&format!("{thread}-{turn}"), "1")) else {
                        continue;
                    };
                    let cents = (thread + turn) % 101;
                    cents_of_mock.fetch_add(cents, SeqCst);
                    match cents {
                        0 => held.release().unwrap(),
                        100 => drop(held),
                        cents => drop(
                            held.settle(Some(Money::dollars(Decimal::new(cents as i64, 2))))
                                .unwrap(),
                        ),
                    }
                }
            });
        }
    });
    let (spent, reserved) = balance(&ledger);
    let mock = cents_of_mock.load(SeqCst);
    assert_eq!(spent, Money::dollars(Decimal::new(mock as i64, 2)));
    assert_eq!(reserved, Money::ZERO);
    assert!(spent <= dollars("50"));
    assert!(spent > dollars("49"), "stopped at {spent}, too early");
}

#[derive(Clone, Debug)]
enum Step {
    Reserve {
        request: u8,
        provider: bool,
        cents: u16,
        sent: bool,
        later: bool,
    },
    MarkSent(prop::sample::Index),
    Settle(prop::sample::Index, Option<u16>),
    Release(prop::sample::Index),
    Drop(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        3 => (0..3_u8, any::<bool>(), 0..400_u16, any::<bool>(), any::<bool>()).prop_map(
            |(request, provider, cents, sent, later)| Step::Reserve { request, provider, cents, sent, later }
        ),
        1 => index().prop_map(Step::MarkSent),
        2 => (index(), proptest::option::of(0..500_u16)).prop_map(|(at, cents)| Step::Settle(at, cents)),
        1 => index().prop_map(Step::Release),
        1 => index().prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 0..60)
}

/// The simplest ledger that there can be: counters by budget and window.
#[derive(Default)]
struct Model {
    counters: HashMap<(&'static str, String), (u64, u64)>,
}

/// A reservation: the real one, its counters, its amount, whether it was sent.
type Held = (Reservation, Vec<(&'static str, String)>, u64, bool);

impl Model {
    const LIMITS: [(&'static str, u64); 3] = [("day", 1_000), ("a", 600), ("request", 700)];

    fn keys(request: u8, provider: bool, later: bool) -> Vec<(&'static str, String)> {
        let mut keys = vec![
            (
                "day",
                if later { "2026-11-23" } else { "2026-11-22" }.to_owned(),
            ),
            ("request", request.to_string()),
        ];
        if provider {
            keys.push(("a", String::new()));
        }
        keys
    }

    fn allows(&self, keys: &[(&'static str, String)], cents: u64) -> bool {
        let limit = |name| Self::LIMITS.iter().find(|(id, _)| *id == name).unwrap().1;
        let used = |key| {
            self.counters
                .get(key)
                .map_or(0, |(spent, reserved)| spent + reserved)
        };
        cents == 0 || keys.iter().all(|key| used(key) + cents <= limit(key.0))
    }

    fn change(&mut self, keys: &[(&'static str, String)], reserve: i64, spend: u64) {
        for key in keys {
            let (spent, reserved) = self.counters.entry(key.clone()).or_default();
            *spent += spend;
            *reserved = reserved.checked_add_signed(reserve).unwrap();
        }
    }
}

fn cents(count: u64) -> Money {
    Money::dollars(Decimal::new(count as i64, 2))
}

fn agree(ledger: &Ledger, model: &Model) {
    for time in ["2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z"] {
        for balance in ledger.balances(at(time)).unwrap() {
            let id = ["day", "a"]
                .into_iter()
                .find(|id| *id == balance.budget)
                .unwrap();
            let (spent, reserved) = model.counters[&(id, balance.period.clone())];
            assert_eq!(
                (balance.spent, balance.reserved),
                (cents(spent), cents(reserved))
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_agrees_with_the_simplest_ledger(steps in steps()) {
        let with = |id: &str, scope, window, limit: u64| Budget {
            id: id.into(),
            limit: cents(limit),
            ..budget(scope, window, "0")
        };
        let a = Scope::Provider(Which::One("a".into()));
        let ledger = ledger([
            with("day", Scope::Everything, Window::Day, 1_000),
            with("a", a, Window::Total, 600),
            with("request", Scope::Everything, Window::Request, 700),
        ]);
        let mut model = Model::default();
        let mut held: Vec<Held> = Vec::new();
        for step in steps {
            let take = |held: &mut Vec<Held>, at: prop::sample::Index| {
                (!held.is_empty()).then(|| held.swap_remove(at.index(held.len())))
            };
            match step {
                Step::Reserve { request, provider, cents: amount, sent, later } => {
                    let keys = Model::keys(request, provider, later);
                    let asked = ledger.reserve(&Ask {
                        request: &request.to_string(),
                        provider: if provider { "a" } else { "b" },
                        most: Some(cents(amount.into())),
                        at: at(if later { "2026-11-23T12:00:00Z" } else { NOON }),
                        sent,
                        ..ask("", "0")
                    });
                    prop_assert_eq!(asked.is_ok(), model.allows(&keys, amount.into()));
                    if let Ok(reservation) = asked {
                        model.change(&keys, amount.into(), 0);
                        held.push((reservation, keys, amount.into(), sent));
                    }
                }
                Step::MarkSent(at) => {
                    if !held.is_empty() {
                        let at = at.index(held.len());
                        held[at].0.mark_sent().unwrap();
                        held[at].3 = true;
                    }
                }
                Step::Settle(at, actual) => {
                    if let Some((reservation, keys, amount, _)) = take(&mut held, at) {
                        let spent = actual.map_or(amount, u64::from);
                        reservation.settle(actual.map(|actual| cents(actual.into()))).unwrap();
                        model.change(&keys, -(amount as i64), spent);
                    }
                }
                Step::Release(at) => {
                    if let Some((reservation, keys, amount, _)) = take(&mut held, at) {
                        reservation.release().unwrap();
                        model.change(&keys, -(amount as i64), 0);
                    }
                }
                Step::Drop(at) => {
                    if let Some((reservation, keys, amount, sent)) = take(&mut held, at) {
                        drop(reservation);
                        model.change(&keys, -(amount as i64), if sent { amount } else { 0 });
                    }
                }
            }
            agree(&ledger, &model);
        }
    }
}
