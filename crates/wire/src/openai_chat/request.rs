//! Requests.

use inhouse_chat::{ChatRequest, Effort, Fields, Json, Reasoning, ResponseFormat, Sampling};
use serde_json::{Value, json};

use super::messages::Reading;
use super::sending::Sending;
use super::{DIALECT, tools};
use crate::fields::{CAME, Mark, Object, came_in, each, kind, marked, number, set};
use crate::note::Notes;
use crate::path::Path;
use crate::{Encoded, WireError};

/// The limit was called `max_tokens`.
const OLD_LIMIT: Mark = "\0max_tokens";

/// `stop` was a string.
const ONE_STOP: Mark = "\0stop";

/// `top_k` was stated: copies of the protocol know it, OpenAI does not.
const TOP_K: Mark = "\0top_k";

/// OpenAI takes no more texts that end the answer.
const MOST_STOPS: usize = 4;

pub(super) fn decode(body: Value) -> Result<ChatRequest, WireError> {
    let mut body = Object::new(body, Path::Root)?;
    let mut request = ChatRequest::new(body.string("model")?, []);
    let mut reading = Reading::default();
    body.each("messages", |message, path| reading.message(message, path))?;
    request.messages = reading.messages;
    request.tools = tools::decode(&mut body)?;
    request.tool_choice = tools::decode_choice(&mut body)?;
    request.sampling = decode_sampling(&mut body)?;
    request.max_tokens = body.opt_u32("max_completion_tokens")?;
    if request.max_tokens.is_none() && body.peek("max_tokens").is_some() {
        request.max_tokens = body.opt_u32("max_tokens")?;
        body.mark(OLD_LIMIT);
    }
    request.stop = decode_stop(&mut body)?;
    request.response_format = decode_format(&mut body)?;
    request.reasoning = decode_effort(&mut body);
    request.stream = body.peek("stream") == Some(&Value::Bool(true));
    if request.stream {
        body.take("stream");
    }
    // The name of a user is known to policy and ledger, and goes to this protocol only, as it came.
    request.metadata.user = body.peek_str("user").map(str::to_owned);
    body.mark(CAME);
    request.extra = body.rest(DIALECT);
    Ok(request)
}

fn decode_sampling(body: &mut Object<'_>) -> Result<Sampling, WireError> {
    if body.peek("top_k").is_some() {
        body.mark(TOP_K);
    }
    Ok(Sampling {
        temperature: body.opt_real("temperature")?,
        top_p: body.opt_real("top_p")?,
        // vLLM's word for "all" is -1: forwarded, and nothing that another protocol needs to hear.
        top_k: match body.peek("top_k").is_some_and(Value::is_u64) {
            true => body.opt_u32("top_k")?,
            false => None,
        },
        seed: body.opt_i64("seed")?,
        frequency_penalty: body.opt_real("frequency_penalty")?,
        presence_penalty: body.opt_real("presence_penalty")?,
    })
}

fn decode_stop(body: &mut Object<'_>) -> Result<Vec<inhouse_chat::Text>, WireError> {
    match body.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(stop)) => {
            body.mark(ONE_STOP);
            Ok(vec![stop.into()])
        }
        Some(Value::Array(stops)) if stops.is_empty() => {
            body.put_back("stop", json!([]));
            Ok(Vec::new())
        }
        Some(Value::Array(stops)) => {
            each(stops, &body.path().field("stop"), |stop, path| match stop {
                Value::String(stop) => Ok(stop.into()),
                _ => Err(kind(&path, "a string")),
            })
        }
        Some(_) => Err(body.kind("stop", "a string or a list")),
    }
}

fn decode_format(body: &mut Object<'_>) -> Result<Option<ResponseFormat>, WireError> {
    let known = body
        .peek("response_format")
        .and_then(|format| format.get("type")?.as_str())
        .is_some_and(|kind| matches!(kind, "text" | "json_object" | "json_schema"));
    if !known {
        return Ok(None); // to be forwarded
    }
    body.opt_object("response_format", |format| {
        match format.string("type")?.as_str() {
            "text" => return Ok(ResponseFormat::Text),
            "json_object" if format.peek("schema").is_none() => {
                return Ok(ResponseFormat::JsonObject);
            }
            "json_object" => {
                format.put_back("type", json!("json_object")); // llama.cpp's way to state a schema
                return Ok(ResponseFormat::JsonObject);
            }
            _ => {}
        }
        let schema = format.opt_object("json_schema", |schema| {
            Ok(ResponseFormat::JsonSchema {
                name: schema.opt_string("name")?,
                strict: schema.opt_bool("strict")?,
                schema: match schema.opt_json_object("schema")? {
                    Some(schema) => schema,
                    None => Json(json!({})),
                },
            })
        })?;
        schema.ok_or_else(|| format.missing("json_schema"))
    })
}

