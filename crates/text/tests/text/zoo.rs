//! The small models' tokenizers and templates, end to end.

use inhouse_text::{ChatTemplate, Message, TemplateOptions, Tokenizer};

use crate::data::zoo as folder;

#[test]
fn every_folder_renders_and_comes_back() {
    for name in [
        "phi4mini-int4",
        "llama-fp32",
        "mistral-int4-b64",
        "qwen2-mixed",
        "qwen3-int8",
    ] {
        let tokenizer = Tokenizer::from_folder(&folder(name)).expect(name);
        let template = ChatTemplate::from_folder(&folder(name))
            .expect(name)
            .expect(name);
        let chat = template
            .render(
                &[Message::user("Hello, wörld")],
                &TemplateOptions::default(),
            )
            .expect(name);
        let ids = tokenizer.encode_chat(&chat).expect(name);
        assert_eq!(tokenizer.decode(&ids, false), chat.as_str(), "{name}");
    }
}
