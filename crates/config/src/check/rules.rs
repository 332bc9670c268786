//! Rules that can never match, match everything, or send out what they keep in.

use inhouse_policy::Zone;

use super::Check;
use crate::json::Path;
use crate::{Mode, ProviderConfig, ProviderKind, RouterConfig, Rule, canonical_name};

pub(super) fn check(config: &RouterConfig, check: &mut Check<'_>) {
    let rules = &config.routing.rules;
    if rules.is_empty() && config.routing.mode == Some(Mode::RuleBased) {
        check.warn(
            &Path::of(["routing", "mode"]),
            "is rule-based, but there are no rules",
        );
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = Path::of(["routing", "rules"]).index(index);
        matches(index, rule, rules, &path, check);
        ceiling(config, rule, &path, check);
    }
}

fn matches(index: usize, rule: &Rule, rules: &[Rule], path: &Path, check: &mut Check<'_>) {
    let condition = path.name("condition");
    if rule.condition.is_empty() {
        let rest = match rules.len() - index {
            1 => "",
            _ => ", so the rules after it never apply",
        };
        check.warn(
            &condition,
            format!("is empty and matches every request{rest}"),
        );
    }
    if rule
        .condition
        .agent_type
        .as_ref()
        .is_some_and(Vec::is_empty)
    {
        let message = "is empty, so the rule never matches; name agents or leave it out";
        check.error(&condition.name("agentType"), message);
    }
    let earlier = rules
        .iter()
        .take(index)
        .position(|other| other.condition == rule.condition);
    if let Some(earlier) = earlier.filter(|_| !rule.condition.is_empty()) {
        let message = format!("is that of routing.rules[{earlier}], which always wins");
        check.warn(&condition, message);
    }
}

/// What the rule asks for limits how far the action may reach; the policy would refuse every such request.
fn ceiling(config: &RouterConfig, rule: &Rule, path: &Path, check: &mut Check<'_>) {
    let condition = &rule.condition;
    let local = (condition.local_only == Some(true)).then_some(Zone::Device);
    let asked = [
        local,
        condition.privacy.map(Zone::ceiling_of),
        rule.action.ceiling,
    ];
    let ceiling = asked.into_iter().flatten().min().unwrap_or(Zone::Cloud);
    let name = canonical_name(rule.action.provider.as_str());
    let configured = config
        .providers
        .iter()
        .find(|(own, _)| canonical_name(own) == name);
    let zone = match (configured, ProviderKind::of_name(name)) {
        (Some((_, provider)), _) => provider.effective_zone(),
        (None, kind @ Some(_)) => ProviderConfig {
            kind,
            ..Default::default()
        }
        .effective_zone(),
        (None, None) => return, // reported as a name that names nothing
    };
    if zone > ceiling {
        let message = format!(
            "is in zone {zone}, but the rule keeps requests in zone {ceiling}; choose another provider, \
             or set providers.{name}.zone where it is nearer"
        );
        check.error(&path.name("action").name("provider"), message);
    }
}
