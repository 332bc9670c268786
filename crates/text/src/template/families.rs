//! The formats of model families, for folders that bring no template.

use super::ChatTemplate;
use crate::{TextError, TextErrorKind};

const PHI4: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

const PHI3: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

const CHATML: &str = "{% for message in messages %}\
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const LLAMA3: &str = "{{ '<|begin_of_text|>' }}{% for message in messages %}\
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

/// The system's text goes before the first question, for the format has no turn for it.
const MISTRAL: &str = "{{ '<s>' }}{% set ns = namespace(system='') %}{% for message in messages %}\
{% if message['role'] == 'system' %}{% set ns.system = message['content'] + '\\n\\n' %}\
{% elif message['role'] == 'user' %}{{ '[INST] ' + ns.system + message['content'] + ' [/INST]' }}{% set ns.system = '' %}\
{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + '</s>' }}\
{% else %}{{ raise_exception('only the roles system, user and assistant are known') }}{% endif %}{% endfor %}";

/// Every family with a format that is known here: its names, and its template.
const FAMILIES: &[(&[&str], &str)] = &[
    (&["phi4", "phi-4", "phi4-mini", "phi4mm"], PHI4),
    (&["phi3", "phi-3", "phi3small", "phi3.5", "phi-3.5"], PHI3),
    (
        &["chatml", "qwen2", "qwen3", "qwen", "smollm", "smollm2"],
        CHATML,
    ),
    (&["llama3", "llama-3"], LLAMA3),
    (&["mistral"], MISTRAL),
];

pub(super) fn template(family: &str) -> Result<ChatTemplate, TextError> {
    let wanted = family.to_ascii_lowercase();
    let found = FAMILIES
        .iter()
        .find(|(names, _)| names.contains(&wanted.as_str()));
    let (_, source) = found.ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().filter_map(|(names, _)| names.first().copied()).collect();
        let message = format!(
            "the model folder has no chat template, and there is none for the family `{family}` (known: {}); \
             put a chat_template.jinja into the folder, or send a raw prompt",
            known.join(", ")
        );
        TextError::new(TextErrorKind::Template, message)
    })?;
    Ok(ChatTemplate::from_source(
        format!("the family {wanted}"),
        *source,
    ))
}
