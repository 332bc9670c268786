//! Answers that were given before, to exactly the same request.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inhouse_chat::{Block, BlockKind, ChatRequest, ModelName, ProviderName, Reply, Source};
use inhouse_policy::Zone;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Which answers are kept, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CacheConfig {
    /// Most answers kept.
    pub(crate) max_entries: usize,
    /// Most memory they may take, in bytes.
    pub(crate) max_bytes: usize,
    /// Which goes first when there are too many.
    pub(crate) eviction: Eviction,
}

/// Which answer goes first when there are too many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Eviction {
    /// The one not used for longest.
    #[default]
    Lru,
    /// The oldest.
    Fifo,
    /// The least used.
    Lfu,
}

/// What makes two requests the same: a digest of everything that can change an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct CacheKey([u8; 32]);

/// An answer as it was given.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) reply: Reply,
    pub(crate) provider: ProviderName,
    pub(crate) model: ModelName,
    pub(crate) zone: Zone,
}

/// What of a key the request itself says, taken before it is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestDigest([u8; 32]);

impl RequestDigest {
    pub(crate) fn of(request: &ChatRequest) -> Self {
        let mut digest = Digesting(Sha256::new());
        (&request.model, &request.messages, &request.tools).hash(&mut digest);
        (&request.tool_choice, &request.sampling, request.max_tokens).hash(&mut digest);
        (&request.stop, &request.response_format, &request.reasoning).hash(&mut digest);
        request.extra.hash(&mut digest);
        Self(digest.0.finalize().into())
    }
}

impl CacheKey {
    /// The key of a request for a caller who showed `caller_key`, under `ceiling`, answered by the first of `candidates`.
    /// `rule` is the one that applies, for it may say what the request does not (`maxTokens`, `temperature`).
    /// Neither callers nor zones share answers: an answer can tell what was asked. Whether it is streamed does not matter.
    pub(crate) fn of(
        request: RequestDigest,
        caller_key: Option<&str>,
        ceiling: Zone,
        candidate: (&ProviderName, &ModelName),
        rule: Option<usize>,
    ) -> Self {
        let mut digest = Digesting(Sha256::new());
        (request.0, caller_key, ceiling, candidate, rule).hash(&mut digest);
        Self(digest.0.finalize().into())
    }
}

/// Feeds derived `Hash` implementations to SHA-256: they write lengths before parts, so no two requests run together.
struct Digesting(Sha256);

impl Hasher for Digesting {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0 // never asked for: the digest is what counts
    }
}

/// Answers in memory; none is written to disk, where it would outlive the program that may show it.
#[derive(Debug)]
pub(crate) struct Cache {
    config: CacheConfig,
    kept: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    answers: HashMap<CacheKey, Slot>,
    /// First to go first.
    order: BTreeSet<(u64, u64, CacheKey)>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    kept: Arc<Kept>,
    bytes: usize,
    until: Instant,
    rank: (u64, u64),
    uses: u64,
}

impl Cache {
    /// How many are kept in mind.
    pub(crate) fn len(&self) -> usize {
        crate::lock(&self.kept).answers.len()
    }

    pub(crate) fn new(config: CacheConfig) -> Self {
        Self {
            config,
            kept: Mutex::default(),
        }
    }

    /// The answer given before, where one is still good.
    pub(crate) fn get(&self, key: CacheKey, now: Instant) -> Option<Arc<Kept>> {
        let mut shelf = crate::lock(&self.kept);
        if shelf.answers.get(&key)?.until <= now {
            shelf.remove(key);
            return None;
        }
        shelf.clock += 1;
        let clock = shelf.clock;
        let slot = shelf.answers.get_mut(&key)?;
        slot.uses += 1;
        let before = slot.rank;
        slot.rank = match self.config.eviction {
            Eviction::Fifo => before,
            Eviction::Lru => (0, clock),
            Eviction::Lfu => (slot.uses, clock),
        };
        let (after, kept) = (slot.rank, Arc::clone(&slot.kept));
        shelf.order.remove(&(before.0, before.1, key));
        shelf.order.insert((after.0, after.1, key));
        Some(kept)
    }

    /// Keeps an answer for `ttl`.
    pub(crate) fn put(&self, key: CacheKey, kept: Kept, ttl: Duration, now: Instant) {
        let bytes = size_of_reply(&kept.reply);
        if bytes > self.config.max_bytes || self.config.max_entries == 0 {
            return;
        }
        let mut shelf = crate::lock(&self.kept);
        shelf.remove(key);
        while shelf.answers.len() >= self.config.max_entries
            || shelf.bytes + bytes > self.config.max_bytes
        {
            let Some(&(_, _, first)) = shelf.order.first() else {
                break;
            };
            shelf.remove(first);
        }
        shelf.clock += 1;
        let rank = (0, shelf.clock);
        shelf.order.insert((rank.0, rank.1, key));
        shelf.bytes += bytes;
        let slot = Slot {
            kept: Arc::new(kept),
            bytes,
            until: now + ttl,
            rank,
            uses: 0,
        };
        shelf.answers.insert(key, slot);
    }
}

impl Shelf {
    fn remove(&mut self, key: CacheKey) {
        if let Some(slot) = self.answers.remove(&key) {
            self.order.remove(&(slot.rank.0, slot.rank.1, key));
            self.bytes -= slot.bytes;
        }
    }
}

/// What an answer takes in memory, more or less.
fn size_of_reply(reply: &Reply) -> usize {
    512 + reply.content.iter().map(size_of_block).sum::<usize>()
}

