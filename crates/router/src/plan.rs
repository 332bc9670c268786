//! From a request to who is asked, in which order, under which ceiling. Nothing is sent here.

use std::fmt;
use std::sync::Arc;

use inhouse_chat::{ChatRequest, Complexity, Metadata, ModelName, ProviderName, Real};
use inhouse_config::{FallbackStrategy, Mode, Rule};
use inhouse_policy::{Ceiling, Demand, Guarded, Mask, Verdict, Zone};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::affinity::Conversation;
use crate::candidate::{Candidate, PassedOver, Skipped};
use crate::choose::{self, Wish};
use crate::member::Member;
use crate::router::Inner;
use crate::{Facts, KnownModels, RouteError, rules, tool_format};

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
    /// A rule: its place in the list, from 0, and its reason.
    Rule(usize, Option<String>),
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

/// `rule "Private tasks stay here"`, `the request names the provider`, `mode cost-optimized`.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("the request names the provider"),
            Self::Rule(_, Some(reason)) => write!(f, "rule {reason:?}"),
            Self::Rule(index, None) => write!(f, "rule routing.rules[{index}]"),
            Self::Mode(mode) => write!(f, "mode {}", mode.name()),
        }
    }
}

/// Answers without a bound of their own are taken to be no longer than this when money is reserved.
const USUAL_MOST_OUTPUT: u64 = 4_096;

impl Inner {
    /// Plans `request`, or says why nobody may answer it.
    pub(crate) fn plan(
        &self,
        mut request: ChatRequest,
        caller: &Caller,
    ) -> Result<Plan, RouteError> {
        let facts = Facts::of(&request);
        let conversation = Conversation::of(&request);
        let rule = self.rule_for(&request.metadata, &facts);
        let (ceiling, masking) = self.ceiling(&request, caller, rule)?;
        let why = why(&request.metadata, rule, self.mode);
        let pool = self.pool(
            &request.metadata,
            rule.map(|(_, rule)| rule),
            ceiling.zone(),
        );
        let mut sketch = Sketch {
            facts: &facts,
            ceiling: &ceiling,
            rule: rule.map(|(_, rule)| rule),
            insisted: request.metadata.provider.is_some(),
            request: &request,
            conversation,
            max_output: max_output(&request, rule.map(|(_, rule)| rule)),
            candidates: Vec::new(),
            skipped: Vec::new(),
            now: self.clock.now(),
            instant: Instant::now(),
        };
        for (position, name) in pool.into_iter().enumerate() {
            sketch.consider(self, &name, position == 0);
        }
        let (candidates, mut skipped, max_output) =
            (sketch.candidates, sketch.skipped, sketch.max_output);
        let (candidates, unfit) = match &why {
            Why::Mode(mode) => self.order(candidates, *mode),
            Why::Named | Why::Rule(..) => (candidates, Vec::new()),
        };
        skipped.extend(unfit);
        if let Some((_, rule)) = rule {
            apply(rule, &mut request);
        }
        let (metadata, asked_model, streamed) = (
            request.metadata.clone(),
            request.model.clone(),
            request.stream,
        );
        let (guarded, mask) = self.guard(request, ceiling, masking)?;
        Ok(Plan {
            guarded,
            mask,
            facts,
            conversation,
            metadata,
            asked_model,
            why,
            candidates,
            skipped,
            max_output,
            streamed,
        })
    }

    /// The rule that applies. Whoever names a provider has chosen; in manual mode rules are not read.
    fn rule_for(&self, metadata: &Metadata, facts: &Facts) -> Option<(usize, &Rule)> {
        if metadata.provider.is_some() || self.mode == Mode::Manual {
            return None;
        }
        rules::first_match(&self.config.routing.rules, metadata, facts)
    }

    /// How far the request may go, and whether it is masked beyond this device.
    fn ceiling(
        &self,
        request: &ChatRequest,
        caller: &Caller,
        rule: Option<(usize, &Rule)>,
    ) -> Result<(Ceiling, bool), RouteError> {
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
        let Some(detector) = &self.detector else {
            return Ok((ceiling, false));
        };
        if ceiling.zone() == Zone::Device {
            return Ok((ceiling, false)); // it stays here whatever is in it
        }
        match self.finding_rules.judge(&detector.inspect(request)) {
            Verdict::Free => Ok((ceiling, false)),
            Verdict::Mask => Ok((ceiling, true)),
            Verdict::StaysHere(demand) => {
                ceiling.tighten(demand, Zone::Device);
                Ok((ceiling, false))
            }
            Verdict::Blocked(found) => Err(RouteError::Blocked { found }),
        }
    }

