//! From a request to who is asked, in which order, under which ceiling. Nothing is sent here.

mod sketch;

use std::fmt;
use std::sync::Arc;

use inhouse_chat::{ChatRequest, Fields, Metadata, ModelName, ProviderName, Real, Reasoning};
use inhouse_config::{Mode, Rule};
use inhouse_policy::{Ceiling, Demand, Guarded, Mask, Verdict, Zone};

use crate::affinity::Conversation;
use crate::candidate::{Candidate, Skipped};
use crate::choose::{self, Wish};
use crate::error::MOST_NAME;
use crate::router::Inner;
use crate::{Facts, RouteError, rules};
use sketch::Sketch;

/// Who asks, besides what the request says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller {
    /// The name of the key they showed, never the key.
    pub key: Option<String>,
    /// The farthest zone that their key allows.
    pub key_ceiling: Option<Zone>,
    /// The farthest zone that a header of their call allows.
    pub header_ceiling: Option<Zone>,
}

/// What is going to be done with a request.
pub(crate) struct Plan {
    pub(crate) guarded: Guarded,
    /// Puts back in the answer what was masked in the request.
    pub(crate) mask: Option<Arc<Mask>>,
    pub(crate) facts: Facts,
    pub(crate) conversation: Conversation,
    pub(crate) metadata: Metadata,
    pub(crate) asked_model: ModelName,
    pub(crate) why: Why,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) skipped: Vec<Skipped>,
    /// Most tokens of the answer, as far as that is known.
    pub(crate) max_output: u64,
    pub(crate) streamed: bool,
}

/// What decided who is asked first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// The request names its provider.
    Named,
    /// A rule: its place in the list, from 0, and its reason, else its key.
    Rule(usize, String),
    /// The mode.
    Mode(Mode),
}

impl Plan {
    /// About how many tokens the request takes of a provider's rate.
    pub(crate) fn rate_tokens(&self) -> u64 {
        self.facts
            .prompt_tokens
            .saturating_add(self.max_output.min(1_000))
    }
}

impl Why {
    /// The rule that decided.
    pub(crate) fn rule(&self) -> Option<(usize, &str)> {
        match self {
            Self::Rule(index, name) => Some((*index, name)),
            Self::Named | Self::Mode(_) => None,
        }
    }
}

/// `rule "Private tasks stay here"`, `the request names the provider`, `mode cost-optimized`.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("the request names the provider"),
            Self::Rule(_, name) => write!(f, "rule {name:?}"),
            Self::Mode(mode) => write!(f, "mode {}", mode.name()),
        }
    }
}

/// Answers without a bound of their own are taken to be no longer than this when money is reserved.
/// It is what a request to Anthropic without a bound gets, as one is demanded there.
const USUAL_MOST_OUTPUT: u64 = 8_192;

/// The most tokens that are written for `request`: what it says itself, else what its provider's configuration says, else
/// the usual; and that as often as it asks for answers (OpenAI's `n`, Gemini's `candidateCount`).
pub(super) fn most_output(request: &ChatRequest, configured: Option<u32>) -> u64 {
    let usual = || match request.reasoning {
        Some(Reasoning::Budget(budget)) => USUAL_MOST_OUTPUT.saturating_add(budget.into()),
        _ => USUAL_MOST_OUTPUT,
    };
    let each = request.max_tokens.or(configured);
    let fields = request.extra.get().map(|(_, fields)| fields);
    let count = |fields: &Fields| {
        let of_gemini = || fields.get("generationConfig")?.get("candidateCount");
        fields.get("n").or_else(of_gemini)?.as_u64()
    };
    let n_answers = fields.and_then(count).unwrap_or(1).max(1);
    each.map_or_else(usual, u64::from).saturating_mul(n_answers)
}

impl Inner {
    /// Plans `request`, or says why nobody may answer it.
    pub(crate) fn plan(
        &self,
        mut request: ChatRequest,
        caller: &Caller,
    ) -> Result<Plan, RouteError> {
        check_names(&request)?;
        let facts = Facts::of(&request);
        let conversation = Conversation::of(&request);
        let rule = self.rule_for(&request.metadata, &facts);
        let why = why(&request.metadata, rule, self.mode);
        if let Some((_, rule)) = rule {
            apply(rule, &mut request);
        }
        let (ceiling, masked) = self.ceiling(&request, caller, rule)?;
        let max_output = most_output(&request, None);
        let sketch = Sketch::new(
            self,
            &request,
            &facts,
            conversation,
            &ceiling,
            rule.map(|(_, rule)| rule),
        );
        let (candidates, mut skipped) = sketch.finish();
        let (candidates, unfit) = match &why {
            Why::Mode(mode) => self.order(candidates, *mode),
            Why::Named | Why::Rule(..) => (candidates, Vec::new()),
        };
        skipped.extend(unfit);
        Ok(Plan {
            facts,
            conversation,
            metadata: request.metadata.clone(),
            asked_model: request.model.clone(),
            why,
            candidates,
            skipped,
            max_output,
            streamed: request.stream,
            mask: masked.as_ref().map(|(_, mask)| Arc::new(mask.clone())),
            guarded: seal(request, ceiling, masked),
        })
    }

    /// The rule that applies. Whoever names a provider has chosen; in manual mode rules are not read.
    fn rule_for(&self, metadata: &Metadata, facts: &Facts) -> Option<(usize, &Rule)> {
        if metadata.provider.is_some() || self.mode == Mode::Manual {
            return None;
        }
        rules::first_match(&self.config.routing.rules, metadata, facts)
    }

