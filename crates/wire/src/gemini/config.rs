//! `generationConfig`: sampling, the shape of the answer, thinking.

use inhouse_chat::{ChatRequest, Effort, Fields, Json, Reasoning, ResponseFormat};
use serde_json::{Value, json};

use super::own;
use super::schema::to_json_schema;
use crate::WireError;
use crate::fields::{Object, kind, number, set};
use crate::note::Notes;
use crate::path::Path;

/// The schema as `responseSchema` had it.
const SCHEMA: &str = "\0responseSchema";
/// The level as it was written: the API takes both cases.
const LEVEL: &str = "\0thinkingLevel";
/// `generationConfig` was there, and empty.
const EMPTY: &str = "\0emptyConfig";

pub(super) fn decode(body: &mut Object<'_>, request: &mut ChatRequest) -> Result<(), WireError> {
    if body.peek("generationConfig") == Some(&json!({})) {
        body.mark(EMPTY);
    }
    let marks = body.opt_object("generationConfig", |config| {
        let sampling = &mut request.sampling;
        sampling.temperature = config.opt_real("temperature")?;
        sampling.top_p = config.opt_real("topP")?;
        sampling.top_k = config.opt_u32("topK")?;
        sampling.seed = config.opt_i64("seed")?;
        sampling.presence_penalty = config.opt_real("presencePenalty")?;
        sampling.frequency_penalty = config.opt_real("frequencyPenalty")?;
        request.max_tokens = config.opt_u32("maxOutputTokens")?;
        request.stop = config.opt_each("stopSequences", |stop, path| match stop {
            Value::String(stop) => Ok(stop.into()),
            _ => Err(kind(&path, "a string")),
        })?;
        let (format, schema) = decode_format(config)?;
        request.response_format = format;
        let thinking = config.opt_object("thinkingConfig", decode_thinking)?;
        let (reasoning, level) = thinking.unwrap_or_default();
        request.reasoning = reasoning;
        Ok([(SCHEMA, schema), (LEVEL, level.map(Value::from))])
    })?;
    for (mark, value) in marks.into_iter().flatten() {
        if let Some(value) = value {
            body.put_back(mark, value);
        }
    }
    Ok(())
}

/// The format, and the schema as it came where it is not JSON Schema.
fn decode_format(
    config: &mut Object<'_>,
) -> Result<(Option<ResponseFormat>, Option<Value>), WireError> {
    let schemas = ["responseSchema", "responseJsonSchema"].map(|name| config.peek(name).is_some());
    let known = match config.peek_str("responseMimeType") {
        Some("text/plain") => schemas == [false, false],
        Some("application/json") => schemas != [true, true],
        _ => false,
    };
    if !known {
        return Ok((None, None)); // to be forwarded
    }
    let media_type = config.opt_string("responseMimeType")?;
    let (schema, original) = match schemas {
        [true, _] => {
            let original = config.opt_json_object("responseSchema")?;
            let original = original.map_or(Value::Null, |schema| schema.0);
            (Some(Json(to_json_schema(&original))), Some(original))
        }
        _ => (config.opt_json_object("responseJsonSchema")?, None),
    };
    let format = match (media_type.as_deref(), schema) {
        (_, Some(schema)) => ResponseFormat::JsonSchema {
            name: None,
            schema,
            strict: None,
        },
        (Some("text/plain"), None) => ResponseFormat::Text,
        (_, None) => ResponseFormat::JsonObject,
    };
    Ok((Some(format), original))
}

/// The reasoning, and the level as it was written.
fn decode_thinking(
    thinking: &mut Object<'_>,
) -> Result<(Option<Reasoning>, Option<String>), WireError> {
    let budget = thinking.peek("thinkingBudget").and_then(Value::as_i64);
    let level = thinking
        .peek_str("thinkingLevel")
        .map(str::to_ascii_lowercase);
    let effort = level.as_deref().and_then(|level| match level {
        "minimal" => Some(Effort::Minimal),
        "low" => Some(Effort::Low),
        "medium" => Some(Effort::Medium),
        "high" => Some(Effort::High),
        _ => None,
    });
    let reasoning = match (budget, effort, level.is_some()) {
        (Some(0), _, false) => Reasoning::Off,
        (Some(-1), _, false) => Reasoning::Adaptive,
        (Some(budget), _, false) => match u32::try_from(budget) {
            Ok(budget) => Reasoning::Budget(budget),
            Err(_) => return Ok((None, None)),
        },
        (None, Some(effort), _) => {
            let written = thinking.opt_string("thinkingLevel")?;
            return Ok((Some(Reasoning::Effort(effort)), written));
        }
        _ => return Ok((None, None)), // to be forwarded
    };
    thinking.take("thinkingBudget");
    Ok((Some(reasoning), None))
}

