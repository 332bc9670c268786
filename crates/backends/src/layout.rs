//! What a decoder's graph takes and gives: read from the loaded graph, as exports differ from their configuration.

use inhouse_engine::{EngineError, ErrorKind, GenaiConfig};
use ort::session::Session;
use ort::value::{Outlet, TensorElementType};

use crate::graph::{LONG, ROWS};

/// A decoder's inputs and outputs.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) input_ids: Integers,
    pub(crate) attention_mask: Option<Integers>,
    pub(crate) position_ids: Option<Integers>,
    /// The head computes the rows that [`ROWS`] names.
    pub(crate) takes_rows: bool,
    /// [`LONG`] chooses the rotary tables.
    pub(crate) takes_long: bool,
    pub(crate) logits: Logits,
    /// Keys and values of every layer.
    pub(crate) caches: Vec<Cache>,
}

/// An input of integers.
#[derive(Clone, Debug)]
pub(crate) struct Integers {
    pub(crate) name: String,
    pub(crate) element: TensorElementType,
}

/// The output that tokens are chosen from.
#[derive(Clone, Debug)]
pub(crate) struct Logits {
    pub(crate) name: String,
    pub(crate) element: TensorElementType,
    pub(crate) vocab: usize,
    /// The graph gives the last row whatever is asked for.
    pub(crate) last_only: bool,
}

/// The keys or the values of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    pub(crate) past: String,
    pub(crate) present: String,
    pub(crate) element: TensorElementType,
    pub(crate) heads: usize,
    /// Elements of a head at a position; where two share a byte, bytes.
    pub(crate) width: usize,
}

impl Layout {
    /// Reads the inputs and outputs of `session`.
    ///
    /// # Errors
    /// An input that nobody here knows what to put into, or an output that is missing.
    pub(crate) fn of(session: &Session, config: &GenaiConfig) -> Result<Self, EngineError> {
        let decoder = &config.decoder;
        let caches = caches(session, config)?;
        let is_past = |name: &str| caches.iter().any(|cache| cache.past == name);
        let known = [
            decoder.input_ids.as_str(),
            &decoder.attention_mask,
            &decoder.position_ids,
            ROWS,
            LONG,
        ];
        let strange = session
            .inputs()
            .iter()
            .map(Outlet::name)
            .find(|name| !known.contains(name) && !is_past(name));
        if let Some(strange) = strange {
            return Err(unsupported(format!(
                "the graph has an input {strange:?}, and there is nothing to put into it"
            )));
        }
        let integers = |name: &str| {
            let input = session.inputs().iter().find(|input| input.name() == name);
            input.map(|input| Integers {
                name: name.to_owned(),
                element: element(input).unwrap_or(TensorElementType::Int64),
            })
        };
        Ok(Self {
            input_ids: integers(&decoder.input_ids).ok_or_else(|| {
                unsupported(format!("the graph has no input {:?}", decoder.input_ids))
            })?,
            attention_mask: integers(&decoder.attention_mask),
            position_ids: integers(&decoder.position_ids),
            takes_rows: integers(ROWS).is_some(),
            takes_long: integers(LONG).is_some(),
            logits: logits(session, config)?,
            caches,
        })
    }

    /// Bytes of keys and values of one position.
    pub(crate) fn bytes_per_token(&self) -> usize {
        let bytes = |cache: &Cache| cache.element.byte_size(cache.heads * cache.width);
        self.caches.iter().filter_map(bytes).sum()
    }
}

fn logits(session: &Session, config: &GenaiConfig) -> Result<Logits, EngineError> {
    let name = &config.decoder.logits;
    let output = session
        .outputs()
        .iter()
        .find(|output| output.name() == name);
    let output = output.ok_or_else(|| unsupported(format!("the graph has no output {name:?}")))?;
    let shape = output.dtype().tensor_shape();
    let dim = |index: usize| shape.and_then(|shape| shape.get(index)).copied();
    let vocab = dim(2)
        .and_then(|dim| usize::try_from(dim).ok())
        .filter(|&dim| dim > 0);
    Ok(Logits {
        name: name.clone(),
        element: element(output)?,
        vocab: vocab.unwrap_or(config.vocab_size),
        last_only: dim(1) == Some(1),
    })
}

/// As many layers as the graph has, whatever the configuration says.
fn caches(session: &Session, config: &GenaiConfig) -> Result<Vec<Cache>, EngineError> {
    let decoder = &config.decoder;
    let mut caches = Vec::new();
    for layer in 0.. {
        let before = caches.len();
        let pairs = [
            (&decoder.past_key_names, &decoder.present_key_names),
            (&decoder.past_value_names, &decoder.present_value_names),
        ];
        for (past, present) in pairs {
            let (past, present) = (at_layer(past, layer), at_layer(present, layer));
            let input = session.inputs().iter().find(|input| input.name() == past);
            let output = session
                .outputs()
                .iter()
                .any(|output| output.name() == present);
            if let Some(input) = input {
                if !output {
                    return Err(unsupported(format!(
                        "the graph has an input {past:?} and no output {present:?}"
                    )));
                }
                caches.push(cache(input, present, config)?);
            }
        }
        // Layers without keys and values of their own lie between those that have some.
        if caches.len() == before && layer >= decoder.num_hidden_layers {
            break;
        }
    }
    Ok(caches)
}

fn cache(past: &Outlet, present: String, config: &GenaiConfig) -> Result<Cache, EngineError> {
    let element = element(past)?;
    let shape = past.dtype().tensor_shape();
    let dim = |index: usize| {
        let dim = shape.and_then(|shape| shape.get(index)).copied()?;
        usize::try_from(dim).ok().filter(|&dim| dim > 0)
    };
    if shape.is_some_and(|shape| shape.len() != 4) {
        return Err(unsupported(format!(
            "the input {:?} has not the four dimensions of keys and values",
            past.name()
        )));
    }
    let decoder = &config.decoder;
    let head = match decoder.head_size {
        0 => decoder.hidden_size / decoder.num_attention_heads.max(1),
        size => size,
    };
    Ok(Cache {
        past: past.name().to_owned(),
        present,
        element,
        heads: dim(1).unwrap_or(decoder.num_key_value_heads),
        width: dim(3).unwrap_or(head),
    })
}

/// The name of a pattern at a layer: `%d` stands for its number.
pub(crate) fn at_layer(pattern: &str, layer: usize) -> String {
    pattern.replace("%d", &layer.to_string())
}

fn element(outlet: &Outlet) -> Result<TensorElementType, EngineError> {
    outlet
        .dtype()
        .tensor_type()
        .ok_or_else(|| unsupported(format!("{:?} of the graph is not a tensor", outlet.name())))
}

fn unsupported(message: String) -> EngineError {
    EngineError::new(ErrorKind::UnsupportedGraph, message)
}
