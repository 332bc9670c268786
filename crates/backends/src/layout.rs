//! What a decoder's graph takes and gives: read from the loaded graph, as exports differ from their configuration.

use std::collections::HashSet;

use inhouse_engine::{EngineError, ErrorKind, GenaiConfig};
use ort::session::Session;
use ort::value::{Outlet, TensorElementType};

use crate::graph::{LONG, ROWS};

/// Stands for a layer's number in patterns of names.
const LAYER: &str = "%d";
/// Elements of the keys of a layer at a position: far above any model, and far below what would overflow.
const MOST_AT_A_POSITION: usize = 1 << 24;

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

impl Integers {
    fn of(input: &Outlet) -> Result<Self, EngineError> {
        let element = element(input)?;
        if !matches!(element, TensorElementType::Int32 | TensorElementType::Int64) {
            return Err(unsupported(format!(
                "the input {:?} takes {element}, and integers of 32 or 64 bits are expected",
                input.name()
            )));
        }
        Ok(Self {
            name: input.name().to_owned(),
            element,
        })
    }
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
        let pasts: HashSet<&str> = caches.iter().map(|cache| cache.past.as_str()).collect();
        let known = [
            decoder.input_ids.as_str(),
            &decoder.attention_mask,
            &decoder.position_ids,
            ROWS,
            LONG,
        ];
        let has = |name: &str| session.inputs().iter().any(|input| input.name() == name);
        let strange = session
            .inputs()
            .iter()
            .map(Outlet::name)
            .find(|name| !known.contains(name) && !pasts.contains(name));
        if let Some(strange) = strange {
            return Err(unsupported(format!(
                "the graph has an input {strange:?}, and there is nothing to put into it"
            )));
        }
        let integers = |name: &str| {
            let input = session.inputs().iter().find(|input| input.name() == name);
            input.map(Integers::of).transpose()
        };
        Ok(Self {
            input_ids: integers(&decoder.input_ids)?.ok_or_else(|| {
                unsupported(format!("the graph has no input {:?}", decoder.input_ids))
            })?,
            attention_mask: integers(&decoder.attention_mask)?,
            position_ids: integers(&decoder.position_ids)?,
            takes_rows: has(ROWS),
            takes_long: has(LONG),
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
    let element = element(output)?;
    if !matches!(
        element,
        TensorElementType::Float32 | TensorElementType::Float16 | TensorElementType::Bfloat16
    ) {
        return Err(unsupported(format!(
            "the output {name:?} is of {element}, and floats of 32 or 16 bits are expected"
        )));
    }
    // Where nothing is known of it, it has no dimensions here.
    let shape = output.dtype().tensor_shape();
    if shape.is_some_and(|shape| !matches!(shape.len(), 0 | 3)) {
        return Err(unsupported(format!(
            "the output {name:?} has not the three dimensions of logits: sequences, tokens, vocabulary"
        )));
    }
    let dim = |index: usize| shape.and_then(|shape| shape.get(index)).copied();
    let vocab = dim(2)
        .and_then(|dim| usize::try_from(dim).ok())
        .filter(|&dim| dim > 0);
    Ok(Logits {
        name: name.clone(),
        element,
        vocab: vocab.unwrap_or(config.vocab_size),
        last_only: dim(1) == Some(1),
    })
}

/// Keys and values of as many layers as the graph has, whatever the configuration says.
fn caches(session: &Session, config: &GenaiConfig) -> Result<Vec<Cache>, EngineError> {
    let decoder = &config.decoder;
    let pairs = [
        (&decoder.past_key_names, &decoder.present_key_names),
        (&decoder.past_value_names, &decoder.present_value_names),
    ];
    let mut presents: HashSet<&str> = session.outputs().iter().map(Outlet::name).collect();
    let mut caches = Vec::new();
    for input in session.inputs() {
        let past = input.name();
        let mut found = pairs.iter().filter_map(|(pattern, present)| {
            let layer = layer_of(pattern, past)?;
            Some(present.replacen(LAYER, layer, 1))
        });
        let Some(present) = found.next() else {
            continue;
        };
        if !presents.remove(present.as_str()) {
            return Err(unsupported(format!(
                "the graph has an input {past:?} and no output {present:?} for it alone"
            )));
        }
        caches.push(cache(input, present, config)?);
    }
    if caches.is_empty() {
        return Err(unsupported(format!(
            "the graph has no inputs {:?}, keys and values of the past",
            decoder.past_key_names
        )));
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
    let heads = dim(1).unwrap_or(decoder.num_key_value_heads);
    let width = dim(3).unwrap_or(head);
    let at_a_position = heads.checked_mul(width);
    if !at_a_position.is_some_and(|elements| (1..=MOST_AT_A_POSITION).contains(&elements)) {
        return Err(unsupported(format!(
            "the input {:?} has {heads} heads of {width} elements, which cannot be right",
            past.name()
        )));
    }
    Ok(Cache {
        past: past.name().to_owned(),
        present,
        element,
        heads,
        width,
    })
}

/// The layer that stands for [`LAYER`] where `name` is `pattern`.
pub(crate) fn layer_of<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, after) = pattern.split_once(LAYER)?;
    let layer = name.strip_prefix(before)?.strip_suffix(after)?;
    let is_number = !layer.is_empty() && layer.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(layer)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ort::value::{Shape, SymbolicDimensions, ValueType};

    use super::*;

    #[test]
    fn layers_are_read_from_names() {
        let check = |pattern: &str, name: &str, layer: Option<&str>| {
            assert_eq!(layer_of(pattern, name), layer, "{pattern} {name}");
        };
        check("past.%d.key", "past.12.key", Some("12"));
        check("past.%d.key", "past..key", None);
        check("past.%d.key", "past.1.value", None);
        check("past.%d.key", "past.-1.key", None);
        check(
            "past.%d",
            "past.99999999999999999999999",
            Some("99999999999999999999999"),
        );
        check("past.0.key", "past.0.key", None);
    }

    #[test]
    fn widths_that_cannot_be_right_are_refused() {
        let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/llama-fp32");
        let config = GenaiConfig::of_folder(&zoo).unwrap();
        let check = |heads: i64, width: i64, is_right: bool| {
            let dtype = ValueType::Tensor {
                ty: TensorElementType::Float32,
                shape: Shape::new([-1, heads, -1, width]),
                dimension_symbols: SymbolicDimensions::empty(4),
            };
            let past = Outlet::new("past.0.key", dtype);
            let read = cache(&past, "present.0.key".into(), &config);
            assert_eq!(read.is_ok(), is_right, "{heads} {width}");
        };
        check(8, 128, true);
        check(-1, -1, true);
        check(0, 0, true); // as where nothing is said
        check(1 << 40, 128, false);
        check(i64::MAX, i64::MAX, false);
    }
}
