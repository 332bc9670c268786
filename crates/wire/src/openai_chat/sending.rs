//! Writing messages.

use inhouse_chat::{Block, BlockKind, Dialect, Extra, Fields, Message, Role, Text};
use serde_json::{Value, json};

use super::DIALECT;
use super::calls::{LEGACY, arguments, encode_call};
use super::messages::{BLANK, DEVELOPER, THOUGHTS};
use super::parts::{PART, encode_part};
use crate::WireError;
use crate::fields::{LISTED, marked, set};
use crate::note::Notes;
use crate::path::Path;

/// Messages of a request, as they are written.
#[derive(Debug)]
pub(super) struct Sending<'n> {
    pub(super) notes: &'n mut Notes,
    pub(super) came_in: Option<Dialect>,
    pub(super) list: Vec<Value>,
}

impl Sending<'_> {
    pub(super) fn message(&mut self, message: &Message, path: &Path<'_>) -> Result<(), WireError> {
        match message.role {
            Role::System => self.system(message, path),
            Role::User => self.user(message, path),
            Role::Assistant => self.assistant(message, path),
        }
    }

    fn system(&mut self, message: &Message, path: &Path<'_>) -> Result<(), WireError> {
        let developer = marked(&message.extra, DIALECT, DEVELOPER);
        let mut out = Fields::new();
        let role = if developer { "developer" } else { "system" };
        set(&mut out, "role", Some(role));
        let blocks: Vec<_> = message.content.iter().enumerate().collect();
        self.words_only(
            &blocks,
            "instructions are words here",
            &path.field("content"),
        )?;
        self.finish(out, &blocks, &message.extra, path)
    }

    /// Results of tools are messages of their own and come first, directly behind the calls.
    fn user(&mut self, message: &Message, path: &Path<'_>) -> Result<(), WireError> {
        let content = path.field("content");
        let (mut others, mut hoisted) = (Vec::new(), Vec::new());
        for (index, block) in message.content.iter().enumerate() {
            let path = content.index(index);
            let BlockKind::ToolResult { .. } = &block.kind else {
                others.push((index, block));
                continue;
            };
            if !others.is_empty() {
                self.notes.changed(&path, "moved before the words");
            }
            self.result(block, &mut hoisted, &path)?;
        }
        if !hoisted.is_empty() {
            self.list.push(json!({"role": "user", "content": hoisted}));
        }
        let results = message.content.len() - others.len();
        if others.is_empty() && results > 0 {
            self.notes.foreign(&message.extra, path);
            return Ok(());
        }
        let mut out = Fields::new();
        set(&mut out, "role", Some("user"));
        self.finish(out, &others, &message.extra, path)
    }

    /// A tool's result is words here; what else it gave comes in a message of the user, behind all results.
    fn result(
        &mut self,
        block: &Block,
        hoisted: &mut Vec<Value>,
        path: &Path<'_>,
    ) -> Result<(), WireError> {
        let BlockKind::ToolResult {
            tool_use_id,
            content,
            is_error,
        } = &block.kind
        else {
            return Ok(());
        };
        if *is_error {
            self.notes.left_out(&path.field("isError"));
        }
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
        let inner = path.field("content");
        let (mut words, mut first) = (Vec::new(), true);
        for (index, part) in content.iter().enumerate() {
            if part.as_text().is_some() {
                words.push((index, part));
                continue;
            }
            let path = inner.index(index);
            self.notes
                .changed(&path, "moved to a message behind the results");
            if std::mem::take(&mut first) {
                let text = format!("From the result of {tool_use_id}:");
                hoisted.push(json!({"type": "text", "text": text}));
            }
            hoisted.push(encode_part(part, self.came_in, self.notes, &path)?);
        }
        let mut out = Fields::new();
        if marked(&block.extra, DIALECT, LEGACY) {
            set(&mut out, "role", Some("function"));
        } else {
            set(&mut out, "role", Some("tool"));
            set(&mut out, "tool_call_id", Some(tool_use_id.as_str()));
        }
        if words.is_empty() && !self.ours() {
            set(&mut out, "content", Some(""));
        }
        self.finish(out, &words, &block.extra, path)
    }

    fn assistant(&mut self, message: &Message, path: &Path<'_>) -> Result<(), WireError> {
        let content = path.field("content");
        let mut out = Fields::new();
        set(&mut out, "role", Some("assistant"));
        let (mut words, mut calls) = (Vec::new(), Vec::new());
        for (index, block) in message.content.iter().enumerate() {
            let path = content.index(index);
            match &block.kind {
                BlockKind::ToolUse { .. } => self.call(block, &mut calls, &mut out, &path),
                BlockKind::Other { dialect, value }
                    if *dialect == DIALECT && value.0.get("custom").is_some() =>
                {
                    calls.push(value.0.clone());
                }
                BlockKind::Thinking { text, .. } => self.thought(text, block, &mut out, &path),
                BlockKind::RedactedThinking { .. } => self.notes.left_out(&path),
                BlockKind::Refusal(text) if !marked(&block.extra, DIALECT, PART) => {
                    set(&mut out, "refusal", Some(text.as_str()));
                }
                _ => {
                    if !calls.is_empty() {
                        self.notes.changed(&path, "moved before the calls");
                    }
                    words.push((index, block));
                }
            }
        }
        self.words_only(&words, "the model's turns are words here", &content)?;
        if words.is_empty() && !self.ours() {
            out.insert("content".into(), Value::Null);
        }
        set(&mut out, "tool_calls", (!calls.is_empty()).then_some(calls));
        self.finish(out, &words, &message.extra, path)
    }

    fn call(&mut self, block: &Block, calls: &mut Vec<Value>, out: &mut Fields, path: &Path<'_>) {
        let BlockKind::ToolUse { id, name, input } = &block.kind else {
            return;
        };
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
        let arguments = arguments(input, &block.extra);
        if marked(&block.extra, DIALECT, LEGACY) {
            let mut call = Fields::new();
            set(&mut call, "name", Some(name.as_str()));
            set(&mut call, "arguments", Some(arguments));
            self.notes.extra(&mut call, &block.extra, path);
            out.insert("function_call".into(), Value::Object(call));
            return;
        }
        let mut call = encode_call(id, name, &arguments);
        self.notes.extra(&mut call, &block.extra, path);
        calls.push(Value::Object(call));
    }

    /// A thought goes back under the name it came under; those of other protocols have no place.
    fn thought(&mut self, text: &Text, block: &Block, out: &mut Fields, path: &Path<'_>) {
        let came_as = THOUGHTS
            .iter()
            .find(|(_, mark)| marked(&block.extra, DIALECT, mark));
        match came_as {
            Some((name, _)) => set(out, name, Some(text.as_str())),
            None => self.notes.left_out(path),
        }
    }

    fn words_only(
        &self,
        blocks: &[(usize, &Block)],
        why: &'static str,
        path: &Path<'_>,
    ) -> Result<(), WireError> {
        let words = |block: &Block| match &block.kind {
            BlockKind::Text(_) | BlockKind::Refusal(_) => true,
            BlockKind::Other { dialect, .. } => *dialect == DIALECT,
            _ => false,
        };
        match blocks.iter().find(|(_, block)| !words(block)) {
            Some((index, _)) => Err(self.notes.refuse(&path.index(*index), why)),
            None => Ok(()),
        }
    }

    /// Adds `content` and what only this protocol knows.
    fn finish(
        &mut self,
        mut out: Fields,
        blocks: &[(usize, &Block)],
        extra: &Extra,
        path: &Path<'_>,
    ) -> Result<(), WireError> {
        let inner = path.field("content");
        if let Some(content) = self.content(blocks, extra, &inner)? {
            out.insert("content".into(), content);
        }
        self.notes.extra(&mut out, extra, path);
        self.list.push(Value::Object(out));
        Ok(())
    }

    /// A string where that says all, as it came otherwise; `None` where nothing was said.
    fn content(
        &mut self,
        blocks: &[(usize, &Block)],
        extra: &Extra,
        path: &Path<'_>,
    ) -> Result<Option<Value>, WireError> {
        if marked(extra, DIALECT, BLANK) && blocks.is_empty() {
            return Ok(Some(json!("")));
        }
        let listed = marked(extra, DIALECT, LISTED);
        if let ([(index, block)], false) = (blocks, listed)
            && let Some(text) = block.as_text()
        {
            let path = path.index(*index);
            if block.cache.is_some() {
                self.notes.left_out(&path.field("cache"));
            }
            self.notes.foreign(&block.extra, &path);
            return Ok(Some(Value::from(text.as_str())));
        }
        if blocks.is_empty() && !listed {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(blocks.len());
        for (index, block) in blocks {
            parts.push(encode_part(
                block,
                self.came_in,
                self.notes,
                &path.index(*index),
            )?);
        }
        Ok(Some(Value::Array(parts)))
    }

    fn ours(&self) -> bool {
        self.came_in == Some(DIALECT)
    }
}