pub(super) fn encode(request: &ChatRequest, foreign: bool, notes: &mut Notes) -> Option<Fields> {
    let mut out = Fields::new();
    let sampling = &request.sampling;
    set(&mut out, "maxOutputTokens", request.max_tokens);
    set(&mut out, "temperature", sampling.temperature.map(number));
    set(&mut out, "topP", sampling.top_p.map(number));
    set(&mut out, "topK", sampling.top_k);
    set(&mut out, "seed", sampling.seed);
    set(
        &mut out,
        "presencePenalty",
        sampling.presence_penalty.map(number),
    );
    set(
        &mut out,
        "frequencyPenalty",
        sampling.frequency_penalty.map(number),
    );
    if !request.stop.is_empty() {
        let stop: Vec<&str> = request.stop.iter().map(|stop| stop.as_str()).collect();
        out.insert("stopSequences".into(), json!(stop));
    }
    encode_format(request, notes, &mut out);
    if let Some(reasoning) = &request.reasoning {
        let mut thinking = encode_thinking(request, reasoning, notes);
        if foreign && *reasoning != Reasoning::Off {
            thinking["includeThoughts"] = Value::Bool(true); // other APIs show them unasked
        }
        out.insert("thinkingConfig".into(), thinking);
    }
    let wanted = !out.is_empty() || own(&request.extra, EMPTY).is_some();
    wanted.then_some(out)
}

fn encode_format(request: &ChatRequest, notes: &mut Notes, out: &mut Fields) {
    let (media_type, schema) = match &request.response_format {
        None => return,
        Some(ResponseFormat::Text) => ("text/plain", None),
        Some(ResponseFormat::JsonObject) => ("application/json", None),
        Some(ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        }) => {
            let root = Path::Root;
            let path = root.field("responseFormat");
            if name.is_some() {
                notes.left_out(&path.field("name"));
            }
            if *strict == Some(false) {
                notes.changed(&path.field("strict"), "made strict");
            }
            ("application/json", Some(schema))
        }
    };
    set(out, "responseMimeType", Some(media_type));
    let Some(schema) = schema else { return };
    match own(&request.extra, SCHEMA) {
        Some(original) if to_json_schema(original) == schema.0 => {
            out.insert("responseSchema".into(), original.clone());
        }
        _ => {
            out.insert("responseJsonSchema".into(), schema.0.clone());
        }
    }
}

/// Gemini 2.5 has budgets, later models levels; the levels' budgets are those of Google's own OpenAI endpoint.
fn encode_thinking(request: &ChatRequest, reasoning: &Reasoning, notes: &mut Notes) -> Value {
    let root = Path::Root;
    let path = root.field("reasoning");
    let has_budgets = request.model.as_str().contains("gemini-2");
    let effort = match reasoning {
        Reasoning::Off => return json!({"thinkingBudget": 0}),
        Reasoning::Adaptive => return json!({"thinkingBudget": -1}),
        Reasoning::Budget(budget) => return json!({"thinkingBudget": budget}),
        Reasoning::Effort(effort) => *effort,
    };
    let (level, budget) = match effort {
        Effort::Minimal => ("MINIMAL", 1024),
        Effort::Low => ("LOW", 1024),
        Effort::Medium => ("MEDIUM", 8192),
        Effort::High => ("HIGH", 24576),
        Effort::ExtraHigh | Effort::Max => {
            notes.changed(&path, "lowered to high");
            ("HIGH", 24576)
        }
    };
    let written = own(&request.extra, LEVEL).and_then(Value::as_str);
    match written {
        Some(written) if written.eq_ignore_ascii_case(level) => json!({"thinkingLevel": written}),
        _ if has_budgets => {
            notes.changed(&path, "mapped from an effort to a budget");
            json!({"thinkingBudget": budget})
        }
        _ => json!({"thinkingLevel": level}),
    }
}
