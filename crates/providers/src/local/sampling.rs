//! How tokens are drawn and how long an answer may be: what the request says, over what the model's folder says.

use inhouse_chat::{ChatRequest, ModelName, StopReason, Text};
use inhouse_engine::{GenaiConfig, GenerateOptions, SearchOptions};

/// What a generation is started with.
pub(super) struct Plan {
    pub(super) options: GenerateOptions,
    /// Most tokens of the answer.
    pub(super) most: usize,
    /// Why it ended where it is as long as it may be.
    pub(super) at_most: StopReason,
    pub(super) note: Option<String>,
}

/// The prompt does not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the prompt has {prompt} tokens, and {model} has room for {room}, of which the answer needs at least one; shorten it \
     or take another model"
)]
pub(super) struct TooLong {
    model: ModelName,
    prompt: usize,
    room: usize,
}

/// How long prompt and answer are, and may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// Tokens of the prompt.
    pub(super) prompt: usize,
    /// Tokens of the model's context.
    pub(super) context: usize,
}

/// What the answer to `request` of `model` is started with.
///
/// # Errors
///
/// Where the prompt leaves no room for an answer.
pub(super) fn plan(
    request: &ChatRequest,
    model: &ModelName,
    config: &GenaiConfig,
    lengths: Lengths,
) -> Result<Plan, TooLong> {
    let Lengths { prompt, context } = lengths;
    let mut search = SearchOptions::from(&config.search);
    draw(&mut search, request);
    let asked = request.max_tokens.map(|n| n as usize);
    // A folder limits answers only where the request does not say.
    let folders = search.max_length.filter(|_| asked.is_none());
    let room = folders.map_or(context, |most| most.min(context));
    if prompt >= room {
        return Err(TooLong {
            model: model.clone(),
            prompt,
            room,
        });
    }
    let left = room - prompt;
    let most = asked.map_or(left, |asked| asked.min(left));
    search.max_new_tokens = Some(most);
    search.min_length = search.min_length.min(prompt + most);
    let full = prompt + most == context && asked.is_none_or(|asked| asked > most);
    Ok(Plan {
        note: asked.filter(|&asked| asked > most).map(|asked| {
            format!("maxTokens was {asked}: the context of {model} has room for {most}")
        }),
        at_most: match full {
            true => StopReason::ContextFull,
            false => StopReason::MaxTokens,
        },
        most,
        options: GenerateOptions {
            search,
            stop_tokens: config.eos_token_ids.clone(),
            stop_strings: request
                .stop
                .iter()
                .cloned()
                .map(Text::into_string)
                .collect(),
            logprobs: None,
        },
    })
}

fn draw(search: &mut SearchOptions, request: &ChatRequest) {
    let asked = &request.sampling;
    // Asking for a way to draw is asking to draw; a temperature of 0 still wins.
    search.do_sample |= asked.top_p.is_some() || asked.top_k.is_some();
    let float = |real: inhouse_chat::Real| real.get() as f32;
    search.top_p = asked.top_p.map_or(search.top_p, float);
    search.top_k = asked.top_k.map_or(search.top_k, |k| k as usize);
    search.frequency_penalty = asked
        .frequency_penalty
        .map_or(search.frequency_penalty, float);
    search.presence_penalty = asked
        .presence_penalty
        .map_or(search.presence_penalty, float);
    search.seed = asked.seed.map(i64::cast_unsigned).or(search.seed);
    if let Some(temperature) = asked.temperature {
        search.set_temperature(float(temperature));
    }
}

#[cfg(test)]
mod tests {
    use inhouse_chat::Real;

    use super::*;

    fn planned(
        folder: &str,
        change: impl FnOnce(&mut ChatRequest),
        prompt: usize,
    ) -> Result<Plan, TooLong> {
        let json = format!(
            r#"{{"model": {{"context_length": 100, "eos_token_id": 1, "type": "llama", "vocab_size": 512,
                "decoder": {{"filename": "model.onnx", "head_size": 32, "hidden_size": 192,
                "num_attention_heads": 6, "num_hidden_layers": 3, "num_key_value_heads": 2,
                "inputs": {{"input_ids": "input_ids", "attention_mask": "attention_mask",
                "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"}},
                "outputs": {{"logits": "logits", "present_key_names": "present.%d.key",
                "present_value_names": "present.%d.value"}}}}}}, "search": {folder}}}"#
        );
        let config = GenaiConfig::parse(json.as_bytes()).unwrap();
        let mut request = ChatRequest::new("m", []);
        change(&mut request);
        let context = 100;
        plan(&request, &"m".into(), &config, Lengths { prompt, context })
    }

    #[test]
    fn what_the_request_says_goes_before_what_the_folder_says() {
        let folder = r#"{"do_sample": false, "temperature": 0.5, "top_k": 7, "top_p": 0.9}"#;
        let search =
            |change: fn(&mut ChatRequest)| planned(folder, change, 10).unwrap().options.search;
        let folders = search(|_| {});
        assert_eq!(
            (folders.do_sample, folders.top_k, folders.seed),
            (false, 7, None)
        );
        let ours = search(|request| {
            request.sampling.top_p = Real::new(0.25);
            request.sampling.seed = Some(-1);
            request.sampling.presence_penalty = Real::new(0.5);
        });
        assert!(ours.do_sample, "who says how to draw wants to draw");
        assert_eq!((ours.top_p, ours.top_k, ours.temperature), (0.25, 7, 0.5));
        assert_eq!((ours.seed, ours.presence_penalty), (Some(u64::MAX), 0.5));
        let greedy = search(|request| {
            request.sampling.temperature = Real::new(0.0);
            request.sampling.top_k = Some(3);
        });
        assert!(greedy.is_greedy());
    }

    /// How long an answer to 40 tokens of 100 may be, and why it ends there.
    fn check(folder: &str, asked: Option<u32>, most: usize, at_most: StopReason, noted: bool) {
        let plan = planned(folder, |request| request.max_tokens = asked, 40).unwrap();
        assert_eq!((plan.most, plan.at_most), (most, at_most));
        assert_eq!(plan.options.search.max_new_tokens, Some(most));
        assert_eq!(plan.note.is_some(), noted);
    }

    #[test]
    fn an_answer_is_as_long_as_asked_for_and_as_there_is_room() {
        check("{}", Some(5), 5, StopReason::MaxTokens, false);
        check("{}", Some(60), 60, StopReason::MaxTokens, false);
        check("{}", Some(61), 60, StopReason::ContextFull, true);
        check("{}", None, 60, StopReason::ContextFull, false);
        check(
            r#"{"max_length": 50}"#,
            None,
            10,
            StopReason::MaxTokens,
            false,
        );
        check(
            r#"{"max_length": 50}"#,
            Some(20),
            20,
            StopReason::MaxTokens,
            false,
        );
        check(
            r#"{"max_length": 5000}"#,
            None,
            60,
            StopReason::ContextFull,
            false,
        );
    }

    #[test]
    fn a_prompt_that_fills_all_is_too_long() {
        assert!(planned("{}", |_| {}, 99).is_ok());
        let error = planned("{}", |_| {}, 100).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the prompt has 100 tokens, and m has room for 100, of which the answer needs at least one; shorten it or \
             take another model"
        );
        assert!(planned("{}", |request| request.max_tokens = Some(1), 250).is_err());
        assert!(planned(r#"{"max_length": 30}"#, |_| {}, 40).is_err());
    }
}
