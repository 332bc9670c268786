//! Tokenizers, incremental detokenisation and chat templates.
//!
//! The way of a conversation through this crate: [`ChatTemplate::render`] turns messages into a [`RenderedChat`], which
//! remembers which characters the template wrote and which came with the messages; [`Tokenizer::encode_chat`] turns it
//! into ids, with control tokens only where the template wrote them; a [`Detokenizer`] turns the ids that the model
//! answers back into text, whole characters at a time.
//!
//! ```
//! # fn main() -> Result<(), inhouse_text::TextError> {
//! use inhouse_text::{ChatTemplate, Message, TemplateOptions};
//!
//! let template = ChatTemplate::for_family("chatml")?;
//! let chat = template.render(&[Message::user("Hello")], &TemplateOptions::default())?;
//! assert_eq!(chat.as_str(), "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
//! # Ok(())
//! # }
//! ```

mod detokenizer;
mod error;
mod message;
mod rendered;
mod template;
mod tokenizer;

pub use detokenizer::Detokenizer;
pub use error::{TextError, TextErrorKind};
pub use message::{Message, Role, Text};
pub use rendered::RenderedChat;
pub use template::{ChatTemplate, TemplateOptions};
pub use tokenizer::Tokenizer;
