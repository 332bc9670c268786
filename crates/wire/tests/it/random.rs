//! Streams cut at random, and answers made up at random, through every protocol.

use inhouse_chat::{Block, BlockKind, Dialect, Reply, StopReason, Usage};
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::{streams, targets};
use crate::splits::{merged, pieces, read, write};
use crate::{assemble, calls, words};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_splits_of_recorded_streams_give_the_same_events(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let all = streams();
        let (dialect, name, bytes) = which.get(&all);
        let (whole, ended) = read(*dialect, [&bytes[..]]);
        let (events, end) = read(*dialect, pieces(bytes, &cuts));
        prop_assert_eq!(merged(&events), merged(&whole), "{}", name);
        prop_assert_eq!(end, ended, "{}", name);
    }

    #[test]
    fn made_up_answers_stream_through_every_protocol(
        reply in reply(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        for target in targets() {
            let bytes = write(target, &reply.events());
            let (events, end) = read(target, pieces(&bytes, &cuts));
            prop_assert_eq!(end, Ok(()), "{}", target);
            let again = assemble(&events).unwrap();
            prop_assert_eq!(words(&again), words(&reply), "{}", target);
            prop_assert_eq!(calls(&again), calls(&reply), "{}", target);
            prop_assert_eq!(again.usage.total_tokens(), reply.usage.total_tokens(), "{}", target);
        }
        let bytes = write(Dialect::Neutral, &reply.events());
        let (events, _) = read(Dialect::Neutral, pieces(&bytes, &cuts));
        prop_assert_eq!(assemble(&events).unwrap(), reply);
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let usage = (0_u64..5000, 0_u64..5000, 0_u64..5000);
    let usage = usage.prop_map(|(input, output, cache_read)| Usage {
        input,
        output,
        cache_read,
        ..Usage::default()
    });
    (prop::collection::vec(block(), 1..6), usage).prop_map(|(content, usage)| {
        let asks = content
            .iter()
            .any(|block| matches!(block.kind, BlockKind::ToolUse { .. }));
        Reply {
            id: "answer_1".into(),
            model: "model".into(),
            content: with_own_ids(content),
            stop: if asks {
                StopReason::ToolUse
            } else {
                StopReason::EndTurn
            },
            usage,
            extra: Default::default(),
        }
    })
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        "[a-zé\n\"\\\\\u{1F600}]{1,12}".prop_map(Block::text),
        "[a-z ]{1,12}".prop_map(|text| Block::new(BlockKind::Thinking {
            text: text.into(),
            signature: None,
        })),
        ("[a-z]{1,8}", "[a-z\"\n\u{1F600}]{0,8}", any::<i32>()).prop_map(|(name, text, number)| {
            Block::tool_use(
                "",
                name,
                json!({"text": text, "inner": {"list": [number, null, true]}}),
            )
        }),
        "[a-z]{1,8}".prop_map(|name| Block::tool_use("", name, json!({}))),
    ]
}

/// As a provider gives them: each call another.
fn with_own_ids(mut content: Vec<Block>) -> Vec<Block> {
    for (index, block) in content.iter_mut().enumerate() {
        if let BlockKind::ToolUse { id, .. } = &mut block.kind {
            *id = format!("call_{index}");
        }
    }
    content
}
