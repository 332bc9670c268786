//! A turn of a conversation.

use crate::{Block, Extra, Text};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Instructions that stand above the conversation. OpenAI's `developer` is this too.
    System,
    /// The user; results of tools are in the user's turns.
    User,
    /// The model.
    Assistant,
}

/// One turn.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Message {
    /// Whose it is.
    pub role: Role,
    /// Its parts, in order.
    pub content: Vec<Block>,
    /// What only the protocol it came in knows.
    pub extra: Extra,
}

impl Message {
    /// A turn of these parts.
    pub fn new(role: Role, content: Vec<Block>) -> Self {
        Self {
            role,
            content,
            extra: Extra::default(),
        }
    }

    /// Instructions.
    pub fn system(text: impl Into<Text>) -> Self {
        Self::new(Role::System, vec![Block::text(text)])
    }

    /// What the user says.
    pub fn user(text: impl Into<Text>) -> Self {
        Self::new(Role::User, vec![Block::text(text)])
    }

    /// What the model said.
    pub fn assistant(text: impl Into<Text>) -> Self {
        Self::new(Role::Assistant, vec![Block::text(text)])
    }
}