fn size_of_block(block: &Block) -> usize {
    let source = |source: &Source| match source {
        Source::Base64 { data, .. } | Source::Text(data) => data.as_str().len(),
        Source::Url { url, .. } => url.as_str().len(),
        Source::File(name) => name.len(),
    };
    256 + match &block.kind {
        BlockKind::Text(text) | BlockKind::Refusal(text) => text.as_str().len(),
        BlockKind::Thinking { text, signature } => {
            text.as_str().len() + signature.as_ref().map_or(0, String::len)
        }
        BlockKind::RedactedThinking { data } => data.len(),
        BlockKind::Image(from) | BlockKind::Audio(from) => source(from),
        BlockKind::Document { source: from, .. } => source(from),
        BlockKind::ToolUse { input, .. } => 4 * input.0.to_string().len(),
        BlockKind::ToolResult { content, .. } => content.iter().map(size_of_block).sum(),
        BlockKind::Other { value, .. } => 4 * value.0.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::{Extra, Message, Real, StopReason, Usage};

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(request: &ChatRequest) -> CacheKey {
        CacheKey::of(
            RequestDigest::of(request),
            None,
            Zone::Cloud,
            (&"p".into(), &"m".into()),
            None,
        )
    }

    fn asked(text: &str) -> ChatRequest {
        ChatRequest::new("m", [Message::user(text)])
    }

    fn kept(text: &str) -> Kept {
        Kept {
            reply: Reply {
                id: "1".into(),
                model: "m".into(),
                content: vec![Block::text(text)],
                stop: StopReason::EndTurn,
                usage: Usage::default(),
                extra: Extra::default(),
            },
            provider: "p".into(),
            model: "m".into(),
            zone: Zone::Cloud,
        }
    }

    fn cache(eviction: Eviction, max_entries: usize) -> Cache {
        Cache::new(CacheConfig {
            max_entries,
            max_bytes: 10_000,
            eviction,
        })
    }

    #[test]
    fn everything_that_matters_is_in_the_key() {
        let base = asked("hi");
        let change = |change: fn(&mut ChatRequest)| {
            let mut request = base.clone();
            change(&mut request);
            key(&request)
        };
        let (p, m, q) = ("p".into(), "m".into(), "q".into());
        let keys = [
            key(&base),
            change(|r| r.model = "n".into()),
            change(|r| r.messages.push(Message::assistant("ho"))),
            change(|r| r.messages[0] = Message::system("hi")),
            change(|r| r.sampling.temperature = Real::new(0.5)),
            change(|r| r.sampling.seed = Some(1)),
            change(|r| r.max_tokens = Some(9)),
            change(|r| r.stop.push("x".into())),
            CacheKey::of(
                RequestDigest::of(&base),
                Some("key-1"),
                Zone::Cloud,
                (&p, &m),
                None,
            ),
            CacheKey::of(RequestDigest::of(&base), None, Zone::Device, (&p, &m), None),
            CacheKey::of(
                RequestDigest::of(&base),
                None,
                Zone::Cloud,
                (&p, &m),
                Some(0),
            ),
            CacheKey::of(RequestDigest::of(&base), None, Zone::Cloud, (&q, &m), None),
        ];
        let distinct: BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(change(|r| r.stream = true), key(&base));
        assert_eq!(
            change(|r| r.metadata.session = Some("s".into())),
            key(&base)
        );
    }

    #[test]
    fn an_answer_is_good_for_its_time() {
        let (cache, now) = (cache(Eviction::Lru, 9), Instant::now());
        let (a, b) = (key(&asked("a")), key(&asked("b")));
        cache.put(a, kept("x"), MINUTE, now);
        cache.put(b, kept("y"), Duration::from_secs(5), now);
        let later = now + Duration::from_secs(30);
        assert_eq!(cache.get(a, later).unwrap().reply.text(), "x");
        assert!(cache.get(b, later).is_none());
        assert!(cache.get(a, now + Duration::from_secs(60)).is_none());
    }

    /// Puts a, b and c on a shelf for three, uses a twice and b once, then puts d: what is left?
    fn left(eviction: Eviction) -> String {
        let (cache, now) = (cache(eviction, 3), Instant::now());
        let put = |name: &str| cache.put(key(&asked(name)), kept(name), MINUTE, now);
        let uses = |name: &str| cache.get(key(&asked(name)), now).is_some();
        ["a", "b", "c"].into_iter().for_each(put);
        assert!(uses("b") && uses("a") && uses("a"));
        put("d");
        ["a", "b", "c", "d"]
            .into_iter()
            .filter(|name| uses(name))
            .collect()
    }

    #[test]
    fn the_strategy_says_which_goes() {
        assert_eq!(left(Eviction::Fifo), "bcd");
        assert_eq!(left(Eviction::Lru), "abd");
        assert_eq!(left(Eviction::Lfu), "abd");
    }

    #[test]
    fn memory_is_bounded() {
        let (cache, now) = (cache(Eviction::Lru, 1000), Instant::now());
        for n in 0..100 {
            cache.put(
                key(&asked(&n.to_string())),
                kept(&"x".repeat(1000)),
                MINUTE,
                now,
            );
        }
        cache.put(key(&asked("big")), kept(&"x".repeat(20_000)), MINUTE, now);
        let shelf = crate::lock(&cache.kept);
        assert!(shelf.bytes <= 10_000 && shelf.answers.len() > 3);
        assert_eq!(shelf.answers.len(), shelf.order.len());
        let sum: usize = shelf.answers.values().map(|slot| slot.bytes).sum();
        assert_eq!(sum, shelf.bytes);
    }
}
