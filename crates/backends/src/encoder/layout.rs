//! What an encoder's graph takes and gives.

use inhouse_engine::{EngineError, ErrorKind};
use ort::session::Session;
use ort::value::{Outlet, TensorElementType};

use crate::layout::Integers;

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";
const POSITIONS: &str = "position_ids";

/// The names that exports give the vectors of tokens, and that of the text.
const TOKENS: [&str; 2] = ["last_hidden_state", "token_embeddings"];
const POOLED: &str = "sentence_embedding";

/// An encoder's inputs and outputs.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) ids: Integers,
    /// Without it, only texts of the same length share a run.
    pub(super) mask: Option<Integers>,
    pub(super) types: Option<Integers>,
    pub(super) positions: Option<Integers>,
    /// Keys and values of what came before: nothing did.
    pub(super) pasts: Vec<Past>,
    /// The output with a vector for each token.
    pub(super) tokens: Option<String>,
    /// The output with a vector for each text.
    pub(super) pooled: Option<String>,
    /// The graph takes one text a run.
    pub(super) one_by_one: bool,
    /// The graph takes texts of this length and no other; shorter ones are filled up.
    pub(super) length: Option<usize>,
}

/// An input that decoders have, and encoders made of them.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) name: String,
    pub(super) element: TensorElementType,
    pub(super) heads: usize,
    pub(super) width: usize,
}

impl Layout {
    /// Reads the inputs and outputs of `session`.
    ///
    /// # Errors
    /// An input that nobody here knows what to put into, or no output to read.
    pub(super) fn of(session: &Session) -> Result<Self, EngineError> {
        let known = [IDS, MASK, TYPES, POSITIONS];
        let pasts: Vec<Past> = session.inputs().iter().filter_map(past).collect();
        let is_past = |name: &str| pasts.iter().any(|past| past.name == name);
        let mut names = session.inputs().iter().map(Outlet::name);
        if let Some(strange) = names.find(|name| !known.contains(name) && !is_past(name)) {
            return Err(unsupported(format!(
                "the graph has an input {strange:?}, and there is nothing to put into it; encoders take {}",
                known.join(", ")
            )));
        }
        let ids = integers(session, IDS)?;
        let ids = ids.ok_or_else(|| unsupported(format!("the graph has no input {IDS:?}")))?;
        let [batch, length] = fixed(session)?;
        if batch.is_some_and(|batch| batch != 1) {
            return Err(unsupported(
                "the graph takes a fixed number of texts; export it with a dynamic batch",
            ));
        }
        let layout = Self {
            ids,
            mask: integers(session, MASK)?,
            types: integers(session, TYPES)?,
            positions: integers(session, POSITIONS)?,
            pasts,
            tokens: tokens(session),
            pooled: output(session, POOLED, 2),
            one_by_one: batch.is_some(),
            length,
        };
        if layout.mask.is_none() && length.is_some() {
            return Err(unsupported(format!(
                "the graph takes texts of one length and no {MASK:?} to fill shorter ones up by"
            )));
        }
        layout.check_output(session)?;
        Ok(layout)
    }

    fn check_output(&self, session: &Session) -> Result<(), EngineError> {
        if self.tokens.is_some() || self.pooled.is_some() {
            return Ok(());
        }
        const SHOWN: usize = 5;
        let given = session.outputs().iter().map(Outlet::name);
        let given: Vec<&str> = given.take(SHOWN).collect();
        let more = match session.outputs().len() > SHOWN {
            true => " ..",
            false => "",
        };
        Err(unsupported(format!(
            "the graph has none of the outputs {}, {POOLED}, as encoders do; it has {}{more}",
            TOKENS.join(", "),
            given.join(", ")
        )))
    }
}

fn past(input: &Outlet) -> Option<Past> {
    let shape = input.dtype().tensor_shape()?;
    let size = |at: usize| {
        usize::try_from(*shape.get(at)?)
            .ok()
            .filter(|&size| size > 0)
    };
    let is_past = input.name().starts_with("past") && shape.len() == 4;
    is_past.then_some(Past {
        name: input.name().to_owned(),
        element: input.dtype().tensor_type()?,
        heads: size(1)?,
        width: size(3)?,
    })
}

/// Sizes of the ids that are not left open: how many texts, how long.
fn fixed(session: &Session) -> Result<[Option<usize>; 2], EngineError> {
    let inputs = session.inputs().iter();
    let mut shapes = inputs.filter(|input| input.name() == IDS);
    let shape = shapes.next().and_then(|input| input.dtype().tensor_shape());
    match shape.map(|shape| shape.len()) {
        None | Some(2) => {}
        Some(_) => return Err(unsupported(format!("{IDS:?} of the graph is no matrix"))),
    }
    let size = |at: usize| {
        let dim = shape.and_then(|shape| shape.get(at)).copied()?;
        usize::try_from(dim).ok().filter(|&dim| dim > 0)
    };
    Ok([size(0), size(1)])
}

fn integers(session: &Session, name: &str) -> Result<Option<Integers>, EngineError> {
    let mut inputs = session.inputs().iter();
    let Some(input) = inputs.find(|input| input.name() == name) else {
        return Ok(None);
    };
    match input.dtype().tensor_type() {
        Some(element @ (TensorElementType::Int64 | TensorElementType::Int32)) => {
            Ok(Some(Integers {
                name: name.to_owned(),
                element,
            }))
        }
        _ => Err(unsupported(format!(
            "the input {name:?} of the graph is no tensor of int64 or int32"
        ))),
    }
}

/// By its name, or the only output, where it can be nothing else.
fn tokens(session: &Session) -> Option<String> {
    let named = TOKENS.iter().find_map(|name| output(session, name, 3));
    named.or_else(|| match session.outputs() {
        [only] if only.name() != "logits" => output(session, only.name(), 3),
        _ => None,
    })
}

/// The output of that name, if it has so many dimensions and is of a type that is read.
fn output(session: &Session, name: &str, dims: usize) -> Option<String> {
    let mut outputs = session.outputs().iter();
    let output = outputs.find(|output| output.name() == name)?.dtype();
    let is_read = matches!(
        output.tensor_type()?,
        TensorElementType::Float32
            | TensorElementType::Float64
            | TensorElementType::Float16
            | TensorElementType::Bfloat16
    );
    let has_dims = output
        .tensor_shape()
        .is_none_or(|shape| shape.is_empty() || shape.len() == dims);
    (is_read && has_dims).then(|| name.to_owned())
}

fn unsupported(message: impl Into<String>) -> EngineError {
    EngineError::new(ErrorKind::UnsupportedGraph, message)
}
