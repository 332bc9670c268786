//! Rules: the first whose condition holds decides.

use inhouse_chat::Metadata;
use inhouse_config::{Condition, Rule};

use crate::Facts;

/// The first rule that matches, and its place in the list.
pub(crate) fn first_match<'a>(
    rules: &'a [Rule],
    metadata: &Metadata,
    facts: &Facts,
) -> Option<(usize, &'a Rule)> {
    let mut rules = rules.iter().enumerate();
    rules.find(|(_, rule)| holds(&rule.condition, metadata, facts))
}

/// All that is given must hold. What a request does not state does not hold; only how hard it is and whether it needs
/// reasoning are guessed where it does not say.
fn holds(condition: &Condition, metadata: &Metadata, facts: &Facts) -> bool {
    let agent = |types: &Vec<String>| {
        let stated = metadata.agent_type.as_ref();
        stated.is_some_and(|stated| types.contains(stated))
    };
    condition.agent_type.as_ref().is_none_or(agent)
        && condition
            .privacy
            .is_none_or(|asked| metadata.privacy == Some(asked))
        && condition
            .local_only
            .is_none_or(|asked| metadata.local_only == Some(asked))
        && condition
            .requires_tools
            .is_none_or(|asked| facts.tools == asked)
        && condition
            .complexity
            .is_none_or(|asked| facts.complexity.get() == asked)
        && condition
            .requires_reasoning
            .is_none_or(|asked| facts.reasoning.get() == asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::{ChatRequest, Complexity, Message, Privacy, Tool};
    use inhouse_config::Action;

    fn rule(condition: Condition) -> Rule {
        Rule {
            condition,
            action: Action {
                provider: "onnx-local".into(),
                model: None,
                temperature: None,
                max_tokens: None,
                ceiling: None,
            },
            reason: None,
        }
    }

    fn check(condition: Condition, change: fn(&mut ChatRequest), matches: bool) {
        let mut request = ChatRequest::new("m", [Message::user("hello")]);
        change(&mut request);
        let rules = [rule(condition.clone())];
        let found = first_match(&rules, &request.metadata, &Facts::of(&request));
        assert_eq!(found.is_some(), matches, "{condition:?}");
    }

    fn private() -> Condition {
        Condition {
            privacy: Some(Privacy::High),
            local_only: Some(true),
            ..Condition::default()
        }
    }

    #[test]
    fn a_privacy_rule_does_not_match_every_request() {
        check(private(), |_| {}, false);
        check(
            private(),
            |r| r.metadata.privacy = Some(Privacy::High),
            false,
        );
        check(private(), |r| r.metadata.local_only = Some(true), false);
        check(
            private(),
            |r| {
                r.metadata.privacy = Some(Privacy::High);
                r.metadata.local_only = Some(true);
            },
            true,
        );
    }

    #[test]
    fn an_agent_rule_needs_an_agent_type() {
        let coders = || Condition {
            agent_type: Some(vec!["coder".into(), "reviewer".into()]),
            ..Condition::default()
        };
        check(coders(), |_| {}, false);
        check(
            coders(),
            |r| r.metadata.agent_type = Some("poet".into()),
            false,
        );
        check(
            coders(),
            |r| r.metadata.agent_type = Some("reviewer".into()),
            true,
        );
    }

    #[test]
    fn tools_are_those_the_request_brings() {
        let tools = |asked| Condition {
            requires_tools: Some(asked),
            ..Condition::default()
        };
        let bring = |r: &mut ChatRequest| r.tools.push(Tool::new("t", serde_json::json!({})));
        check(tools(true), |_| {}, false);
        check(tools(true), bring, true);
        check(tools(false), |_| {}, true);
        check(tools(false), bring, false);
    }

    #[test]
    fn hardness_and_reasoning_are_guessed_where_not_stated() {
        let hard = |complexity| Condition {
            complexity: Some(complexity),
            ..Condition::default()
        };
        check(hard(Complexity::Low), |_| {}, true);
        check(
            hard(Complexity::High),
            |r| r.metadata.complexity = Some(Complexity::High),
            true,
        );
        check(
            hard(Complexity::Low),
            |r| r.metadata.complexity = Some(Complexity::High),
            false,
        );
        let reasoning = Condition {
            requires_reasoning: Some(true),
            ..Condition::default()
        };
        check(reasoning.clone(), |_| {}, false);
        check(
            reasoning,
            |r| r.messages.push(Message::user("Prove it.")),
            true,
        );
    }

    #[test]
    fn the_first_that_matches_wins() {
        let request = ChatRequest::new("m", [Message::user("hello")]);
        let rules = [
            rule(private()),
            rule(Condition::default()),
            rule(Condition::default()),
        ];
        let found = first_match(&rules, &request.metadata, &Facts::of(&request));
        assert_eq!(found.map(|(index, _)| index), Some(1));
    }
}
