use super::*;
use crate::Ledger;

fn receipt(number: u64) -> Receipt {
    Receipt {
        at: Timestamp::from_microsecond(1_800_000_000_000_000 + number as i64).unwrap(),
        request: format!("request-{number}"),
        rule: number.is_multiple_of(2).then(|| "rule".to_owned()),
        ceiling: Zone::Cloud,
        used: Some(Zone::Cloud),
        recipients: vec![Recipient {
            provider: ProviderName::from("anthropic"),
            zone: Zone::Cloud,
            bytes: 1_000 + number,
        }],
        cost: (number != 3).then(|| Money::dollars("0.0125".parse().unwrap())),
    }
}

/// A chain of five.
fn chain() -> Ledger {
    let ledger = Ledger::in_memory().unwrap();
    (1..=5).for_each(|number| ledger.record_receipt(receipt(number)).unwrap());
    ledger.flush().unwrap();
    ledger
}

fn outcome(result: Result<u64, VerifyError>) -> Result<u64, (u64, Tampering)> {
    result.map_err(|error| match error {
        VerifyError::Broken(broken) => (broken.seq, broken.why),
        VerifyError::Ledger(error) => panic!("{error}"),
    })
}

#[test]
fn receipts_come_back_as_they_were_the_newest_first() {
    let ledger = chain();
    let last = ledger.receipts(2).unwrap();
    assert_eq!(
        last.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [5, 4]
    );
    assert_eq!(last[0].receipt, receipt(5));
    assert_eq!(ledger.receipts(99).unwrap()[2].receipt, receipt(3));
    assert_eq!(ledger.verify().unwrap(), 5);
    let head = ledger.head().unwrap().unwrap();
    assert_eq!((head.seq, head.hash), (5, last[0].hash));
    assert_eq!(ledger.verify_against(&head).unwrap(), 5);
}

#[test]
fn an_empty_chain_is_whole() {
    let ledger = Ledger::in_memory().unwrap();
    assert_eq!(ledger.verify().unwrap(), 0);
    assert_eq!(ledger.head().unwrap(), None);
}

#[test]
fn nothing_can_be_changed_unseen() {
    let check = |sql: &str, seq: u64, why: Tampering| {
        let ledger = chain();
        ledger.shared.write(|db| db.execute_batch(sql)).unwrap();
        assert_eq!(outcome(ledger.verify()), Err((seq, why)), "{sql}");
    };
    use Tampering::{Added, Changed, Missing};
    check("UPDATE receipts SET cost = '0' WHERE seq = 2", 2, Changed);
    check("UPDATE receipts SET cost = NULL WHERE seq = 2", 2, Changed);
    check("UPDATE receipts SET cost = '0' WHERE seq = 3", 3, Changed);
    check(
        "UPDATE receipts SET cost = 'much' WHERE seq = 5",
        5,
        Changed,
    );
    check("UPDATE receipts SET at = at + 1 WHERE seq = 1", 1, Changed);
    check("UPDATE receipts SET rule = '' WHERE seq = 1", 1, Changed);
    check(
        "UPDATE receipts SET request = 'other' WHERE seq = 4",
        4,
        Changed,
    );
    check(
        "UPDATE receipts SET ceiling = 'device' WHERE seq = 4",
        4,
        Changed,
    );
    check(
        "UPDATE receipts SET ceiling = 'moon' WHERE seq = 4",
        4,
        Changed,
    );
    check("UPDATE receipts SET used = NULL WHERE seq = 4", 4, Changed);
    check(
        "UPDATE receipts SET recipients = '[]' WHERE seq = 4",
        4,
        Changed,
    );
    check(
        "UPDATE receipts SET recipients = '[[\"anthropic\",\"cloud\",1]]' WHERE seq = 4",
        4,
        Changed,
    );
    check("UPDATE receipts SET hash = x'00' WHERE seq = 4", 4, Changed);
    check(
        "UPDATE receipts SET hash = randomblob(32) WHERE seq = 5",
        5,
        Changed,
    );
    // removed
    check("DELETE FROM receipts WHERE seq = 1", 1, Missing);
    check("DELETE FROM receipts WHERE seq = 3", 3, Missing);
    check("DELETE FROM receipts WHERE seq = 5", 5, Missing);
    check("DELETE FROM receipts", 1, Missing);
    // removed, and the numbers closed up
    check(
        "DELETE FROM receipts WHERE seq = 3; UPDATE receipts SET seq = seq - 1 WHERE seq > 3",
        3,
        Changed,
    );
    // reordered
    check(
        "UPDATE receipts SET seq = 9 WHERE seq = 2; UPDATE receipts SET seq = 2 WHERE seq = 3;
         UPDATE receipts SET seq = 3 WHERE seq = 9",
        2,
        Changed,
    );
    // put in
    check(
        "INSERT INTO receipts SELECT 6, at, request, rule, ceiling, used, recipients, cost, hash FROM receipts WHERE seq = 5",
        6,
        Changed,
    );
    check(
        "INSERT INTO receipts SELECT 0, at, request, rule, ceiling, used, recipients, cost, hash FROM receipts WHERE seq = 5",
        1,
        Missing,
    );
    // the head alone
    check("UPDATE receipts_head SET hash = randomblob(32)", 5, Changed);
    check("UPDATE receipts_head SET seq = 4", 5, Added);
    check("UPDATE receipts_head SET seq = 6", 6, Missing);
    check("DELETE FROM receipts_head", 1, Added);
}

#[test]
fn a_chain_that_was_made_anew_does_not_have_the_head_that_was_kept() {
    let check = |receipts: &[u64], expected: Result<u64, (u64, Tampering)>| {
        let ledger = chain();
        let kept = ledger.head().unwrap().unwrap();
        let sql = "DELETE FROM receipts; DELETE FROM receipts_head";
        ledger.shared.write(|db| db.execute_batch(sql)).unwrap();
        for number in receipts {
            ledger.record_receipt(receipt(*number)).unwrap();
        }
        assert_eq!(ledger.verify().unwrap(), receipts.len() as u64);
        assert_eq!(
            outcome(ledger.verify_against(&kept)),
            expected,
            "{receipts:?}"
        );
    };
    check(&[1, 2, 3, 4, 5], Ok(5));
    check(&[1, 2, 3, 4, 5, 6], Ok(6));
    check(&[1, 2, 3, 4, 6], Err((5, Tampering::Rewritten)));
    check(&[1, 2, 3, 4], Err((5, Tampering::Missing)));
    check(&[], Err((1, Tampering::Missing)));
}

#[test]
fn a_head_can_be_kept_as_text() {
    let head = chain().head().unwrap().unwrap();
    assert_eq!(head.to_string().parse(), Ok(head));
    for text in [
        "",
        "5",
        "5:",
        "x:00",
        "5:zz",
        &format!("5:{}", "é".repeat(32)),
    ] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
}