    /// Seals the request. Where masking is asked for and impossible, it stays on this device.
    fn guard(
        &self,
        request: ChatRequest,
        mut ceiling: Ceiling,
        masking: bool,
    ) -> Result<(Guarded, Option<Arc<Mask>>), RouteError> {
        let Some(detector) = self.detector.as_deref().filter(|_| masking) else {
            return Ok((Guarded::new(request, ceiling), None));
        };
        match detector.mask(&request) {
            Ok((masked, mask)) => {
                let guarded = Guarded::new(request, ceiling).with_mask(masked);
                Ok((guarded, Some(Arc::new(mask))))
            }
            Err(error) => {
                ceiling.tighten(Demand::DetectorFailed(error.to_string()), Zone::Device);
                Ok((Guarded::new(request, ceiling), None))
            }
        }
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

/// A plan in the making.
struct Sketch<'a> {
    facts: &'a Facts,
    ceiling: &'a Ceiling,
    rule: Option<&'a Rule>,
    insisted: bool,
    request: &'a ChatRequest,
    conversation: Conversation,
    max_output: u64,
    candidates: Vec<Candidate>,
    skipped: Vec<Skipped>,
    now: Timestamp,
    instant: Instant,
}

impl Sketch<'_> {
    /// Considers the provider of this name: with the model asked for, or its own default where it does not have that;
    /// in quality mode, with each of its configured models too.
    fn consider(&mut self, inner: &Inner, name: &ProviderName, first: bool) {
        let Some(member) = inner.member(name) else {
            return self.skip(name, None, PassedOver::NotThere);
        };
        let asked = self.asked_of(&member);
        let insisted = first || self.insisted;
        let Some(model) = member
            .model_for(asked, insisted)
            .or_else(|| member.default_model())
        else {
            return self.skip(name, None, PassedOver::NoModel(asked.clone()));
        };
        let mut models = vec![model];
        if inner.mode == Mode::QualityOptimized && self.rule.is_none() && !self.insisted {
            models.extend(member.config.models.iter().map(|(_, model)| model.clone()));
        }
        for (index, model) in models.iter().enumerate() {
            if !models[..index].contains(model) {
                self.consider_model(inner, &member, model.clone());
            }
        }
    }