/// An effort that we do not know stays, to be forwarded.
fn decode_effort(body: &mut Object<'_>) -> Option<Reasoning> {
    let reasoning = match body.peek_str("reasoning_effort")? {
        "none" => Reasoning::Off,
        "minimal" => Reasoning::Effort(Effort::Minimal),
        "low" => Reasoning::Effort(Effort::Low),
        "medium" => Reasoning::Effort(Effort::Medium),
        "high" => Reasoning::Effort(Effort::High),
        "xhigh" => Reasoning::Effort(Effort::ExtraHigh),
        "max" => Reasoning::Effort(Effort::Max),
        _ => return None,
    };
    body.take("reasoning_effort");
    Some(reasoning)
}

pub(super) fn encode(request: &ChatRequest) -> Result<Encoded, WireError> {
    let mut notes = Notes::new(DIALECT);
    let mut out = Fields::new();
    set(&mut out, "model", Some(request.model.as_str()));
    out.insert("messages".into(), encode_messages(request, &mut notes)?);
    tools::encode(request, &mut notes, &mut out)?;
    encode_sampling(request, &mut notes, &mut out);
    let limit = match marked(&request.extra, DIALECT, OLD_LIMIT) {
        true => "max_tokens",
        false => "max_completion_tokens",
    };
    set(&mut out, limit, request.max_tokens);
    encode_stop(request, &mut notes, &mut out);
    encode_format(request, &mut out);
    let effort = effort(request.reasoning.as_ref(), &mut notes);
    set(&mut out, "reasoning_effort", effort);
    if request.stream {
        set(&mut out, "stream", Some(true));
        // Without it nobody knows what a stream costs. Whether the client sees it is the writer's affair.
        set(
            &mut out,
            "stream_options",
            Some(json!({"include_usage": true})),
        );
    }
    notes.extra(&mut out, &request.extra, &Path::Root);
    Ok(notes.encoded(out))
}

fn encode_messages(request: &ChatRequest, notes: &mut Notes) -> Result<Value, WireError> {
    let root = Path::Root;
    let path = root.field("messages");
    let mut sending = Sending {
        notes,
        came_in: came_in(&request.extra),
        list: Vec::with_capacity(request.messages.len()),
    };
    for (index, message) in request.messages.iter().enumerate() {
        sending.message(message, &path.index(index))?;
    }
    Ok(Value::Array(sending.list))
}

fn encode_sampling(request: &ChatRequest, notes: &mut Notes, out: &mut Fields) {
    let sampling = &request.sampling;
    set(out, "temperature", sampling.temperature.map(number));
    set(out, "top_p", sampling.top_p.map(number));
    set(out, "seed", sampling.seed);
    set(
        out,
        "frequency_penalty",
        sampling.frequency_penalty.map(number),
    );
    set(
        out,
        "presence_penalty",
        sampling.presence_penalty.map(number),
    );
    if marked(&request.extra, DIALECT, TOP_K) {
        set(out, "top_k", sampling.top_k);
    } else if sampling.top_k.is_some() {
        notes.left_out(&Path::Root.field("topK"));
    }
}

fn encode_stop(request: &ChatRequest, notes: &mut Notes, out: &mut Fields) {
    let stops: Vec<&str> = request.stop.iter().map(|stop| stop.as_str()).collect();
    if let ([stop], true) = (&stops[..], marked(&request.extra, DIALECT, ONE_STOP)) {
        out.insert("stop".into(), Value::from(*stop));
        return;
    }
    // Copies of the protocol take more, so what came in it is forwarded.
    let most = match came_in(&request.extra) == Some(DIALECT) {
        true => stops.len(),
        false => stops.len().min(MOST_STOPS),
    };
    let root = Path::Root;
    for index in most..stops.len() {
        notes.left_out(&root.field("stop").index(index));
    }
    let kept: Vec<&str> = stops.into_iter().take(most).collect();
    set(out, "stop", (!kept.is_empty()).then_some(kept));
}

fn encode_format(request: &ChatRequest, out: &mut Fields) {
    let format = match &request.response_format {
        None => return,
        Some(ResponseFormat::Text) => json!({"type": "text"}),
        Some(ResponseFormat::JsonObject) => json!({"type": "json_object"}),
        Some(ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        }) => {
            let mut inner = Fields::new();
            // A name is demanded and says nothing.
            set(
                &mut inner,
                "name",
                Some(name.as_deref().unwrap_or("answer")),
            );
            set(&mut inner, "strict", *strict);
            inner.insert("schema".into(), schema.0.clone());
            json!({"type": "json_schema", "json_schema": inner})
        }
    };
    out.insert("response_format".into(), format);
}

fn effort(reasoning: Option<&Reasoning>, notes: &mut Notes) -> Option<&'static str> {
    let root = Path::Root;
    let path = root.field("reasoning");
    Some(match reasoning? {
        Reasoning::Off => "none",
        Reasoning::Adaptive => {
            notes.left_out(&path);
            return None;
        }
        Reasoning::Effort(effort) => match effort {
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::ExtraHigh => "xhigh",
            Effort::Max => "max",
        },
        Reasoning::Budget(budget) => {
            notes.changed(&path, "mapped to an effort");
            match budget {
                0..=2048 => "low",
                2049..=8192 => "medium",
                _ => "high",
            }
        }
    })
}
