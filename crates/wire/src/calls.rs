//! Calls of tools without identifiers, as Gemini and Ollama have them: a result belongs to the first call of its name that
//! has none yet. Other protocols need identifiers, so they are made here.

use inhouse_chat::{BlockKind, Message};

/// Calls whose results have not come.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Makes identifiers different from those of other answers.
    prefix: String,
    made: usize,
    /// Names and identifiers.
    open: Vec<(String, String)>,
}

impl Calls {
    /// For the calls of one answer. Identifiers of other protocols have up to 40 letters, digits, `-` and `_`.
    pub(crate) fn of_answer(id: &str) -> Self {
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        Self {
            prefix: id.chars().filter(plain).take(28).collect(),
            ..Self::default()
        }
    }

    /// A call, and its identifier where it has one.
    pub(crate) fn call(&mut self, name: &str, id: Option<String>) -> String {
        let id = id.unwrap_or_else(|| {
            let made = self.made;
            self.made += 1;
            match self.prefix.as_str() {
                "" => format!("call_{made}"),
                prefix => format!("call_{prefix}_{made}"),
            }
        });
        self.open.push((name.to_owned(), id.clone()));
        id
    }

    /// The identifier of the call that a result belongs to. A result of nothing gets one of its own.
    pub(crate) fn result(&mut self, name: Option<&str>, id: Option<String>) -> String {
        let fits = |(call, open): &(String, String)| match (&id, name) {
            (Some(id), _) => open == id,
            (None, Some(name)) => call == name,
            (None, None) => true,
        };
        match self.open.iter().position(fits) {
            Some(at) => self.open.remove(at).1,
            None => id.unwrap_or_else(|| {
                let id = self.call("", None);
                self.open.pop();
                id
            }),
        }
    }
}

/// The name of the call with this identifier.
pub(crate) fn name_of<'m>(messages: &'m [Message], wanted: &str) -> Option<&'m str> {
    let blocks = messages.iter().flat_map(|message| &message.content);
    blocks.rev().find_map(|block| match &block.kind {
        BlockKind::ToolUse { id, name, .. } if id == wanted => Some(name.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_name_and_order() {
        let mut calls = Calls::of_answer("r/1");
        let [a, b, c] = ["get", "put", "get"].map(|name| calls.call(name, None));
        assert_eq!(
            [a.as_str(), &b, &c],
            ["call_r1_0", "call_r1_1", "call_r1_2"]
        );
        assert_eq!(calls.result(Some("put"), None), b);
        assert_eq!(calls.result(Some("get"), None), a);
        assert_eq!(calls.result(None, None), c);
        assert_eq!(calls.result(Some("get"), None), "call_r1_3");
        assert_eq!(calls.result(None, Some("own".into())), "own");
    }
}