    /// A rule's model is meant for the rule's provider.
    fn asked_of<'b>(&'b self, member: &Member) -> &'b ModelName {
        let rule = self
            .rule
            .filter(|rule| rule.action.provider == *member.name());
        let ruled = rule.and_then(|rule| rule.action.model.as_ref());
        ruled.unwrap_or(&self.request.model)
    }

    fn consider_model(&mut self, inner: &Inner, member: &Arc<Member>, model: ModelName) {
        match self.candidate(inner, member, &model) {
            Ok(candidate) => self.candidates.push(candidate),
            Err(why) => self.skip(member.name(), Some(model), why),
        }
    }

    fn candidate(
        &self,
        inner: &Inner,
        member: &Arc<Member>,
        model: &ModelName,
    ) -> Result<Candidate, PassedOver> {
        let zone = member.zone(model);
        let ceiling = self.ceiling.zone();
        if zone > ceiling {
            return Err(PassedOver::Beyond(zone, ceiling));
        }
        let without_tools = self.fits(inner, member, model)?;
        if inner
            .breakers
            .look(member.name(), model, self.instant)
            .is_err()
        {
            return Err(PassedOver::CircuitOpen);
        }
        let price = inner.price(member, zone, model);
        let cached = inner
            .affinity
            .cached(self.conversation, member.name(), model, self.instant);
        let expected_output = self.expected_output();
        let prompt = self.facts.prompt_tokens;
        let expected = price
            .as_ref()
            .and_then(|price| price.estimate(prompt, expected_output, cached, self.now));
        self.affordable(inner, member, model, expected)?;
        Ok(Candidate {
            member: Arc::clone(member),
            model: model.clone(),
            zone,
            expected,
            worst: price
                .and_then(|price| price.upper_bound(upper(prompt), self.max_output, self.now)),
            quality: KnownModels::shipped()
                .find(model)
                .and_then(|known| known.quality()),
            duration: inner
                .speeds
                .expected(member.name(), model, expected_output, self.instant),
            without_tools,
        })
    }

    /// Whether the model takes what the request brings; `true` where all but its tools, and that is to be made up for.
    fn fits(&self, inner: &Inner, member: &Member, model: &ModelName) -> Result<bool, PassedOver> {
        let lacks = |what| Err(PassedOver::Lacks(model.clone(), what));
        let takes = inner.takes(member, model);
        if self.facts.images && !takes.images {
            return lacks("images");
        }
        if self.facts.documents && !takes.documents {
            return lacks("documents");
        }
        if self.facts.audio && !takes.audio {
            return lacks("sound");
        }
        if let Some(room) = takes.context
            && self.facts.prompt_tokens > room
        {
            let (model, prompt) = (model.clone(), self.facts.prompt_tokens);
            return Err(PassedOver::TooLong {
                model,
                room,
                prompt,
            });
        }
        self.tools_are_understood(inner, member, model)?;
        let without_tools = self.facts.tools && !takes.tools;
        match inner.config.tool_calling.fallback_strategy {
            FallbackStrategy::Fail if without_tools => lacks("tools"),
            _ => Ok(without_tools),
        }
    }

    /// Where tools are not to be translated, only who takes them as they came is asked.
    fn tools_are_understood(
        &self,
        inner: &Inner,
        member: &Member,
        model: &ModelName,
    ) -> Result<(), PassedOver> {
        let config = &inner.config.tool_calling;
        if config.translation_enabled || !self.facts.tools {
            return Ok(());
        }
        let taken = tool_format::of(config, member, model);
        match tool_format::of_dialect(self.request.dialect) {
            Some(written) if written != taken => {
                Err(PassedOver::ToolsUntranslated(tool_format::name(taken)))
            }
            _ => Ok(()),
        }
    }

    fn affordable(
        &self,
        inner: &Inner,
        member: &Member,
        model: &ModelName,
        expected: Option<inhouse_chat::Money>,
    ) -> Result<(), PassedOver> {
        let limits = &inner.config.routing.cost_optimization;
        let configured = limits.max_cost_per_request.filter(|_| limits.enabled);
        let Some(limit) = [configured, self.request.metadata.max_cost]
            .into_iter()
            .flatten()
            .min()
        else {
            return Ok(());
        };
        match expected {
            Some(cost) if cost > limit => Err(PassedOver::TooDear(cost, limit)),
            Some(_) => Ok(()),
            None => Err(PassedOver::PriceUnknown(
                limit,
                member.name().clone(),
                model.clone(),
            )),
        }
    }

    /// About how long the answer will be.
    fn expected_output(&self) -> u64 {
        let usual = match self.facts.complexity.get() {
            Complexity::Low => 250,
            Complexity::Medium => 700,
            Complexity::High => 1_500,
        };
        usual.min(self.max_output)
    }

    fn skip(&mut self, provider: &ProviderName, model: Option<ModelName>, why: PassedOver) {
        self.skipped.push(Skipped {
            provider: provider.clone(),
            model,
            why,
        });
    }
}

fn why(metadata: &Metadata, rule: Option<(usize, &Rule)>, mode: Mode) -> Why {
    match rule {
        _ if metadata.provider.is_some() => Why::Named,
        Some((index, rule)) => Why::Rule(index, rule.reason.clone()),
        None => Why::Mode(mode),
    }
}

/// What a rule is called where it has no reason.
pub(crate) fn rule_name(index: usize, rule: &Rule) -> String {
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

fn max_output(request: &ChatRequest, rule: Option<&Rule>) -> u64 {
    let ruled = rule.and_then(|rule| rule.action.max_tokens);
    let bound = [request.max_tokens, ruled].into_iter().flatten().min();
    bound.map_or(USUAL_MOST_OUTPUT, u64::from)
}

/// A third more than the estimate of a prompt, which is what reserving goes by.
fn upper(prompt_tokens: u64) -> u64 {
    prompt_tokens
        .saturating_add(prompt_tokens / 3)
        .saturating_add(16)
}
