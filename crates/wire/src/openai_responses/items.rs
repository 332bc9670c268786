//! Items of `input` and `output`.

use inhouse_chat::{Block, BlockKind, Dialect, Extra, Fields, Json, Role};
use serde_json::{Value, json};

use super::{DIALECT, parts, thoughts, with};
use crate::WireError;
use crate::fields::{LISTED, Object, is_mark, marked};
use crate::note::Notes;
use crate::path::Path;

/// On the first part of a message that came in this protocol: what the item says beside its parts (`id`, `status`).
pub(super) const ITEM: &str = "\0item";
/// The message had no `type`.
const UNTYPED: &str = "\0untyped";
/// Its role was `developer`, not `system`.
const DEVELOPER: &str = "\0developer";
/// The arguments as the model wrote them, spaces included.
const ARGUMENTS: &str = "\0arguments";

/// An item that was read.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) role: Role,
    pub(super) blocks: Vec<Block>,
    /// A message, which ends a run of results of tools.
    pub(super) is_message: bool,
}

pub(super) fn decode_item(value: Value, path: Path<'_>) -> Result<Item, WireError> {
    let mut item = Object::new(value, path)?;
    let kind = item.peek_str("type").map(str::to_owned);
    let (role, block) = match kind.as_deref() {
        None | Some("message") if has_parts(&item) => return decode_message(item),
        Some("function_call") if has_arguments(&item) => (Role::Assistant, decode_call(item)?),
        Some("function_call_output") => (Role::User, decode_result(item)?),
        Some("reasoning") if thoughts::are_known(&item) => {
            item.take("type");
            (Role::Assistant, thoughts::decode(item)?)
        }
        _ => (role_of(&item), other(item.into_fields())),
    };
    Ok(Item {
        role,
        blocks: vec![block],
        is_message: false,
    })
}

/// A part that only this protocol knows.
pub(super) fn other(fields: Fields) -> Block {
    Block::new(BlockKind::Other {
        dialect: DIALECT,
        value: Json(Value::Object(fields)),
    })
}

/// Whose turn an item is that nothing here reads.
fn role_of(item: &Object<'_>) -> Role {
    match item.peek_str("role") {
        Some("user") => return Role::User,
        Some("system" | "developer") => return Role::System,
        _ => {}
    }
    let given = |kind: &str| kind.ends_with("_output") || kind.ends_with("_response");
    match item.peek_str("type").is_some_and(given) {
        true => Role::User,
        false => Role::Assistant,
    }
}

fn has_parts(item: &Object<'_>) -> bool {
    match item.peek("content") {
        Some(Value::String(_)) => true,
        Some(Value::Array(parts)) => !parts.is_empty(),
        _ => false,
    }
}

fn has_arguments(item: &Object<'_>) -> bool {
    item.peek_str("arguments")
        .is_some_and(|arguments| parse(arguments).is_some())
}

/// Models leave the arguments of a tool without any empty.
fn parse(arguments: &str) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(json!({}));
    }
    serde_json::from_str(arguments)
        .ok()
        .filter(Value::is_object)
}

fn decode_message(mut item: Object<'_>) -> Result<Item, WireError> {
    let mut about = Fields::new();
    let mut note = |mark: &str| about.insert(mark.to_owned(), Value::Bool(true));
    if item.take("type").is_none() {
        note(UNTYPED);
    }
    let role = match item.string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => {
            note(DEVELOPER);
            Role::System
        }
        _ => return Err(item.kind("role", "user, assistant, system or developer")),
    };
    let mut blocks = match item.value("content")? {
        Value::String(text) => vec![Block::text(text)],
        Value::Array(list) => {
            note(LISTED);
            let path = item.path();
            crate::fields::each(list, &path.field("content"), |part, path| {
                parts::decode(part, path, role)
            })?
        }
        _ => return Err(item.kind("content", "a string or a list")),
    };
    about.extend(item.into_fields());
    if let Some(first) = blocks.first_mut() {
        first.extra = with(&first.extra, ITEM, Value::Object(about));
    }
    Ok(Item {
        role,
        blocks,
        is_message: true,
    })
}

fn decode_call(mut item: Object<'_>) -> Result<Block, WireError> {
    item.take("type");
    let arguments = item.string("arguments")?;
    let input = parse(&arguments).ok_or_else(|| item.kind("arguments", "a JSON object"))?;
    let ours = input.to_string();
    if ours != arguments {
        item.put_back(ARGUMENTS, Value::String(arguments));
    }
    Ok(Block {
        kind: BlockKind::ToolUse {
            id: item.string("call_id")?,
            name: item.string("name")?,
            input: Json(input),
        },
        cache: None,
        extra: item.rest(DIALECT),
    })
}

