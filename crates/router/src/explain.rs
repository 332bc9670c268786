//! Who would answer and why, without asking anyone.

use inhouse_chat::{Complexity, ModelName, Money, ProviderName};
use inhouse_policy::Zone;

use crate::Known;
use crate::candidate::{Candidate, Skipped};
use crate::plan::Plan;

/// Who would answer a request, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// How far it may go.
    pub ceiling: Zone,
    /// Who says so.
    pub ceiling_because: Vec<String>,
    /// What decides who is asked first: a rule, the mode, or the request itself.
    pub reason: String,
    /// About how many tokens the prompt has.
    pub prompt_tokens: u64,
    /// How hard the task is.
    pub complexity: Known<Complexity>,
    /// Whether it needs reasoning.
    pub reasoning: Known<bool>,
    /// Whether personal data is masked beyond this device.
    pub masked: bool,
    /// Who is asked, in this order, and who is not.
    pub candidates: Vec<Considered>,
}

/// A model of a provider that was considered.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered {
    /// The provider.
    pub provider: ProviderName,
    /// The model, as the provider names it, where that was clear.
    pub model: Option<ModelName>,
    /// Where it is.
    pub zone: Option<Zone>,
    /// Its place in the order in which they are asked, from 1; `None`: it is not asked.
    pub place: Option<usize>,
    /// Why it is asked, or why not.
    pub why: String,
    /// What it will probably cost; `None` where the price is unknown.
    pub estimated_cost: Option<Money>,
}

pub(crate) fn explain(plan: &Plan) -> Explanation {
    let ceiling = plan.guarded.ceiling();
    let asked = plan.candidates.iter().enumerate();
    let asked = asked.map(|(index, candidate)| taken(plan, index, candidate));
    Explanation {
        ceiling: ceiling.zone(),
        ceiling_because: ceiling.because().map(ToString::to_string).collect(),
        reason: plan.why.to_string(),
        prompt_tokens: plan.facts.prompt_tokens,
        complexity: plan.facts.complexity,
        reasoning: plan.facts.reasoning,
        masked: plan.mask.is_some(),
        candidates: asked.chain(plan.skipped.iter().map(skipped)).collect(),
    }
}

fn taken(plan: &Plan, index: usize, candidate: &Candidate) -> Considered {
    let mut why = if index == 0 {
        plan.why.to_string()
    } else {
        "if those before it fail".to_owned()
    };
    if let Some(quality) = candidate.quality {
        why += &format!("; quality {quality:.1}");
    }
    if let Some(duration) = candidate.duration {
        why += &format!("; about {duration:.1?}");
    }
    if candidate.without_tools {
        why += "; it takes no tools, toolCalling.fallbackStrategy makes up for that";
    }
    Considered {
        provider: candidate.member.name().clone(),
        model: Some(candidate.model.clone()),
        zone: Some(candidate.zone),
        place: Some(index + 1),
        why,
        estimated_cost: candidate.expected,
    }
}

fn skipped(skipped: &Skipped) -> Considered {
    Considered {
        provider: skipped.provider.clone(),
        model: skipped.model.clone(),
        zone: None,
        place: None,
        why: skipped.why.to_string(),
        estimated_cost: None,
    }
}
