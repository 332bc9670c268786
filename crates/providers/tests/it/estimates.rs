//! How many tokens a prompt is taken for, beside what the providers themselves counted in recorded exchanges.

use std::path::{Path, PathBuf};

use inhouse_chat::{Assembler, BlockKind, ChatRequest, Dialect, Usage};
use inhouse_router::Facts;

const DIALECTS: [(&str, Dialect); 4] = [
    ("anthropic", Dialect::Anthropic),
    ("openai_chat", Dialect::OpenAiChat),
    ("openai_responses", Dialect::OpenAiResponses),
    ("gemini", Dialect::Gemini),
];

/// Requests whose answers are recorded beside them, and what those say of the prompt.
fn recorded() -> Vec<(PathBuf, ChatRequest, u64)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire");
    let mut found = Vec::new();
    for (folder, dialect) in DIALECTS {
        for file in std::fs::read_dir(root.join(folder)).unwrap() {
            let file = file.unwrap().path();
            let name = file.to_string_lossy().into_owned();
            let Some(stem) = name.strip_suffix(".request.json") else {
                continue;
            };
            let body = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let request = inhouse_wire::decode_request(dialect, body).unwrap();
            if let Some(usage) = usage(stem, dialect) {
                found.push((file.clone(), request, usage.prompt_tokens()));
            }
        }
    }
    found
}

fn usage(stem: &str, dialect: Dialect) -> Option<Usage> {
    if let Ok(body) = std::fs::read(format!("{stem}.reply.json")) {
        let reply = inhouse_wire::decode_reply(dialect, serde_json::from_slice(&body).unwrap());
        return Some(reply.unwrap().usage);
    }
    let stream = std::fs::read(format!("{stem}.sse")).ok()?;
    let mut events = Vec::new();
    let mut reader = inhouse_wire::stream_reader(dialect);
    reader.push(&stream, &mut events).ok()?;
    reader.finish(&mut events).ok()?;
    let mut assembler = Assembler::new();
    events
        .iter()
        .try_for_each(|event| assembler.push(event))
        .ok()?;
    Some(assembler.usage())
}

/// What the provider adds to the prompt itself (its own tools, what they find) is not in the request.
fn is_all_there(request: &ChatRequest) -> bool {
    let own_tools = request.tools.iter().all(|tool| tool.input_schema.is_some());
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    own_tools
        && blocks
            .into_iter()
            .all(|block| !matches!(block.kind, BlockKind::Other { .. }))
}

#[test]
fn point_2_a_prompt_is_not_counted_far_too_low() {
    let mut n_exchanges = 0;
    for (file, request, counted) in recorded() {
        if !is_all_there(&request) || counted == 0 {
            continue;
        }
        let estimated = Facts::of(&request).prompt_tokens;
        let name = file.display();
        assert!(
            2 * estimated >= counted,
            "{name}: {estimated} estimated, {counted} counted"
        );
        n_exchanges += 1;
    }
    assert!(n_exchanges >= 7, "{n_exchanges} exchanges");
}