fn decode_result(mut item: Object<'_>) -> Result<Block, WireError> {
    item.take("type");
    let content = match item.value("output")? {
        Value::String(text) => vec![Block::text(text)],
        Value::Array(list) => {
            item.mark(LISTED);
            let path = item.path();
            crate::fields::each(list, &path.field("output"), |part, path| {
                parts::decode(part, path, Role::User)
            })?
        }
        _ => return Err(item.kind("output", "a string or a list")),
    };
    Ok(Block {
        kind: BlockKind::ToolResult {
            tool_use_id: item.string("call_id")?,
            content,
            is_error: false,
        },
        cache: None,
        extra: item.rest(DIALECT),
    })
}

/// Writes items for a request or an answer.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    pub(super) notes: Notes,
    /// The protocol a request came in: files and thoughts belong to one provider.
    pub(super) came_in: Option<Dialect>,
    /// The answer's identifier, from which its items have theirs; `None` in a request.
    pub(super) answer: Option<&'a str>,
    pub(super) items: Vec<Value>,
}

impl Writing<'_> {
    /// Words, images and files that stand together are one message; everything else is an item of its own.
    pub(super) fn blocks(
        &mut self,
        role: Role,
        blocks: &[Block],
        path: &Path<'_>,
    ) -> Result<(), WireError> {
        let mut begin = 0;
        while let Some(first) = blocks.get(begin) {
            let path_of_first = path.index(begin);
            if !parts::is_part(first) {
                let item = self.item(first, &path_of_first)?;
                self.items.extend(item.map(Value::Object));
                begin += 1;
                continue;
            }
            // The official types have turns of the model without an identifier as one text each.
            let alone = role == Role::Assistant && self.answer.is_none();
            let alone = alone && about(&first.extra).is_none();
            let more = blocks.iter().skip(begin + 1).take_while(|_| !alone);
            let same = |block: &&Block| parts::is_part(block) && about(&block.extra).is_none();
            let end = begin + 1 + more.take_while(same).count();
            self.message(role, blocks, begin..end, path)?;
            begin = end;
        }
        Ok(())
    }

    fn message(
        &mut self,
        role: Role,
        blocks: &[Block],
        range: std::ops::Range<usize>,
        path: &Path<'_>,
    ) -> Result<(), WireError> {
        let run = blocks.get(range.clone()).unwrap_or_default();
        let none = Fields::new();
        let about = run.first().and_then(|first| about(&first.extra));
        let (own, about) = (about.is_some(), about.unwrap_or(&none));
        let role_name = match role {
            Role::System if about.contains_key(DEVELOPER) => "developer",
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let content = match run {
            [block] if self.answer.is_none() && !about.contains_key(LISTED) => {
                self.only_words(role, block, own, &path.index(range.start))
            }
            _ => None,
        };
        let content = match content {
            Some(text) => text,
            None => {
                let mut list = Vec::new();
                for (block, index) in run.iter().zip(range.clone()) {
                    list.extend(self.part(role, block, &path.index(index))?);
                }
                if list.is_empty() {
                    return Ok(()); // every part was left out, which is noted
                }
                Value::Array(list)
            }
        };
        let mut out = Fields::new();
        if let (Some(answer), false) = (self.answer, own) {
            out.insert("id".into(), item_id("msg", answer, range.start));
        }
        if !about.contains_key(UNTYPED) {
            out.insert("type".into(), "message".into());
        }
        if self.answer.is_some() && !own {
            out.insert("status".into(), "completed".into());
        }
        out.insert("role".into(), role_name.into());
        out.insert("content".into(), content);
        let rest = about.iter().filter(|(name, _)| !is_mark(name));
        out.extend(rest.map(|(name, value)| (name.clone(), value.clone())));
        self.items.push(Value::Object(out));
        Ok(())
    }

    /// The words of a message that is nothing else.
    fn only_words(
        &mut self,
        role: Role,
        block: &Block,
        own: bool,
        path: &Path<'_>,
    ) -> Option<Value> {
        let alone = role == Role::Assistant && !own;
        let text = match &block.kind {
            BlockKind::Text(text) if alone || is_plain(block) => text,
            BlockKind::Refusal(text) if alone => {
                self.notes.changed(path, "sent as words");
                text
            }
            _ => return None,
        };
        self.note_cache(block, path);
        self.notes.foreign(&block.extra, path);
        Some(Value::from(text.as_str()))
    }

    /// `None` where it is left out, which is noted.
    pub(super) fn item(
        &mut self,
        block: &Block,
        path: &Path<'_>,
    ) -> Result<Option<Fields>, WireError> {
        let mut out = match &block.kind {
            BlockKind::ToolUse { id, name, input } => {
                let arguments = arguments_of(&block.extra, &input.0);
                self.call(block, path, id, name, &arguments)
            }
            BlockKind::ToolResult {
                tool_use_id,
                content,
                is_error,
            } => {
                if *is_error {
                    self.notes.left_out(&path.field("isError"));
                }
                let output = self.output(content, &block.extra, &path.field("content"))?;
                fields(
                    json!({"type": "function_call_output", "call_id": tool_use_id, "output": output}),
                )
            }
            BlockKind::Thinking { text, signature } => {
                if self.answer.is_none() && self.is_foreign(block) {
                    self.notes.left_out(path);
                    return Ok(None);
                }
                let signature = signature.as_deref();
                match thoughts::encode(block, text.as_str(), signature, path, &mut self.notes) {
                    Some(out) => out,
                    None if self.answer.is_some() => self.foreign_thought(text.as_str(), path),
                    None => return Ok(None),
                }
            }
            BlockKind::RedactedThinking { .. } => {
                self.notes.left_out(path);
                return Ok(None);
            }
            BlockKind::Other { dialect, value } if *dialect == DIALECT => fields(value.0.clone()),
            _ => return self.unknown(path),
        };
        self.note_cache(block, path);
        self.notes.extra(&mut out, &block.extra, path);
        Ok(Some(out))
    }

    pub(super) fn call(
        &self,
        block: &Block,
        path: &Path<'_>,
        id: &str,
        name: &str,
        arguments: &str,
    ) -> Fields {
        let mut out = Fields::new();
        if let (Some(answer), None) = (self.answer, block.extra.of(DIALECT)) {
            out.insert("id".into(), item_id("fc", answer, index_of(path)));
            out.insert("status".into(), "completed".into());
        }
        out.extend(fields(
            json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments}),
        ));
        out
    }

    fn foreign_thought(&self, text: &str, path: &Path<'_>) -> Fields {
        let id = item_id("rs", self.answer.unwrap_or_default(), index_of(path));
        fields(json!({"id": id, "type": "reasoning", "summary": thoughts::summary(text)}))
    }

    /// What a request refuses and an answer only reports.
    pub(super) fn unknown<T>(&mut self, path: &Path<'_>) -> Result<Option<T>, WireError> {
        if self.answer.is_some() {
            self.notes.left_out(path);
            return Ok(None);
        }
        let why = "only the protocol it came in knows this part; take it out";
        Err(self.notes.refuse(path, why))
    }

    fn output(
        &mut self,
        content: &[Block],
        extra: &Extra,
        path: &Path<'_>,
    ) -> Result<Value, WireError> {
        let listed = marked(extra, DIALECT, LISTED);
        match content {
            [] if !listed => return Ok(Value::from("")),
            [block] if !listed && is_plain(block) => {
                self.note_cache(block, &path.index(0));
                let text = block.as_text().map(|text| text.as_str());
                return Ok(Value::from(text));
            }
            _ => {}
        }
        let mut list = Vec::with_capacity(content.len());
        for (index, block) in content.iter().enumerate() {
            list.extend(self.part(Role::User, block, &path.index(index))?);
        }
        Ok(Value::Array(list))
    }

    pub(super) fn note_cache(&mut self, block: &Block, path: &Path<'_>) {
        if block.cache.is_some() {
            self.notes.left_out(&path.field("cache"));
        }
    }

    /// Whether another provider made it: its thoughts and files mean nothing here.
    pub(super) fn is_foreign(&self, block: &Block) -> bool {
        let from = block.extra.get().map(|(dialect, _)| dialect);
        from.or(self.came_in)
            .is_some_and(|from| !matches!(from, DIALECT | Dialect::Neutral))
    }
}

