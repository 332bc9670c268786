//! What a conversation needs of who answers: the engine alone, or the router.

use std::io;

use inhouse_text::Message;

use super::Context;
use crate::output::Table;

/// Takes the pieces of an answer.
pub(super) type OnText<'a> = &'a mut dyn FnMut(&str) -> io::Result<()>;

/// Someone to talk to.
pub(super) trait Talk {
    /// What it is called in what is shown.
    fn name(&self) -> String;

    /// What `/model` shows.
    fn about(&self) -> String;

    /// Answers `prompt` and hands the text over as it comes. A failed answer leaves the conversation as it was.
    fn say(
        &mut self,
        prompt: String,
        context: &Context,
        on_text: OnText<'_>,
    ) -> anyhow::Result<Said>;

    /// Lets another model go on with the same conversation.
    fn switch(&mut self, name: &str, context: &Context) -> anyhow::Result<()>;

    /// Forgets what was said; instructions stay.
    fn clear(&mut self);

    fn system(&self) -> Option<&str>;

    fn set_system(&mut self, text: Option<&str>);

    /// The instructions, where there are any, and all turns.
    fn messages(&self) -> Vec<Message>;

    /// What `/stats` shows.
    fn totals(&self) -> Table;
}

/// An answer, as far as a conversation cares.
pub(super) struct Said {
    pub(super) text: String,
    /// Ctrl-C ended it.
    pub(super) interrupted: bool,
}
