//! Arguments: what is wrong is said, with status 2.

use insta::assert_snapshot;

use crate::support::User;

#[test]
fn wrong_usage_has_status_2() {
    let user = User::new();
    let check = |args: &[&str], said: &str| {
        let shown = user.run(args);
        assert!(shown.starts_with("status: 2\n"), "{args:?}: {shown}");
        assert!(
            shown.contains("----- stdout\n----- stderr"),
            "usage errors go to stderr: {shown}"
        );
        assert!(
            shown.contains(said),
            "{args:?} should say {said:?}: {shown}"
        );
    };
    check(&[], "Usage: inhouse");
    check(&["fly"], "unrecognized subcommand 'fly'");
    check(&["chat", "--fly"], "unexpected argument '--fly'");
    check(&["chat", "--temperature", "hot"], "not a number");
    check(&["chat", "--temperature", "-1", "x"], "must be 0 or more");
    check(&["chat", "--top-p", "1.5", "x"], "must be from 0 to 1");
    check(&["chat", "--max-tokens", "0", "x"], "0 is not in 1..");
    check(
        &["chat", "--repetition-penalty", "0", "x"],
        "must be more than 0",
    );
    check(&["chat", "--stop", "", "x"], "--stop");
    check(&["chat", "--threads", "0", "x"], "0 is not in 1..=1024");
    check(
        &["chat", "--kv", "f8", "x"],
        "possible values: f16, f32, i8",
    );
    check(
        &["chat", "--raw", "--system", "s", "x"],
        "cannot be used with",
    );
    check(&["chat"], "the prompt is empty");
    check(&["chat", ""], "the prompt is empty");
    check(&["perplexity"], "<FILE");
    check(
        &["perplexity", "a.txt", "--ids", "b.json"],
        "cannot be used with",
    );
    check(&["verify"], "<DIR>");
    check(
        &["verify", ".", "--mode", "rough"],
        "possible values: exact, default, both",
    );
    check(&["convert", "out"], "--from <FILE>");
    check(&["bench", "-r", "0"], "0 is not in 1..=1000");
    check(&["completions", "tcl"], "possible values: bash");
}

#[test]
fn settings_that_make_no_sense_are_wrong_usage() {
    let user = User::new();
    // Those named are the machine's, which differ.
    let shown = user.shown(
        &user
            .command(&["list"])
            .env("INHOUSE_ISA", "mmx")
            .output()
            .unwrap(),
    );
    let (said, here) = shown.split_once("it has ").unwrap();
    assert_snapshot!(said, @r#"
    status: 2
    ----- stdout
    ----- stderr
    error: INHOUSE_ISA is "mmx", which this machine does not have;
    "#);
    assert!(here.starts_with("portable"), "{here}");
    let mut homeless = user.command(&["list"]);
    let shown = user.shown(
        &homeless
            .env_remove("INHOUSE_HOME")
            .env_remove("HOME")
            .output()
            .unwrap(),
    );
    assert_snapshot!(shown, @r"
    status: 2
    ----- stdout
    ----- stderr
    error: no folder to keep models in: neither HOME nor XDG_DATA_HOME is set; give --home FOLDER
    ");
}

#[test]
fn the_version_is_the_crate_s() {
    let shown = User::new().run(&["--version"]);
    assert_eq!(
        shown,
        format!(
            "status: 0\n----- stdout\ninhouse {}\n----- stderr\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn every_shell_has_completions() {
    let user = User::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        // A package is built where there is no home.
        let mut command = user.command(&["completions", shell]);
        let shown = user.shown(
            &command
                .env_remove("INHOUSE_HOME")
                .env_remove("HOME")
                .output()
                .unwrap(),
        );
        assert!(
            shown.starts_with("status: 0\n") && shown.ends_with("----- stderr\n"),
            "{shell}: {shown}"
        );
        assert!(
            shown.contains("inhouse") && shown.contains("perplexity"),
            "{shell}"
        );
    }
}

/// `inhouse completions zsh | head -1`: a reader that has seen enough is no failure.
#[cfg(unix)]
#[test]
fn a_broken_pipe_ends_quietly() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("inhouse"))
        .args(["completions", "zsh"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