/// What the item said beside its parts, where one that came in this protocol begins here.
pub(super) fn about(extra: &Extra) -> Option<&Fields> {
    extra.of(DIALECT)?.get(ITEM)?.as_object()
}

/// The arguments as they were written, unless they have been changed since: masked, say.
fn arguments_of(extra: &Extra, input: &Value) -> String {
    let written = extra.of(DIALECT).and_then(|fields| fields.get(ARGUMENTS));
    written
        .and_then(Value::as_str)
        .filter(|written| parse(written).as_ref() == Some(input))
        .map_or_else(|| input.to_string(), str::to_owned)
}

/// The identifier of an item of an answer that came in another protocol.
pub(super) fn item_id(kind: &str, answer: &str, index: usize) -> Value {
    let answer = answer.trim_start_matches("resp_");
    Value::from(format!("{kind}_{answer}_{index}"))
}

fn index_of(path: &Path<'_>) -> usize {
    match path {
        Path::Index(_, index) => *index,
        _ => 0,
    }
}

/// Words with nothing beside them.
fn is_plain(block: &Block) -> bool {
    let bare = block.extra.get().is_none_or(|(dialect, fields)| {
        dialect == DIALECT && fields.keys().all(|name| is_mark(name))
    });
    bare && block.as_text().is_some()
}

pub(super) fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}
