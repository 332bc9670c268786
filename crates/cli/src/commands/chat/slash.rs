//! The commands inside a conversation: lines that begin with a slash.

/// A line of a conversation, understood.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing was said.
    Empty,
    /// Something for the model.
    Say(&'a str),
    Help,
    Clear,
    /// Show the instructions, or set them.
    System(Option<&'a str>),
    /// Show which model answers, or switch to another.
    Model(Option<&'a str>),
    Save(&'a str),
    Stats,
    Exit,
    /// A command that is not known or lacks its argument: what to say about it.
    Wrong(String),
}

/// Each command with its argument and what it does, as `/help` prints them.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("/help", "", "show this"),
    ("/clear", "", "forget the conversation; instructions stay"),
    (
        "/system",
        "[TEXT]",
        "show the instructions, or set them; \"/system -\" removes them",
    ),
    (
        "/model",
        "[NAME|FOLDER]",
        "show which model answers, or let another go on",
    ),
    (
        "/save",
        "FILE",
        "write the conversation: JSON where FILE ends in .json, else Markdown",
    ),
    ("/stats", "", "tokens, speed and memory so far"),
    ("/exit", "", "end; so does Ctrl-D"),
];

impl<'a> Line<'a> {
    /// A line that begins with two slashes says what follows the first one.
    pub(super) fn parse(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Empty;
        }
        if line.starts_with("//") {
            return Self::Say(&line[1..]);
        }
        if !line.starts_with('/') {
            return Self::Say(line);
        }
        let (command, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
        match (command, argument) {
            ("/help" | "/?", _) => Self::Help,
            ("/clear", _) => Self::Clear,
            ("/system", text) => Self::System(text),
            ("/model", name) => Self::Model(name),
            ("/save", Some(file)) => Self::Save(file),
            ("/save", None) => Self::Wrong("/save needs a file to write to: /save FILE".into()),
            ("/stats", _) => Self::Stats,
            ("/exit" | "/quit" | "/bye", _) => Self::Exit,
            _ => Self::Wrong(format!(
                "{command} is not a command; /help lists them, and a second slash says it to the model"
            )),
        }
    }
}

/// Whether more lines are to come: `"""` was opened and not closed.
pub(super) fn is_open(input: &str) -> bool {
    input.matches(QUOTES).count() % 2 == 1
}

/// The text, without the quotes that held its lines together.
pub(super) fn unquoted(input: &str) -> &str {
    let inner = input
        .trim()
        .strip_prefix(QUOTES)
        .and_then(|rest| rest.strip_suffix(QUOTES));
    match inner {
        Some(inner) if !inner.contains(QUOTES) => inner.trim_matches('\n'),
        _ => input,
    }
}

const QUOTES: &str = "\"\"\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_said() {
        let check =
            |line: &str, parsed: Line<'_>| assert_eq!(Line::parse(line), parsed, "{line:?}");
        check("  ", Line::Empty);
        check(" hello ", Line::Say("hello"));
        check("//etc is a folder", Line::Say("/etc is a folder"));
        check("/help", Line::Help);
        check("/clear", Line::Clear);
        check("/system", Line::System(None));
        check("/system  Be brief. ", Line::System(Some("Be brief.")));
        check("/system Be\nbrief.", Line::System(Some("Be\nbrief.")));
        check("/model phi-4-mini", Line::Model(Some("phi-4-mini")));
        check("/save my file.md", Line::Save("my file.md"));
        check("/stats", Line::Stats);
        check("/quit", Line::Exit);
        assert!(matches!(Line::parse("/save"), Line::Wrong(_)));
        assert!(matches!(Line::parse("/halp"), Line::Wrong(text) if text.contains("/halp")));
    }

    #[test]
    fn every_listed_command_is_known() {
        for (command, _, _) in COMMANDS {
            let line = format!("{command} x");
            assert!(
                !matches!(Line::parse(&line), Line::Wrong(_) | Line::Say(_)),
                "{command}"
            );
        }
    }

    #[test]
    fn quotes_hold_lines_together() {
        let check = |input: &str, text: Option<&str>| {
            assert_eq!(is_open(input), text.is_none(), "{input:?}");
            if let Some(text) = text {
                assert_eq!(unquoted(input), text, "{input:?}");
            }
        };
        check("one", Some("one"));
        check("one \\\n two", Some("one \\\n two"));
        check("\"\"\"one", None);
        check("\"\"\"one\n\ntwo\"\"\"", Some("one\n\ntwo"));
        check("\"\"\"\none\n\"\"\"", Some("one"));
        check("say \"\"\"x\"\"\" twice", Some("say \"\"\"x\"\"\" twice"));
    }
}
