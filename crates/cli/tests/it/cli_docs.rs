//! `docs/cli.md` is what `--help` prints. `INHOUSE_BLESS=1 cargo test -p inhouse-cli docs` writes it anew.

use std::path::Path;

use crate::support::User;

const COMMANDS: &[&str] = &[
    "chat",
    "embed",
    "pull",
    "list",
    "show",
    "rm",
    "update",
    "convert",
    "runtime",
    "config",
    "providers",
    "route",
    "usage",
    "receipts",
    "prices",
    "bench",
    "perplexity",
    "verify",
    "compare",
    "doctor",
    "completions",
];

/// Commands of commands.
const NESTED: &[&[&str]] = &[
    &["runtime", "install"],
    &["runtime", "list"],
    &["runtime", "remove"],
    &["config", "init"],
    &["config", "validate"],
    &["config", "show"],
    &["config", "schema"],
    &["config", "migrate"],
    &["providers", "test"],
    &["route", "explain"],
    &["receipts", "verify"],
    &["prices", "show"],
    &["prices", "update"],
];

fn help(user: &User, args: &[&str]) -> String {
    let output = user.command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    format!(
        "```text\n$ inhouse {}\n{}\n```\n",
        args.join(" "),
        lines.join("\n")
    )
}

#[test]
fn docs_are_what_help_prints() {
    let user = User::new();
    let overview = help(&user, &["--help"]);
    for command in COMMANDS {
        assert!(
            overview.contains(&format!("\n  {command} ")),
            "{command} is not in the overview"
        );
    }
    let is_command = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let listed = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    let listed = listed
        .take_while(|line| !line.is_empty())
        .filter(is_command);
    assert_eq!(
        listed.count(),
        COMMANDS.len() + 1,
        "a command is missing here: {overview}"
    ); // and `help`
    let mut page = format!("{}\n{overview}", include_str!("cli_docs.md"));
    for command in COMMANDS {
        page.push_str(&format!(
            "\n## {command}\n\n{}",
            help(&user, &[command, "--help"])
        ));
        let nested = NESTED.iter().filter(|nested| nested[0] == *command);
        for nested in nested {
            let mut args = nested.to_vec();
            args.push("--help");
            page.push_str(&format!(
                "\n### {}\n\n{}",
                nested.join(" "),
                help(&user, &args)
            ));
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if std::env::var_os("INHOUSE_BLESS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        written, page,
        "docs/cli.md is old: INHOUSE_BLESS=1 cargo test -p inhouse-cli docs"
    );
}
