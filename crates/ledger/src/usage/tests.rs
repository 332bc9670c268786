use super::*;

fn dollars(amount: &str) -> Money {
    Money::dollars(amount.parse().unwrap())
}

fn attempt(time: &str, provider: &str, cost: Option<&str>) -> Attempt {
    let at = time.parse().unwrap();
    Attempt {
        usage: Usage {
            input: 10,
            output: 20,
            cache_read: 30,
            cache_write_5m: 40,
            cache_write_1h: 50,
            ..Usage::default()
        },
        cost: cost.map(dollars),
        ..Attempt::new(
            at,
            "r",
            ProviderName::from(provider),
            ModelName::from("m"),
            Zone::Cloud,
        )
    }
}

/// Three attempts on two days.
fn ledger() -> Ledger {
    let ledger = Ledger::in_memory().unwrap();
    let record = |attempt| ledger.record(attempt).unwrap();
    record(attempt("2026-11-21T23:59:59Z", "openai", Some("0.1")));
    record(Attempt {
        agent: Some("coder".into()),
        answered: Some(ModelName::from("m-2026")),
        ..attempt("2026-11-22T00:00:00Z", "anthropic", Some("0.2"))
    });
    record(Attempt {
        failure: Some(Failure::CutOff),
        estimated: true,
        ..attempt("2026-11-22T10:00:00Z", "openai", None)
    });
    record(Attempt {
        zone: Zone::Device,
        cached: true,
        saved: Some(dollars("0.05")),
        ..attempt("2026-11-22T23:59:59Z", "onnx-local", Some("0"))
    });
    ledger
}

fn report(by: By, from: &str, to: &str) -> Report {
    ledger()
        .report(by, from.parse().unwrap(), to.parse().unwrap())
        .unwrap()
}

#[test]
fn attempts_add_up_by_what_is_asked() {
    let check = |by: By, expected: &[(&str, u64, &str)]| {
        let report = report(by, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        let rows = report.rows.iter();
        let rows = rows.map(|row| (row.name.as_str(), row.attempts, row.cost));
        let expected = expected
            .iter()
            .map(|(name, count, cost)| (*name, *count, dollars(cost)));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{by:?}"
        );
    };
    check(
        By::Provider,
        &[
            ("anthropic", 1, "0.2"),
            ("openai", 2, "0.1"),
            ("onnx-local", 1, "0"),
        ],
    );
    check(By::Agent, &[("coder", 1, "0.2"), ("", 3, "0.1")]);
    check(By::Model, &[("m-2026", 1, "0.2"), ("m", 3, "0.1")]);
    check(
        By::Day,
        &[("2026-11-21", 1, "0.1"), ("2026-11-22", 3, "0.2")],
    );
}

#[test]
fn unknown_costs_failures_and_savings_are_counted() {
    let report = report(By::Provider, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
    let expected = ReportRow {
        name: String::new(),
        attempts: 3,
        failed: 1,
        cached: 1,
        input: 30,
        output: 60,
        cache_read: 90,
        cache_write: 270,
        cost: dollars("0.2"),
        unknown_cost: 1,
        estimated: 1,
        saved: dollars("0.05"),
    };
    assert_eq!(report.total, expected);
}

#[test]
fn sums_are_exact() {
    let ledger = Ledger::in_memory().unwrap();
    for _ in 0..1_000 {
        let tenth = attempt("2026-11-22T00:00:00Z", "openai", Some("0.0000000001"));
        ledger.record(tenth).unwrap();
    }
    let (from, to) = (Timestamp::MIN, Timestamp::MAX);
    assert_eq!(
        ledger.report(By::Day, from, to).unwrap().total.cost,
        dollars("0.0000001")
    );
}
