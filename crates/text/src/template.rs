//! Chat templates: Hugging Face's dialect of Jinja.

mod adapt;
mod environment;
mod families;
mod filters;
mod marks;
mod methods;
mod python;
mod source;
mod trace;
mod values;

use std::fmt;
use std::path::Path;

use jiff::civil::DateTime;
use serde_json::{Map, Value};

use crate::tokenizer::{MAX_CONFIG_BYTES, read_limited, read_object, special_token};
use crate::{Message, RenderedChat, TextError, TextErrorKind};

/// The variables of special tokens that `transformers` hands to a template.
const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// The chat template of a model: how its conversations are written.
#[derive(Clone)]
pub struct ChatTemplate {
    /// Where it is from, for errors.
    name: String,
    source: String,
    /// What is used where there are tools, if the model has such a second template.
    tool_use: Option<String>,
    /// The strings of the special tokens, by the names of their variables.
    special: Map<String, Value>,
}

/// What a template is rendered with, besides the messages. `Debug` hides what callers write.
#[derive(Clone)]
pub struct TemplateOptions {
    /// Whether the prompt ends with the beginning of the assistant's turn.
    pub add_generation_prompt: bool,
    /// The time that `strftime_now` tells.
    pub now: DateTime,
    /// The tools that the model may call, a list of JSON schemas.
    pub tools: Option<Value>,
    /// The documents that the model may read, for the templates that know them.
    pub documents: Option<Value>,
    /// Further variables of the template, such as `enable_thinking`.
    pub extra: Map<String, Value>,
}

impl Default for TemplateOptions {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            now: DateTime::constant(1970, 1, 1, 0, 0, 0, 0),
            tools: None,
            documents: None,
            extra: Map::new(),
        }
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TemplateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateOptions")
            .field("add_generation_prompt", &self.add_generation_prompt)
            .field("now", &self.now)
            .field("tools", &self.tools.is_some())
            .field("documents", &self.documents.is_some())
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl ChatTemplate {
    /// Reads the template of a model folder: `chat_template.jinja`, else `chat_template` of `tokenizer_config.json`.
    /// `None` where the folder has neither; [`ChatTemplate::for_family`] may know one.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, TextError> {
        let config_path = folder.join("tokenizer_config.json");
        let config = read_object(&config_path)?;
        let map = read_object(&folder.join("special_tokens_map.json"))?;
        let mut special = Map::new();
        for name in SPECIAL_TOKENS {
            if let Some(token) = special_token(&config, name).or_else(|| special_token(&map, name))
            {
                special.insert(name.into(), token.into());
            }
        }
        let file = folder.join("chat_template.jinja");
        let template = match read_limited(&file, MAX_CONFIG_BYTES)? {
            Some(bytes) => {
                let source = String::from_utf8(bytes)
                    .map_err(|_| wrong(&file.display().to_string(), "it is not UTF-8"))?;
                Some(Self::from_source(file.display().to_string(), source))
            }
            None => Self::from_config(
                &config_path.display().to_string(),
                config.get("chat_template"),
            )?,
        };
        Ok(template.map(|template| Self {
            special,
            ..template
        }))
    }

    /// A template from its text; `name` is for errors.
    pub fn from_source(name: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
            tool_use: None,
            special: Map::new(),
        }
    }

    /// The template of a family of models, for folders without one: `phi4`, `phi3`, `chatml`, `llama3`, `mistral`, or
    /// the `type` of a `genai_config.json` that belongs to one of them.
    pub fn for_family(family: &str) -> Result<Self, TextError> {
        families::template(family)
    }

    /// This template with the string of a special token, such as `bos_token`.
    #[must_use]
    pub fn with_special_token(
        mut self,
        variable: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        self.special
            .insert(variable.into(), Value::String(token.into()));
        self
    }

    fn from_config(name: &str, value: Option<&Value>) -> Result<Option<Self>, TextError> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(source)) => Ok(Some(Self::from_source(name, source.as_str()))),
            Some(Value::Array(list)) => Self::from_list(name, list).map(Some),
            Some(_) => Err(wrong(
                name,
                "`chat_template` is neither a string nor a list of templates",
            )),
        }
    }

    /// A list of named templates: `default`, and `tool_use` for conversations with tools.
    fn from_list(name: &str, list: &[Value]) -> Result<Self, TextError> {
        let find = |wanted: &str| {
            let entry = list
                .iter()
                .find(|entry| entry.get("name").and_then(Value::as_str) == Some(wanted))?;
            entry
                .get("template")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let source = find("default").ok_or_else(|| {
            wrong(
                name,
                "its list of chat templates has none that is named `default`",
            )
        })?;
        Ok(Self {
            tool_use: find("tool_use"),
            ..Self::from_source(name, source)
        })
    }

    /// Writes a conversation as the model expects it.
    pub fn render(
        &self,
        messages: &[Message],
        options: &TemplateOptions,
    ) -> Result<RenderedChat, TextError> {
        let source = match &self.tool_use {
            Some(tool_use) if options.tools.is_some() => tool_use,
            _ => &self.source,
        };
        let context = self.context(messages, options);
        trace::render(&self.name, source, &context, &self.special, options.now)
    }

    /// What the caller gives the template, all of it untrusted but the roles.
    fn context(&self, messages: &[Message], options: &TemplateOptions) -> Map<String, Value> {
        let mut context = Map::new();
        context.insert(
            "messages".into(),
            messages.iter().map(message_value).collect(),
        );
        context.insert(
            "add_generation_prompt".into(),
            options.add_generation_prompt.into(),
        );
        context.insert("tools".into(), options.tools.clone().unwrap_or(Value::Null));
        context.insert(
            "documents".into(),
            options.documents.clone().unwrap_or(Value::Null),
        );
        context.extend(options.extra.clone());
        context
    }
}

fn message_value(message: &Message) -> Value {
    let mut fields = Map::new();
    fields.insert("role".into(), message.role.as_str().into());
    fields.insert("content".into(), message.content.as_str().into());
    fields.extend(message.fields.clone());
    Value::Object(fields)
}

fn wrong(name: &str, reason: &str) -> TextError {
    TextError::new(
        TextErrorKind::Template,
        format!("chat template of {name}: {reason}"),
    )
}
