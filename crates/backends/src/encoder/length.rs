//! How long a text may be, as sentence-transformers finds it.

use serde::Deserialize;

use super::files;
use super::recipe::Sources;
use inhouse_engine::EngineError;

/// Beyond this a length is the one that transformers writes where it knows none: 10^30.
const MOST: f64 = 1e9;

/// What counts of `sentence_bert_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SentenceFile {
    max_seq_length: Option<f64>,
    #[serde(default)]
    pub(super) do_lower_case: bool,
}

/// What counts of `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TokenizerFile {
    model_max_length: Option<f64>,
}

/// What counts of `config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    model_type: String,
    max_position_embeddings: Option<f64>,
    pad_token_id: Option<f64>,
    vocab_size: Option<f64>,
}

impl ConfigFile {
    /// Ids that the model has rows for.
    pub(super) fn vocab_size(&self) -> Option<usize> {
        length(self.vocab_size)
    }

    /// The id that fills short rows up.
    pub(super) fn padding(&self) -> u32 {
        match self.pad_token_id {
            Some(id) if (0.0..=f64::from(u32::MAX)).contains(&id) => id as u32,
            _ => 0,
        }
    }

    /// The position of the first token: RoBERTa and its kin count from behind the id of the padding.
    pub(super) fn first_position(&self) -> usize {
        const LIKE_ROBERTA: [&str; 10] = [
            "camembert",
            "data2vec-text",
            "ibert",
            "longformer",
            "mpnet",
            "roberta",
            "roberta-prelayernorm",
            "xlm-roberta",
            "xlm-roberta-xl",
            "xmod",
        ];
        match LIKE_ROBERTA.contains(&self.model_type.as_str()) {
            true => self.padding() as usize + 1,
            false => 0,
        }
    }

    fn positions(&self) -> Option<usize> {
        let positions = length(self.max_position_embeddings)?;
        Some(positions.saturating_sub(self.first_position()))
    }
}

impl SentenceFile {
    /// Reads the first of the names that sentence-transformers has given this file.
    pub(super) fn read(sources: &Sources) -> Result<Self, EngineError> {
        const NAMES: [&str; 7] = [
            "sentence_bert_config.json",
            "sentence_roberta_config.json",
            "sentence_distilbert_config.json",
            "sentence_camembert_config.json",
            "sentence_albert_config.json",
            "sentence_xlm-roberta_config.json",
            "sentence_xlnet_config.json",
        ];
        for name in NAMES {
            if let Some(file) = files::read(&sources.transformer.join(name))? {
                return Ok(file);
            }
        }
        Ok(Self::default())
    }
}

/// The most tokens of a text: what the model was published with, else the least of what its tokenizer and its table of
/// positions allow.
pub(super) fn max_tokens(
    sentence: &SentenceFile,
    tokenizer: &TokenizerFile,
    config: &ConfigFile,
) -> Option<usize> {
    let published = length(sentence.max_seq_length);
    published.or_else(|| {
        let allowed = [length(tokenizer.model_max_length), config.positions()];
        allowed.into_iter().flatten().min()
    })
}

fn length(value: Option<f64>) -> Option<usize> {
    let value = value.filter(|value| (1.0..=MOST).contains(value))?;
    Some(value as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn check(files: [Value; 3], expected: Option<usize>) {
        let [sentence, tokenizer, config] = files.clone();
        let found = max_tokens(
            &from_value(sentence).unwrap(),
            &from_value(tokenizer).unwrap(),
            &from_value(config).unwrap(),
        );
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn the_published_length_goes_before_the_allowed_ones() {
        let published = json!({"max_seq_length": 40});
        let tokenizer = json!({"model_max_length": 64});
        let config = json!({"max_position_embeddings": 50});
        let none = || json!({});
        check([published, tokenizer.clone(), config.clone()], Some(40));
        check([none(), tokenizer.clone(), config.clone()], Some(50));
        check([none(), tokenizer, none()], Some(64));
        check([json!({"max_seq_length": null}), none(), config], Some(50));
        check([none(), none(), none()], None);
    }

    #[test]
    fn no_length_is_written_in_several_ways() {
        for none in [json!(1e30), json!(-1), json!(0), json!(null)] {
            let tokenizer = json!({"model_max_length": none});
            let config = json!({"max_position_embeddings": none});
            check([json!({}), tokenizer, config], None);
        }
        let text = r#"{"model_max_length": 1000000000000000019884624838656}"#;
        let file: TokenizerFile = serde_json::from_str(text).unwrap();
        assert_eq!(length(file.model_max_length), None);
    }

    #[test]
    fn roberta_has_fewer_positions_than_it_says() {
        let config =
            json!({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1});
        check([json!({}), json!({}), config], Some(512));
    }
}
