//! The formats for folders without a template, and SmolLM2's recorded prompts.

use inhouse_text::{ChatTemplate, Message, Role, TemplateOptions, TextErrorKind};

use crate::data;

#[test]
fn families_write_their_formats() {
    let messages = [
        Message::system("Be brief."),
        Message::user("Hi"),
        Message::assistant("Hello"),
        Message::user("Bye"),
    ];
    for (family, wanted) in [
        (
            "phi4",
            "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>Hello<|end|><|user|>Bye<|end|><|assistant|>",
        ),
        (
            "phi3",
            "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n",
        ),
        (
            "chatml",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n\
             <|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            "llama3",
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "mistral",
            "<s>[INST] Be brief.\n\nHi [/INST] Hello</s>[INST] Bye [/INST]",
        ),
    ] {
        let template = ChatTemplate::for_family(family).expect(family);
        let chat = template
            .render(&messages, &TemplateOptions::default())
            .expect(family);
        assert_eq!(chat.as_str(), wanted, "{family}");
    }
}

#[test]
fn a_family_without_a_format_is_an_error_that_says_so() {
    let error = ChatTemplate::for_family("gemma").expect_err("not known");
    assert_eq!(error.kind(), TextErrorKind::Template);
    assert_eq!(
        error.to_string(),
        "the model folder has no chat template, and there is none for the family `gemma` (known: phi4, phi3, chatml, llama3, \
         mistral); put a chat_template.jinja into the folder, or send a raw prompt"
    );
}

#[test]
fn smollm2_prompts_are_those_of_the_reference() {
    let path = data::zoo("../smollm2/reference.json");
    let recorded: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).expect("recorded")).expect("JSON");
    let source =
        std::fs::read_to_string(data::path("templates/smollm2.jinja")).expect("a template");
    let template = ChatTemplate::from_source("smollm2", source);
    for case in recorded["greedy"].as_array().expect("cases") {
        let messages: Vec<Message> = case["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| {
                let role = Role::new(message["role"].as_str().expect("a role")).expect("a word");
                Message::new(role, message["content"].as_str().expect("text"))
            })
            .collect();
        let chat = template
            .render(&messages, &TemplateOptions::default())
            .expect("it renders");
        assert_eq!(Some(chat.as_str()), case["prompt"].as_str());
    }
}
