use inhouse_chat::{
    Assembler, Block, BlockKind, ChatRequest, Delta, Event, Extra, Message, Reply, Role, Source,
    StopReason, Text, Tool, Usage,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::detect::tests::{everywhere, named};
use crate::{Detect, Findings};

fn masked(request: &ChatRequest) -> (ChatRequest, Mask) {
    mask(request, &Detector::default()).unwrap()
}

/// All texts that a detector reads.
fn texts(request: &ChatRequest) -> Vec<String> {
    #[derive(Default)]
    struct Texts(Vec<String>);
    impl Visitor for Texts {
        fn text(&mut self, _place: Place, _key: Option<&str>, text: &str) {
            self.0.push(text.to_owned());
        }
        fn unreadable(&mut self, _what: Unreadable) {}
    }
    let mut texts = Texts::default();
    walk::visit(request, &mut texts);
    texts.0
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let (masked, mask) = masked(&ChatRequest::new("m", [Message::user(text)]));
    assert_eq!(texts(&masked), [expected]);
    assert_eq!(mask.restore_text(expected), text);
}

#[test]
fn values_become_placeholders() {
    check("nothing here", "nothing here");
    check("to a@b.example", "to [EMAIL_1]");
    check(
        "a@b.example, c@d.example, a@b.example",
        "[EMAIL_1], [EMAIL_2], [EMAIL_1]",
    );
    check("[EMAIL_1] is not a@b.example", "[EMAIL_1] is not [EMAIL_2]");
    check("[[EMAIL_] a@b.example]", "[[EMAIL_] [EMAIL_1]]");
    check(
        "card 4111 1111 1111 1111 of a@b.example",
        "card [CARD_1] of [EMAIL_1]",
    );
    check(
        "SSN 219099999, and again 219099999",
        "SSN [ID_1], and again [ID_1]",
    );
    check("aa@b.example, a@b.example", "[EMAIL_1], [EMAIL_2]");
    check(
        "password='EMAIL_1' a@b.example",
        "password='[PASSWORD_1]' [EMAIL_2]",
    );
}

#[test]
fn every_place_is_masked_and_restored() {
    let request = everywhere("jane@example.org");
    let (masked, mask) = masked(&request);
    assert_eq!(mask.len(), 1);
    assert_eq!(masked, everywhere("[EMAIL_1]"));
    assert!(Detector::default().inspect(&masked).unwrap().is_empty());
    assert!(!format!("{mask:?} {masked:?}").contains("jane"));
}

#[test]
fn reading_and_changing_see_the_same() {
    for request in [everywhere("words"), named("words")] {
        let mut seen = Vec::new();
        walk::change(&mut request.clone(), &mut |_, text| {
            seen.push(text.to_owned());
            None
        });
        assert_eq!(seen, texts(&request));
    }
    let error = mask(&named("jane@example.org"), &Detector::default());
    assert_eq!(error.err(), Some(MaskError::Name));
}

#[test]
fn numbers_in_json_become_placeholders() {
    let block = Block::tool_use(
        "1",
        "pay",
        json!({"card": 4_111_111_111_111_111_u64, "year": 2027}),
    );
    let request = ChatRequest::new("m", [Message::new(Role::Assistant, vec![block])]);
    let (masked, _) = masked(&request);
    let BlockKind::ToolUse { input, .. } = &masked.messages[0].content[0].kind else {
        panic!("{masked:?}")
    };
    assert_eq!(input.0, json!({"card": "[CARD_1]", "year": 2027}));
}

#[test]
fn what_cannot_be_changed_is_an_error() {
    let refused = |request: &ChatRequest| mask(request, &Detector::default()).unwrap_err();
    let thought = |text: &str, signature: Option<&str>| {
        let thinking = BlockKind::Thinking {
            text: text.into(),
            signature: signature.map(str::to_owned),
        };
        Message::new(Role::Assistant, vec![Block::new(thinking)])
    };
    let signed = ChatRequest::new("m", [thought("mail a@b.example", Some("sig"))]);
    assert_eq!(refused(&signed), MaskError::Signed);
    // Here nothing says that it is a number of a person, but the other message did.
    let later = ChatRequest::new(
        "m",
        [
            Message::user("SSN 219099999"),
            thought("so, 219099999", Some("sig")),
        ],
    );
    assert_eq!(refused(&later), MaskError::Signed);
    let unsigned = ChatRequest::new("m", [thought("mail a@b.example", None)]);
    assert!(mask(&unsigned, &Detector::default()).is_ok());

    let named = Block::tool_use("1", "a@b.example", json!({}));
    assert_eq!(
        refused(&ChatRequest::new(
            "m",
            [Message::new(Role::Assistant, vec![named])]
        )),
        MaskError::Name
    );
    let source = Source::Url {
        media_type: None,
        url: "https://u:hunter2@example.org/a.png".into(),
    };
    let image = Block::new(BlockKind::Image(source));
    assert_eq!(
        refused(&ChatRequest::new(
            "m",
            [Message::new(Role::User, vec![image])]
        )),
        MaskError::Name
    );

    let deep = (0..200).fold(json!("a@b.example"), |inner, _| json!([inner]));
    let mut request = ChatRequest::new("m", []);
    request.tools.push(Tool::new("t", deep));
    assert_eq!(
        refused(&request),
        MaskError::Unreadable(Unreadable::TooDeep)
    );
}

#[test]
fn a_detector_need_not_mask() {
    struct Counts;
    impl Detect for Counts {
        fn inspect(&self, _request: &ChatRequest) -> Result<Findings, crate::DetectError> {
            Err(crate::DetectError::Broken)
        }
    }
    let request = ChatRequest::new("m", []);
    assert_eq!(Counts.mask(&request).unwrap_err(), MaskError::NotOffered);
    assert!(Detector::default().mask(&request).unwrap().1.is_empty());
}

/// A turn later the signed thought still has the placeholder, and the value keeps it.
#[test]
fn placeholders_stay_as_a_conversation_grows() {
    let thinking = BlockKind::Thinking {
        text: "mail [EMAIL_1]".into(),
        signature: Some("sig".into()),
    };
    let request = ChatRequest::new(
        "m",
        [
            Message::user("to a@b.example"),
            Message::new(Role::Assistant, vec![Block::new(thinking)]),
            Message::user("and c@d.example"),
        ],
    );
    assert_eq!(
        texts(&masked(&request).0),
        ["to [EMAIL_1]", "mail [EMAIL_1]", "and [EMAIL_2]"]
    );
}

fn mask_of(values: &[(&str, &str)]) -> Mask {
    let values = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Mask {
        values: Arc::new(values),
        thoughts: false,
    }
}

fn reply(content: Vec<Block>) -> Reply {
    Reply {
        id: "1".into(),
        model: "m".into(),
        content,
        stop: StopReason::StopSequence(Some("[EMAIL_1]".into())),
        usage: Usage::default(),
        extra: Extra::default(),
    }
}

/// Every text of a delta in pieces that end where `cuts` say, at boundaries of characters.
fn pieces(event: Event, cuts: &[usize]) -> Vec<Event> {
    let Event::BlockDelta { index, delta } = event else {
        return vec![event];
    };
    let (text, make): (Text, fn(Text) -> Delta) = match delta {
        Delta::Text(text) => (text, Delta::Text),
        Delta::Refusal(text) => (text, Delta::Refusal),
        Delta::Thinking(text) => (text, Delta::Thinking),
        Delta::Input(text) => (text, Delta::Input),
        other => {
            return vec![Event::BlockDelta {
                index,
                delta: other,
            }];
        }
    };
    let mut events = Vec::new();
    let mut rest = text.as_str();
    for cut in cuts.iter().copied().cycle().take(10_000) {
        let at = rest
            .char_indices()
            .nth(cut.max(1))
            .map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(at);
        events.push(Event::BlockDelta {
            index,
            delta: make(piece.into()),
        });
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    events
}

fn assemble(events: impl IntoIterator<Item = Event>) -> Reply {
    let mut assembler = Assembler::new();
    for event in events {
        assembler.push(&event).unwrap();
    }
    assembler.finish().unwrap()
}

/// Streams, however cut, give what the whole answer gives.
#[track_caller]
fn same(mask: &Mask, reply: &Reply, cuts: &[usize]) -> Reply {
    let whole = mask.restore_reply(reply.clone());
    let mut restorer = mask.restorer();
    let events = reply
        .events()
        .into_iter()
        .flat_map(|event| pieces(event, cuts));
    let restored: Vec<Event> = events.flat_map(|event| restorer.push(event)).collect();
    let mut streamed = assemble(restored);
    streamed.usage = whole.usage;
    assert_eq!(streamed, whole, "{cuts:?}");
    assert!(restorer.finish().is_empty());
    whole
}

#[test]
fn answers_and_streams_are_restored() {
    let mask = mask_of(&[
        ("[EMAIL_1]", "a@b.example"),
        ("[EMAIL_10]", "\"q\\uote\"\n"),
        ("[ID_1]", "é身"),
    ]);
    let thinking = BlockKind::Thinking {
        text: "[EMAIL_1]".into(),
        signature: Some("sig".into()),
    };
    let masked = reply(vec![
        Block::new(thinking),
        Block::text("to [EMAIL_1][EMAIL_10], [[ID_1]] [EMAIL_2] [EMAIL_1 [E"),
        Block::tool_use(
            "1",
            "[EMAIL_1]",
            json!({"to": ["[EMAIL_1]", "x[EMAIL_10]"], "[ID_1]": 1, "[": "["}),
        ),
        Block::new(BlockKind::Refusal("[EMAIL_1".into())),
    ]);
    for cuts in [&[1][..], &[2], &[3, 1], &[5, 7], &[100]] {
        let restored = same(&mask, &masked, cuts);
        assert_eq!(
            restored.text(),
            "to a@b.example\"q\\uote\"\n, [é身] [EMAIL_2] [EMAIL_1 [E"
        );
        assert_eq!(restored.content[0], masked.content[0]);
        let BlockKind::ToolUse { name, input, .. } = &restored.content[2].kind else {
            panic!("{restored:?}")
        };
        assert_eq!(name, "[EMAIL_1]");
        assert_eq!(
            input.0,
            json!({"to": ["a@b.example", "x\"q\\uote\"\n"], "é身": 1, "[": "["})
        );
        assert_eq!(
            restored.stop,
            StopReason::StopSequence(Some("a@b.example".into()))
        );
    }
}

#[test]
fn thoughts_are_restored_where_asked() {
    let thought = |text: &str, signature: Option<&str>| {
        Block::new(BlockKind::Thinking {
            text: text.into(),
            signature: signature.map(str::to_owned),
        })
    };
    let mask = mask_of(&[("[ID_1]", "x")]);
    let masked = reply(vec![thought("a [ID_1] [", None)]);
    assert_eq!(same(&mask, &masked, &[2]).content, masked.content);
    let mask = mask.with_thoughts();
    assert_eq!(same(&mask, &masked, &[2]).content, [thought("a x [", None)]);
    let signed = reply(vec![thought("a [ID_1]", Some("sig"))]);
    assert_eq!(mask.restore_reply(signed.clone()).content, signed.content);
}

#[test]
fn only_what_may_be_a_placeholder_is_held_back() {
    let mut restorer = mask_of(&[("[EMAIL_1]", "a@b.example")]).restorer();
    let mut push = |piece: &str| -> Vec<String> {
        let events = restorer.push(Event::BlockDelta {
            index: 0,
            delta: Delta::Text(piece.into()),
        });
        let text = |event| match event {
            Event::BlockDelta {
                delta: Delta::Text(text),
                ..
            } => text.into_string(),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(text).collect()
    };
    assert_eq!(push("to [EM"), ["to "]);
    assert_eq!(push("AIL_"), [] as [&str; 0]);
    assert_eq!(push("1] or"), ["a@b.example or"]);
    assert_eq!(push(" [x"), [" [x"]);
    assert_eq!(push("["), [] as [&str; 0]);
    assert_eq!(push("[EMAIL_1"), ["["]);
    assert_eq!(push("2]"), ["[EMAIL_12]"]);
    push("[EMAIL");
    let rest = restorer.finish();
    assert_eq!(
        rest,
        [Event::BlockDelta {
            index: 0,
            delta: Delta::Text("[EMAIL".into())
        }]
    );
}

#[test]
fn parts_are_kept_apart() {
    let mut restorer = mask_of(&[("[ID_1]", "x")]).restorer();
    let delta = |index, piece: &str| Event::BlockDelta {
        index,
        delta: Delta::Input(piece.into()),
    };
    assert_eq!(restorer.push(delta(0, "[ID")), []);
    assert_eq!(restorer.push(delta(1, "_1]")), [delta(1, "_1]")]);
    assert_eq!(restorer.push(Event::Ping), [Event::Ping]);
    assert_eq!(restorer.push(delta(0, "_1]")), [delta(0, "x")]);
    restorer.push(delta(1, "["));
    let end = Event::BlockEnd { index: 1 };
    assert_eq!(restorer.push(end.clone()), [delta(1, "["), end]);
}

/// Texts with what is masked, what looks like a placeholder, and what breaks JSON.
fn talk() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z]{1,6}@[a-z]{1,5}\\.example",
        "\\[(EMAIL|CARD|ID|PASSWORD|[A-Z]{1,5})_[0-9]{0,2}\\]?",
        prop::sample::select(vec![
            " ",
            ", ",
            "[",
            "]",
            "\"",
            "\\",
            "4242424242424242",
            "078-05-1120",
            "password=hunter2 ",
            "hunter2",
            "+14155552671",
            "身份证11010519491231002X",
            "EMAIL_1",
            "[[",
            "\n",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn masking_hides_all_and_restoring_gives_it_back(texts in prop::collection::vec(talk(), 1..4), cuts in prop::collection::vec(1..9_usize, 1..5)) {
        let request = ChatRequest::new("m", texts.iter().map(|text| Message::user(text.as_str())));
        let detector = Detector::default();
        let mut values = Vec::new();
        detector.each(&request, &mut |seen| if let Seen::Found { value, .. } = seen {
            values.push(value.to_owned());
        });
        let (masked, mask) = mask(&request, &detector).unwrap();
        let hidden = super::tests::texts(&masked);
        for text in &hidden {
            prop_assert!(values.iter().all(|value| !text.contains(value.as_str())));
        }
        let back: Vec<String> = hidden.iter().map(|text| mask.restore_text(text)).collect();
        prop_assert_eq!(&back, &texts);

        let mut blocks: Vec<Block> = hidden.iter().map(|text| Block::text(text.as_str())).collect();
        blocks.push(Block::tool_use("1", "t", json!({"all": hidden, "k": {"v": hidden.join(" ")}})));
        let whole = same(&mask, &reply(blocks), &cuts);
        prop_assert_eq!(whole.text(), texts.concat());
        let BlockKind::ToolUse { input, .. } = &whole.content[texts.len()].kind else { panic!("no tool") };
        prop_assert_eq!(&input.0, &json!({"all": texts, "k": {"v": texts.join(" ")}}));
    }

    #[test]
    fn any_request_is_masked_or_refused(text in talk()) {
        let request = everywhere(&text);
        if let Ok((masked, mask)) = mask(&request, &Detector::default()) {
            for text in texts(&masked) {
                prop_assert!(mask.values.values().all(|value| !text.contains(value.as_str())));
            }
        }
    }
}
