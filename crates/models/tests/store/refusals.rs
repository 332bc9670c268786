//! A hub that says no, or says what makes no sense.

use inhouse_models::StoreErrorKind;
use serde_json::json;

use super::fixture::{Fixture, expect_error, listing};
use super::hub::{FOLDER, Hub, REPO};
use super::server::Response;

/// Answers the first question with this status and error code, and expects this error.
#[track_caller]
fn check(status: u16, code: &str, token: bool, kind: StoreErrorKind, texts: &[&str]) {
    let hub = Hub::start();
    let code = code.to_owned();
    hub.trick("revision/main", move |_| {
        Some(Response::new(status, "").with("X-Error-Code", code.clone()))
    });
    let mut fixture = Fixture::of(&hub);
    if token {
        fixture = fixture.with_token("hf_secret");
    }
    expect_error(fixture.pull_sample(), kind, texts);
    assert_eq!(hub.hub.requests().len(), 1);
}

#[test]
fn logins() {
    let login = StoreErrorKind::Login;
    check(
        401,
        "RepoNotFound",
        false,
        login,
        &[REPO, "set HF_TOKEN", "does not exist"],
    );
    check(401, "", true, login, &["refused the token", REPO]);
    check(401, "GatedRepo", false, login, &["licence", "set HF_TOKEN"]);
    check(
        403,
        "GatedRepo",
        true,
        login,
        &["accept its licence at http://127.0.0.1", REPO],
    );
    check(403, "", false, login, &["licence"]);
}

#[test]
fn what_is_not_there() {
    let not_found = StoreErrorKind::NotFound;
    check(
        404,
        "RepoNotFound",
        false,
        not_found,
        &[REPO, "check owner and name"],
    );
    check(
        404,
        "RevisionNotFound",
        false,
        not_found,
        &["no branch, tag or commit \"main\""],
    );
    check(418, "", false, StoreErrorKind::Server, &["418"]);
}

#[test]
fn a_file_that_vanished_is_named() {
    let hub = Hub::start();
    let path = format!("resolve/{}/{FOLDER}/tokenizer.json", hub.state().commit);
    hub.trick(&path, |_| {
        Some(Response::new(404, "").with("X-Error-Code", "EntryNotFound"))
    });
    let error = Fixture::of(&hub).pull_sample();
    expect_error(
        error,
        StoreErrorKind::NotFound,
        &[REPO, "cpu/int4/tokenizer.json"],
    );
}

#[test]
fn file_names_do_not_leave_the_folder() {
    for path in [
        "../../evil",
        "/etc/evil",
        "cpu/int4/../../../evil",
        "cpu\\..\\evil",
        "c:/evil",
        "a//b",
    ] {
        let hub = Hub::start();
        let entry = json!({ "type": "file", "oid": "0".repeat(40), "size": 0, "path": path });
        hub.state().listed.push(entry);
        let fixture = Fixture::of(&hub);
        expect_error(
            fixture.pull_sample(),
            StoreErrorKind::Unsafe,
            &["leave the model's folder"],
        );
        assert!(hub.transfers().is_empty());
        assert!(listing(&fixture.cache()).is_empty());
    }
}

#[test]
fn answers_that_make_no_sense() {
    let blob = json!({ "type": "file", "oid": "../../evil", "size": 0, "path": "cpu/int4/x" });
    let tree = format!("tree/{}/{FOLDER}", "5ca1ab1e".repeat(5));
    let endless = Response::new(
        200,
        json!([{ "type": "directory", "path": "x" }]).to_string(),
    )
    .with(
        "Link",
        format!("</api/models/{REPO}/{tree}?recursive=true>; rel=\"next\""),
    );
    for (end, answer, text) in [
        (
            "revision/main",
            Response::new(200, "<html>"),
            "cannot be read",
        ),
        (
            "revision/main",
            Response::new(200, r#"{"sha":"../../evil"}"#),
            "commit",
        ),
        (&*tree, Response::new(200, "{}"), "cannot be read"),
        (
            &*tree,
            Response::new(200, json!([blob]).to_string()),
            "../../evil",
        ),
        (&*tree, endless, "no next page"),
    ] {
        let hub = Hub::start();
        hub.trick(end, move |_| Some(answer.clone()));
        let error = Fixture::of(&hub).pull_sample();
        expect_error(error, StoreErrorKind::Server, &["makes no sense", text]);
    }
}

#[test]
fn a_name_with_a_slip_is_answered_with_the_catalog() {
    let fixture = Fixture::new();
    let texts = ["phi4-mini", "phi-4-mini", "hf:owner"];
    expect_error(
        fixture.pull("phi4-mini"),
        StoreErrorKind::UnknownModel,
        &texts,
    );
    let store = fixture.store();
    expect_error(
        store.resolve("nosuch"),
        StoreErrorKind::UnknownModel,
        &["nothing yet", "phi-4-mini"],
    );
    expect_error(
        store.resolve("phi-4-mini"),
        StoreErrorKind::UnknownModel,
        &["inhouse pull phi-4-mini"],
    );
    expect_error(
        store.show("nosuch"),
        StoreErrorKind::UnknownModel,
        &["nosuch"],
    );
    let shown = store.show("Phi-4-mini").unwrap();
    assert!(shown.installed.is_none());
    assert_eq!(shown.catalog.unwrap().context, 131_072);
}
