//! Who answered a conversation before, for there its prompt may still be cached.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use inhouse_chat::{ChatRequest, ModelName, ProviderName};
use tokio::time::Instant;

/// Providers keep a prompt for about this long after its last use (Anthropic's default, OpenAI's lower bound).
const KEPT: Duration = Duration::from_secs(300);
/// Below this many tokens nothing is cached (OpenAI, and Anthropic's larger models).
const LEAST: u64 = 1_024;
/// How many conversations are remembered.
const MOST: usize = 10_000;

/// Remembers for each conversation who answered it last, and how long its prompt was.
#[derive(Debug, Default)]
pub(crate) struct Affinity(Mutex<HashMap<Conversation, Last>>);

/// A conversation, as a digest: nothing of it can be read from here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Conversation(u64);

#[derive(Debug)]
struct Last {
    provider: ProviderName,
    model: ModelName,
    prompt_tokens: u64,
    at: Instant,
}

impl Conversation {
    /// The session where the request states one, else how the conversation began.
    pub(crate) fn of(request: &ChatRequest) -> Self {
        let mut hasher = DefaultHasher::new();
        match &request.metadata.session {
            Some(session) => session.hash(&mut hasher),
            None => request
                .messages
                .iter()
                .take(2)
                .for_each(|message| message.hash(&mut hasher)),
        }
        Self(hasher.finish())
    }
}

impl Affinity {
    /// How many are kept in mind.
    pub(crate) fn len(&self) -> usize {
        crate::lock(&self.0).len()
    }

    /// How many tokens of the prompt a cache of `provider` probably has.
    pub(crate) fn cached(
        &self,
        conversation: Conversation,
        provider: &ProviderName,
        model: &ModelName,
        now: Instant,
    ) -> u64 {
        let known = crate::lock(&self.0);
        let last = known.get(&conversation).filter(|last| {
            let fresh = now.saturating_duration_since(last.at) < KEPT;
            fresh && last.provider == *provider && last.model == *model
        });
        last.map_or(0, |last| last.prompt_tokens)
    }

    /// A prompt of so many tokens was answered.
    pub(crate) fn answered(
        &self,
        conversation: Conversation,
        provider: &ProviderName,
        model: &ModelName,
        prompt_tokens: u64,
        now: Instant,
    ) {
        if prompt_tokens < LEAST {
            return;
        }
        let mut known = crate::lock(&self.0);
        if known.len() >= MOST {
            known.retain(|_, last| now.saturating_duration_since(last.at) < KEPT);
        }
        if known.len() >= MOST {
            known.clear(); // everything within five minutes: beginning anew costs an estimate, no more
        }
        let last = Last {
            provider: provider.clone(),
            model: model.clone(),
            prompt_tokens,
            at: now,
        };
        known.insert(conversation, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::Message;

    fn talk(words: &[&str]) -> Conversation {
        let messages = words.iter().map(|&text| Message::user(text));
        Conversation::of(&ChatRequest::new("m", messages))
    }

    #[test]
    fn a_conversation_is_known_by_how_it_began() {
        assert_eq!(talk(&["a", "b", "c"]), talk(&["a", "b", "d", "e"]));
        assert_ne!(talk(&["a", "b"]), talk(&["a", "c"]));
    }

    #[test]
    fn a_cache_is_expected_where_the_conversation_was_answered_lately() {
        let (affinity, now) = (Affinity::default(), Instant::now());
        let (p, m, q): (ProviderName, ModelName, ProviderName) =
            ("p".into(), "m".into(), "q".into());
        affinity.answered(talk(&["a"]), &p, &m, 5_000, now);
        affinity.answered(talk(&["short"]), &p, &m, 500, now);
        assert_eq!(affinity.cached(talk(&["a"]), &p, &m, now), 5_000);
        assert_eq!(affinity.cached(talk(&["a"]), &q, &m, now), 0);
        assert_eq!(affinity.cached(talk(&["short"]), &p, &m, now), 0);
        assert_eq!(affinity.cached(talk(&["a"]), &p, &m, now + KEPT), 0);
    }
}