    /// How far the request may go, and what goes beyond this device instead of it, where it is to be masked.
    fn ceiling(
        &self,
        request: &ChatRequest,
        caller: &Caller,
        rule: Option<(usize, &Rule)>,
    ) -> Result<(Ceiling, Option<(ChatRequest, Mask)>), RouteError> {
        let mut ceiling = Ceiling::operator(self.farthest);
        ceiling.tighten_by_request(&request.metadata);
        if let Some(zone) = caller.header_ceiling {
            ceiling.tighten(Demand::Header, zone);
        }
        if let Some(zone) = caller.key_ceiling {
            ceiling.tighten(Demand::Key, zone);
        }
        if let Some((index, rule)) = rule
            && let Some(zone) = rule.action.ceiling
        {
            ceiling.tighten(Demand::Rule(rule_name(index, rule)), zone);
        }
        // What stays here stays whatever is in it.
        let detector = self
            .detector
            .as_ref()
            .filter(|_| ceiling.zone() > Zone::Device);
        let Some(detector) = detector else {
            return Ok((ceiling, None));
        };
        match self.finding_rules.judge(&detector.inspect(request)) {
            Verdict::Free => {}
            Verdict::Mask => match detector.mask(request) {
                Ok(masked) => return Ok((ceiling, Some(masked))),
                Err(error) => {
                    ceiling.tighten(Demand::DetectorFailed(error.to_string()), Zone::Device)
                }
            },
            Verdict::StaysHere(demand) => ceiling.tighten(demand, Zone::Device),
            Verdict::Blocked(found) => return Err(RouteError::Blocked { found }),
        }
        Ok((ceiling, None))
    }

    /// Names of the providers to consider, first the one that is wanted, each once.
    fn pool(&self, metadata: &Metadata, rule: Option<&Rule>, ceiling: Zone) -> Vec<ProviderName> {
        if let Some(named) = &metadata.provider {
            return vec![inhouse_config::canonical_name(named.as_str()).into()];
        }
        let first = rule.map(|rule| &rule.action.provider);
        let first = first.or(self.config.default_provider.as_ref());
        let everyone = matches!(
            self.mode,
            Mode::CostOptimized | Mode::PerformanceOptimized | Mode::QualityOptimized
        ) && rule.is_none();
        // What must stay on this device is answered by whoever is on it, also where no chain names them.
        let stays = ceiling == Zone::Device;
        let all = self
            .members
            .iter()
            .map(|member| member.name())
            .filter(|_| everyone || stays);
        let mut pool = Vec::new();
        for name in first
            .into_iter()
            .chain(&self.config.fallback_chain)
            .chain(all)
        {
            if !pool.contains(name) {
                pool.push(name.clone());
            }
        }
        pool
    }

    fn order(&self, candidates: Vec<Candidate>, mode: Mode) -> (Vec<Candidate>, Vec<Skipped>) {
        let routing = &self.config.routing;
        let wish = Wish {
            mode,
            default: self.config.default_provider.as_ref(),
            cost: &routing.cost_optimization,
            minimum_quality: routing.quality_optimization.minimum_quality,
            exploration: routing.performance.exploration,
            random: &self.random,
        };
        choose::order(candidates, &wish)
    }
}

fn why(metadata: &Metadata, rule: Option<(usize, &Rule)>, mode: Mode) -> Why {
    match rule {
        _ if metadata.provider.is_some() => Why::Named,
        Some((index, rule)) => Why::Rule(index, rule_name(index, rule)),
        None => Why::Mode(mode),
    }
}

/// What a rule is called where it has no reason.
fn rule_name(index: usize, rule: &Rule) -> String {
    let reason = rule.reason.clone();
    reason.unwrap_or_else(|| format!("routing.rules[{index}]"))
}

/// What a rule says of the request itself. A smaller bound of the request stays.
fn apply(rule: &Rule, request: &mut ChatRequest) {
    if let Some(temperature) = rule.action.temperature.and_then(Real::new) {
        request.sampling.temperature = Some(temperature);
    }
    request.max_tokens = match (request.max_tokens, rule.action.max_tokens) {
        (Some(asked), Some(ruled)) => Some(asked.min(ruled)),
        (asked, ruled) => asked.or(ruled),
    };
}

/// Names come from callers, and are kept.
fn check_names(request: &ChatRequest) -> Result<(), RouteError> {
    let Metadata {
        agent_type,
        session,
        user,
        ..
    } = &request.metadata;
    let names = [
        ("model", Some(request.model.as_str())),
        ("metadata.agentType", agent_type.as_deref()),
        ("metadata.session", session.as_deref()),
        ("metadata.user", user.as_deref()),
    ];
    let long = |(_, name): &(&str, Option<&str>)| name.is_some_and(|name| name.len() > MOST_NAME);
    match names.into_iter().find(long) {
        Some((what, Some(name))) => Err(RouteError::NameTooLong(what, name.len())),
        _ => Ok(()),
    }
}

fn seal(request: ChatRequest, ceiling: Ceiling, masked: Option<(ChatRequest, Mask)>) -> Guarded {
    let guarded = Guarded::new(request, ceiling);
    match masked {
        Some((masked, _)) => guarded.with_mask(masked),
        None => guarded,
    }
}
