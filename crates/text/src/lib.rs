//! Tokenizers, incremental detokenisation and chat templates.
//!
//! The way of a conversation through this crate: [`ChatTemplate::render`] turns messages into a [`RenderedChat`], which
//! remembers which characters the template wrote and which came with the messages; [`Tokenizer::encode_chat`] turns it
//! into ids, with control tokens only where the template wrote them; a [`Detokenizer`] turns the ids that the model
//! answers back into text, whole characters at a time.
//!
//! What holds:
//! - No control token comes from what somebody wrote: not from whole tokens in a text, nor from parts of one that a
//!   template completes. Any added token counts, special or not, but those of a single character or of white space. A
//!   role is control and must be a plain word. Where a template compares texts so that they cannot be followed, a text
//!   with any part of a control token in it is refused.
//! - Text with no control token in it, and a prompt that is trusted as a whole, give the ids that the `tokenizers` crate
//!   gives.
//! - What a [`Detokenizer`] gives piece by piece is what [`Tokenizer::decode`] gives at once, which is what the crate
//!   gives, but that byte tokens (`<0xE2>`) which make no character count one by one: the crate gives up the valid
//!   characters beside them as well. With decoders other than byte-level BPE and SentencePiece's (such as WordPiece) the
//!   pieces are taken from the crate's decoding of the last tokens.
//! - A template may take ten million steps and write four times what it was given and 16 MiB. What is not bounded is how
//!   long a string it builds in one step: a template that doubles a string again and again fills the memory before it
//!   runs out of steps. Templates come with models; take them from where you would take a model.
//! - Errors never hold text of messages, and `Debug` of messages and prompts hides it.
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
pub use tokenizer::{Encoded, Tokenizer};
