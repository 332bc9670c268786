//! What both backends are given.

use inhouse_engine::Backend;
use inhouse_text::Tokenizer;

use crate::commands::random::Random;
use crate::output::bytes;

/// Texts of different kinds and lengths, as models meet them.
const TEXTS: [&str; 4] = [
    "The capital of France is",
    "fn main() {\n    let numbers = [3, 1, 4, 1, 5, 9];\n    let largest = numbers.iter().max();\n    println!(",
    "On the morning of the third day the wind turned, and the harbour, which had been as still as a pond, filled with short \
     grey waves. The boats pulled at their ropes. Nobody went out. The old man at the end of the pier had mended nets \
     for sixty years and said that it would be over by the evening, but he said that of everything, and when he was asked \
     how he knew, he",
    "1. Wasser: water\n2. Brot: bread\n3. Käse: cheese\n4. Apfel:",
];
/// Prompts and their length where there is no tokenizer.
const RANDOM: (usize, u32) = (4, 32);

/// Prompts, and how many tokens follow each.
#[derive(Default)]
pub(super) struct Prompts {
    pub(super) all: Vec<Prompt>,
    pub(super) new: usize,
    /// `None` where the model has none.
    tokenizer: Option<Tokenizer>,
}

pub(super) struct Prompt {
    /// `None` where it is random tokens.
    pub(super) text: Option<String>,
    pub(super) ids: Vec<u32>,
}

impl Prompts {
    /// The texts that were given; else our own, or random tokens, as far as the context has room for them.
    pub(super) fn new(texts: &[String], new: u32, model: &dyn Backend) -> anyhow::Result<Self> {
        let folder = model.tokenizer_folder();
        let has_tokenizer = folder.join("tokenizer.json").is_file();
        let tokenizer = match has_tokenizer || !texts.is_empty() {
            true => Some(Tokenizer::from_folder(&folder)?),
            false => None,
        };
        let info = model.info();
        let room = info.context_length.saturating_sub(new as usize).max(1);
        let encode = |tokenizer: &Tokenizer, text: &str| {
            let ids = tokenizer.encode_raw(text)?;
            anyhow::Ok(Prompt {
                text: Some(text.to_owned()),
                ids,
            })
        };
        let all: Vec<Prompt> = match &tokenizer {
            Some(tokenizer) if !texts.is_empty() => {
                let each = texts.iter().map(|text| encode(tokenizer, text));
                each.collect::<Result<_, _>>()?
            }
            Some(tokenizer) => {
                let each = TEXTS.iter().map(|text| {
                    let mut prompt = encode(tokenizer, text)?;
                    prompt.ids.truncate(room);
                    anyhow::Ok(prompt)
                });
                each.collect::<Result<_, _>>()?
            }
            None => {
                let (count, length) = RANDOM;
                let length = length.min(u32::try_from(room).unwrap_or(length));
                let mut random = Random(0);
                let mut prompt = || random.prompt(length, info.vocab);
                let prompts = (0..count).map(|_| Prompt {
                    text: None,
                    ids: prompt(),
                });
                prompts.collect()
            }
        };
        if let Some(empty) = all.iter().find(|prompt| prompt.ids.is_empty()) {
            let text = empty.text.as_deref().unwrap_or_default();
            anyhow::bail!("the prompt {text:?} has no tokens");
        }
        Ok(Self {
            all,
            new: new as usize,
            tokenizer,
        })
    }

    /// A row of logits is kept for each token behind a prompt.
    pub(super) fn check_memory(&self, vocab: usize, available: u64) -> anyhow::Result<()> {
        let row = vocab as u64 * size_of::<f32>() as u64;
        let kept = row.saturating_mul(self.all.len() as u64 * self.new as u64);
        if kept > available / 4 {
            anyhow::bail!(
                "the logits of {} tokens behind {} prompts take {}, and {} are free; give a smaller --new or fewer prompts",
                self.new,
                self.all.len(),
                bytes(kept),
                bytes(available)
            );
        }
        Ok(())
    }

    /// A token as people read it.
    pub(super) fn token(&self, id: u32) -> Option<String> {
        let tokenizer = self.tokenizer.as_ref()?;
        Some(tokenizer.decode(&[id], false))
    }
}
