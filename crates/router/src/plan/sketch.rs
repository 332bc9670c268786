//! A plan in the making: who is considered, and why some are passed over.

use std::sync::Arc;

use inhouse_chat::{ChatRequest, Complexity, ModelName, Money, ProviderName};
use inhouse_config::{FallbackStrategy, Mode, Rule};
use inhouse_policy::{Ceiling, Zone};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::affinity::Conversation;
use crate::candidate::{Candidate, PassedOver, Skipped};
use crate::member::Member;
use crate::router::Inner;
use crate::{Facts, KnownModels, tool_format};

/// A plan in the making.
pub(super) struct Sketch<'a> {
    inner: &'a Inner,
    request: &'a ChatRequest,
    facts: &'a Facts,
    ceiling: Zone,
    rule: Option<&'a Rule>,
    conversation: Conversation,
    candidates: Vec<Candidate>,
    skipped: Vec<Skipped>,
    now: Timestamp,
    instant: Instant,
}

impl<'a> Sketch<'a> {
    pub(super) fn new(
        inner: &'a Inner,
        request: &'a ChatRequest,
        facts: &'a Facts,
        conversation: Conversation,
        ceiling: &Ceiling,
        rule: Option<&'a Rule>,
    ) -> Self {
        Self {
            inner,
            request,
            facts,
            ceiling: ceiling.zone(),
            rule,
            conversation,
            candidates: Vec::new(),
            skipped: Vec::new(),
            now: inner.clock.now(),
            instant: Instant::now(),
        }
    }

    /// Considers everyone, in the order of the pool.
    pub(super) fn finish(mut self) -> (Vec<Candidate>, Vec<Skipped>) {
        let pool = self
            .inner
            .pool(&self.request.metadata, self.rule, self.ceiling);
        for (position, name) in pool.iter().enumerate() {
            self.consider(name, position == 0);
        }
        (self.candidates, self.skipped)
    }

    /// Considers the provider of this name: with the model asked for, or its own default where it does not have that;
    /// in quality mode, with each of its configured models too.
    fn consider(&mut self, name: &ProviderName, first: bool) {
        let inner = self.inner;
        let Some(member) = inner.member(name) else {
            let here_only = inner.farthest == Zone::Device;
            let why = if here_only {
                PassedOver::OnlyThisDevice
            } else {
                PassedOver::NotThere
            };
            return self.skip(name, None, why);
        };
        let asked = self.asked_of(&member);
        let insisted = first || self.request.metadata.provider.is_some();
        let Some(model) = member
            .model_for(asked, insisted)
            .or_else(|| member.default_model())
        else {
            return self.skip(name, None, PassedOver::NoModel(asked.clone()));
        };
        let mut models = vec![model];
        if inner.mode == Mode::QualityOptimized
            && self.rule.is_none()
            && self.request.metadata.provider.is_none()
        {
            models.extend(member.config.models.iter().map(|(_, model)| model.clone()));
        }
        for (index, model) in models.iter().enumerate() {
            if !models[..index].contains(model) {
                self.consider_model(&member, model.clone());
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

    fn consider_model(&mut self, member: &Arc<Member>, model: ModelName) {
        match self.candidate(member, &model) {
            Ok(candidate) => self.candidates.push(candidate),
            Err(why) => self.skip(member.name(), Some(model), why),
        }
    }

    fn candidate(&self, member: &Arc<Member>, model: &ModelName) -> Result<Candidate, PassedOver> {
        let inner = self.inner;
        let zone = member.zone(model);
        if zone > self.ceiling {
            return Err(PassedOver::Beyond(zone, self.ceiling));
        }
        let without_tools = self.fits(member, model)?;
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
        let most_output = super::most_output(self.request, member.config.max_tokens);
        let expected_output = self.expected_output(most_output);
        let prompt = self.facts.prompt_tokens;
        let expected = price
            .as_ref()
            .and_then(|price| price.estimate(prompt, expected_output, cached, self.now));
        self.affordable(member, model, expected)?;
        Ok(Candidate {
            member: Arc::clone(member),
            model: model.clone(),
            zone,
            expected,
            worst: price.and_then(|price| price.upper_bound(upper(prompt), most_output, self.now)),
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
    fn fits(&self, member: &Member, model: &ModelName) -> Result<bool, PassedOver> {
        let lacks = |what| Err(PassedOver::Lacks(model.clone(), what));
        let takes = self.inner.takes(member, model);
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
        self.tools_are_understood(member, model)?;
        let without_tools = self.facts.tools && !takes.tools;
        match self.inner.config.tool_calling.fallback_strategy {
            FallbackStrategy::Fail if without_tools => lacks("tools"),
            _ => Ok(without_tools),
        }
    }

    /// Where tools are not to be translated, only who takes them as they came is asked.
    fn tools_are_understood(&self, member: &Member, model: &ModelName) -> Result<(), PassedOver> {
        let config = &self.inner.config.tool_calling;
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
        member: &Member,
        model: &ModelName,
        expected: Option<Money>,
    ) -> Result<(), PassedOver> {
        let limits = &self.inner.config.routing.cost_optimization;
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
    fn expected_output(&self, most_output: u64) -> u64 {
        let usual = match self.facts.complexity.get() {
            Complexity::Low => 250,
            Complexity::Medium => 700,
            Complexity::High => 1_500,
        };
        usual.min(most_output)
    }

    fn skip(&mut self, provider: &ProviderName, model: Option<ModelName>, why: PassedOver) {
        self.skipped.push(Skipped {
            provider: provider.clone(),
            model,
            why,
        });
    }
}

/// A third more than the estimate of a prompt, which is what reserving goes by.
fn upper(prompt_tokens: u64) -> u64 {
    prompt_tokens
        .saturating_add(prompt_tokens / 3)
        .saturating_add(16)
}
