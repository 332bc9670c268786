//! The forms in which a model's name is written: with a date, a tag, or the name of who serves it.

/// Longer than any name of a model, and short enough for the stack.
const MAX_BYTES: usize = 160;

/// Asks `find` for `name` in lower case, then for what is left of it without its date, tag and prefix, until there is
/// an answer. Nothing is allocated: this is done for every request.
pub(super) fn with_forms<T>(name: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut bytes = [0; MAX_BYTES];
    let lower = bytes.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let name = std::str::from_utf8(lower).ok()?;
    let without_prefix = served_by(name);
    forms(name, &find).or_else(|| forms(without_prefix?, &find))
}

/// `name` without the parts that say which version of a model is meant, but not which model.
pub(super) fn stem(name: &str) -> &str {
    let untagged = name.split_once('@').map_or(name, |(model, _)| model);
    untagged
        .strip_suffix("-latest")
        .unwrap_or_else(|| undated(untagged))
}

fn forms<T>(name: &str, find: &impl Fn(&str) -> Option<T>) -> Option<T> {
    if let Some(found) = find(name) {
        return Some(found);
    }
    let shorter = match name.rsplit_once(':') {
        Some((model, tag)) => untagged(name, model, tag)?,
        None => stem(name),
    };
    (shorter.len() < name.len()).then(|| forms(shorter, find))?
}

/// A tag behind a name with an owner is a kind of service (`openai/gpt-4o:batch`). Without an owner it is Ollama's, which
/// says how large the model is, `llama3.1:70b`, and so which it is; only what follows that may go.
fn untagged<'a>(name: &'a str, model: &'a str, tag: &str) -> Option<&'a str> {
    if model.contains('/') || is_form(tag) {
        return Some(model);
    }
    let (shorter, last) = name.rsplit_once('-')?;
    (shorter.len() > model.len() && is_form(last)).then_some(shorter)
}

/// Whether `word` of a tag says how a model is stored or tuned: `instruct`, `q4_k_m`, `fp16`.
fn is_form(word: &str) -> bool {
    let words = [
        "latest", "cloud", "instruct", "it", "chat", "text", "qat", "fp16", "f16", "bf16",
    ];
    let bits = word.strip_prefix("iq").or_else(|| word.strip_prefix('q'));
    words.contains(&word)
        || bits.is_some_and(|bits| bits.starts_with(|first: char| first.is_ascii_digit()))
}

/// Without `-20250929` or `-2025-09-29` at its end.
fn undated(name: &str) -> &str {
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((model, day)) = name.rsplit_once('-') else {
        return name;
    };
    if day.len() == 8 && all_digits(day) && day.starts_with("20") {
        return model;
    }
    let parts = model.rsplit_once('-').and_then(|(model, month)| {
        let (model, year) = model.rsplit_once('-')?;
        Some((model, year, month))
    });
    match parts {
        Some((model, year, month))
            if (year.len(), month.len(), day.len()) == (4, 2, 2)
                && year.starts_with("20")
                && [year, month, day].into_iter().all(all_digits) =>
        {
            model
        }
        _ => name,
    }
}

/// What follows the name of a kind of provider, as LiteLLM and Gemini's own interface write models.
fn served_by(name: &str) -> Option<&str> {
    let (prefix, model) = name.split_once('/')?;
    let kinds = [
        "anthropic",
        "openai",
        "openrouter",
        "gemini",
        "models",
        "huggingface",
        "ollama",
        "onnx",
        "onnx-local",
    ];
    kinds.contains(&prefix).then_some(model)
}
