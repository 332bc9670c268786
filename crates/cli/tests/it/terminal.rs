//! A conversation on a terminal, typed through a pseudo-terminal.

use std::process::Command;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::support::{Answering, User, wait, zoo};

/// Far longer than anything takes; a test that waits for it has failed.
const PATIENCE_MS: u64 = 60_000;
/// The line editor switches this on when it begins to listen, and off when a line is done.
const BRACKETED_PASTE: &str = "\u{1b}[?2004h";
const LINE_DONE: &str = "\u{1b}[?2004l";

fn talk(user: &User, model: &str, more: &[&str]) -> PtySession {
    let mut args = vec!["chat", "-m"];
    let folder = zoo(model);
    args.push(folder.to_str().unwrap());
    args.extend(more);
    let mut command = program(user, &args);
    command.env("INHOUSE_OFFLINE", "1");
    begin(command)
}

fn program(user: &User, args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("inhouse"));
    command
        .args(args)
        .current_dir(user.folder.path())
        .env_clear()
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env("HOME", user.folder.path())
        .env("INHOUSE_HOME", user.path("home"));
    command
}

fn begin(command: Command) -> PtySession {
    let mut session = spawn_command(command, Some(PATIENCE_MS)).unwrap();
    session.exp_string("/help lists commands").unwrap();
    ready(&mut session);
    session
}

/// Waits for the next prompt: what is typed before it belongs to nobody.
fn ready(session: &mut PtySession) {
    session.exp_string(BRACKETED_PASTE).unwrap();
}

fn says(session: &mut PtySession, line: &str, answer: &str) {
    session.send_line(line).unwrap();
    session
        .exp_string(answer)
        .unwrap_or_else(|error| panic!("{line:?} should give {answer:?}: {error}"));
}

#[test]
fn commands_of_a_conversation() {
    let user = User::new();
    let mut session = talk(&user, "llama-fp32", &["--max-tokens", "5"]);
    says(&mut session, "/help", "/save FILE");
    says(&mut session, "/system", "no instructions");
    says(
        &mut session,
        "/system Be brief.",
        "hold from the next answer on",
    );
    says(&mut session, "/system", "Be brief.");
    says(&mut session, "hello there", LINE_DONE);
    says(&mut session, "/stats", "context");
    says(&mut session, "/save talk.json", "written to talk.json");
    says(&mut session, "/halp", "/halp is not a command");
    says(&mut session, "/model nowhere", "llama-fp32 stays");
    says(
        &mut session,
        &format!("/model {}", zoo("qwen3-int8").display()),
        "qwen3-int8 goes on",
    );
    says(&mut session, "/clear", "is forgotten");
    says(&mut session, "/save talk.md", "written to talk.md");
    session.send_line("/exit").unwrap();
    session.exp_eof().unwrap();

    let talk: serde_json::Value =
        serde_json::from_slice(&std::fs::read(user.path("talk.json")).unwrap()).unwrap();
    let roles: Vec<&str> = talk["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    assert_eq!(talk["messages"][1]["content"], "hello there");
    let forgotten = std::fs::read_to_string(user.path("talk.md")).unwrap();
    assert!(
        forgotten.contains("Be brief.") && !forgotten.contains("hello there"),
        "{forgotten}"
    );
    let history = std::fs::read_to_string(user.path("home/history.txt")).unwrap();
    assert!(history.contains("hello there"), "{history}");
}

#[test]
fn control_c_stops_the_answer_and_control_d_ends() {
    let user = User::new();
    // This model never ends by itself.
    let mut session = talk(&user, "phi4mini-fp32", &["--max-tokens", "4000"]);
    session.send_line("hello there").unwrap();
    session.exp_string(LINE_DONE).unwrap();
    session.exp_regex("[^\\s]").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("stopped").unwrap();
    ready(&mut session);
    says(&mut session, "/system", "no instructions");
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn several_lines_are_one_prompt() {
    let user = User::new();
    let mut session = talk(&user, "llama-fp32", &["--max-tokens", "2"]);
    session.send_line("\"\"\"one").unwrap();
    says(&mut session, "two\"\"\"", LINE_DONE);
    says(&mut session, "/save talk.json", "written to talk.json");
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();
    let talk: serde_json::Value =
        serde_json::from_slice(&std::fs::read(user.path("talk.json")).unwrap()).unwrap();
    assert_eq!(talk["messages"][0]["content"], "one\ntwo");
}

/// A user whose one provider is `up`.
fn user_with(up: &Answering) -> User {
    let user = User::new();
    user.write(
        "router.config.json",
        &format!(
            r#"{{"providers": {{"up": {{"type": "custom", "baseUrl": "{}/v1", "models": {{"default": "m1"}}}}}}}}"#,
            up.url()
        ),
    );
    user
}

#[test]
fn control_c_stops_a_single_answer_and_its_upstream() {
    let up = Answering::start();
    up.upstream.always(up.streamed().silent_after(250));
    let user = user_with(&up);
    let command = program(&user, &["chat", "hello", "--provider", "up"]);
    let mut session = spawn_command(command, Some(PATIENCE_MS)).unwrap();
    session.exp_string("Hello").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("cancelled]").unwrap();
    session.exp_eof().unwrap();
    let status = session.process().wait().unwrap();
    assert!(matches!(status, WaitStatus::Exited(_, 130)), "{status:?}");
    wait(up.upstream.left(1));
    let receipts = user.json(&["receipts", "--json"]);
    assert_eq!(receipts[0]["recipients"][0]["provider"], "up");
}

#[test]
fn a_conversation_through_the_router_remembers_and_stops() {
    let up = Answering::start();
    let user = user_with(&up);
    let mut session = begin(program(&user, &["chat", "--provider", "up"]));
    says(&mut session, "hello", "Hello there");
    ready(&mut session);
    says(&mut session, "and again", "Hello there");
    ready(&mut session);
    let asked = up.upstream.requests()[1].json();
    let turns: Vec<_> = asked["messages"].as_array().unwrap().iter().collect();
    let said: Vec<_> = turns
        .iter()
        .map(|turn| turn["content"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["hello", "Hello there", "and again"]);
    says(&mut session, "/model m2", "router, m2 goes on");
    says(&mut session, "/stats", "last answer by  up m1, cloud");

    up.upstream.always(up.streamed().silent_after(250));
    says(&mut session, "go on", "Hello");
    session.send_control('c').unwrap();
    session.exp_string("stopped").unwrap();
    wait(up.upstream.left(1));
    assert_eq!(up.upstream.requests()[2].json()["model"], "m2");
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();
}
