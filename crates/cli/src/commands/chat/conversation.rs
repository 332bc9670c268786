//! A conversation on a terminal: line editing, history, and commands that begin with a slash.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Cmd, ColorMode, Config, Editor, Helper, KeyCode, KeyEvent, Modifiers};

use super::slash::{self, COMMANDS, Line};
use super::talk::Talk;
use super::{Context, transcript};
use crate::failure;
use crate::output::Table;
use crate::terminal::Style;

/// Lines that the history file keeps.
const HISTORY_LINES: usize = 2000;
const PROMPT: &str = "> ";

/// Whether the conversation goes on after a line.
#[derive(PartialEq)]
enum Next {
    GoOn,
    End,
}

pub(super) fn run(partner: Box<dyn Talk>, context: &Context) -> anyhow::Result<ExitCode> {
    context.interrupt.never_end();
    let mut conversation = Conversation { partner, context };
    context.out.line(format!(
        "{}: /help lists commands, Ctrl-D ends",
        conversation.partner.name()
    ))?;
    let mut editor = Lines::open(&context.settings.home, context.terminal.colours())?;
    while let Some(line) = editor.next()? {
        if conversation.line(slash::unquoted(&line))? == Next::End {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Conversation<'a> {
    partner: Box<dyn Talk>,
    context: &'a Context,
}

impl Conversation<'_> {
    fn line(&mut self, line: &str) -> anyhow::Result<Next> {
        match Line::parse(line) {
            Line::Empty => {}
            Line::Say(text) => self.say(text)?,
            Line::Help => self.help()?,
            Line::Clear => {
                self.partner.clear();
                self.note("the conversation is forgotten")?;
            }
            Line::System(None) => {
                let text = self
                    .partner
                    .system()
                    .unwrap_or("no instructions")
                    .to_owned();
                self.note(&text)?;
            }
            Line::System(Some(text)) => {
                self.partner
                    .set_system(Some(text).filter(|&text| text != "-"));
                self.note("the instructions hold from the next answer on")?;
            }
            Line::Model(None) => {
                let about = self.partner.about();
                self.note(&about)?;
            }
            Line::Model(Some(name)) => self.switch(name)?,
            Line::Save(file) => self.save(Path::new(file))?,
            Line::Stats => {
                let table = self.partner.totals();
                self.context.out.table(&table)?;
            }
            Line::Exit => return Ok(Next::End),
            Line::Wrong(why) => self.note(&why)?,
        }
        Ok(Next::GoOn)
    }

    /// A failed answer ends neither the conversation nor what was said before it.
    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        let out = &self.context.out;
        match self
            .partner
            .say(text.to_owned(), self.context, &mut |piece| out.piece(piece))
        {
            Ok(answer) => {
                out.piece(if answer.text.ends_with('\n') {
                    "\n"
                } else {
                    "\n\n"
                })?;
                if answer.interrupted {
                    self.note("stopped")?;
                }
            }
            Err(error) => drop(failure::report(&error)),
        }
        Ok(())
    }

    fn switch(&mut self, name: &str) -> anyhow::Result<()> {
        match self.partner.switch(name, self.context) {
            Ok(()) => self.note(&format!("{} goes on", self.partner.name())),
            Err(error) => {
                failure::report(&error);
                self.note(&format!("{} stays", self.partner.name()))
            }
        }
    }

    fn save(&self, file: &Path) -> anyhow::Result<()> {
        match transcript::write(file, &self.partner.name(), &self.partner.messages()) {
            Ok(()) => self.note(&format!("written to {}", file.display())),
            Err(error) => {
                failure::report(
                    &anyhow::Error::new(error).context(format!("cannot write {}", file.display())),
                );
                Ok(())
            }
        }
    }

    fn help(&self) -> anyhow::Result<()> {
        let mut table = Table::facts();
        for (command, argument, what) in COMMANDS {
            table.row([format!("{command} {argument}"), (*what).to_owned()]);
        }
        table.row([
            "\"\"\" .. \"\"\"",
            "text of several lines; Alt-Enter begins a new line as well",
        ]);
        table.row(["Ctrl-C", "stop the answer"]);
        Ok(self.context.out.table(&table)?)
    }

    fn note(&self, text: &str) -> anyhow::Result<()> {
        Ok(self
            .context
            .out
            .line(self.context.terminal.out(Style::Dim, text))?)
    }
}

// === lines ===

struct Lines {
    editor: Editor<Helping, DefaultHistory>,
    history: PathBuf,
}

impl Lines {
    fn open(home: &Path, colours: bool) -> anyhow::Result<Self> {
        let colours = if colours {
            ColorMode::Enabled
        } else {
            ColorMode::Disabled
        };
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)?
            .auto_add_history(true)
            .color_mode(colours)
            .build();
        let mut editor =
            Editor::with_config(config).context("cannot use this terminal for a conversation")?;
        editor.set_helper(Some(Helping));
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
        let history = home.join("history.txt");
        // There is none the first time; a damaged one costs only its own lines.
        let _ = editor.load_history(&history);
        Ok(Self { editor, history })
    }

    /// The next line; `None` at Ctrl-D. Ctrl-C drops what was typed.
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            match self.editor.readline(PROMPT) {
                Ok(line) => {
                    self.remember();
                    return Ok(Some(line));
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error).context("cannot read the next line"),
            }
        }
    }

    /// Written after each line, for a window that is closed ends the program without a word.
    fn remember(&mut self) {
        if let Some(home) = self.history.parent() {
            let _ = std::fs::create_dir_all(home);
        }
        // Not worth ending a conversation for, nor a message after every line.
        let _ = self.editor.append_history(&self.history);
    }
}

/// What the line editor asks while one types.
struct Helping;

impl Helper for Helping {}

impl Hinter for Helping {
    type Hint = String;
}

impl Highlighter for Helping {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m"))
    }
}

impl Validator for Helping {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = slash::is_open(context.input());
        Ok(if open {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Completer for Helping {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..cursor).unwrap_or_default();
        let known = COMMANDS.iter().map(|&(command, _, _)| command);
        let fits = known.filter(|command| !typed.is_empty() && command.starts_with(typed));
        Ok((0, fits.map(str::to_owned).collect()))
    }
}
