//! The router: everything it keeps between requests, and the ways in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use inhouse_chat::{ChatRequest, ModelName, Money, ProviderName};
use inhouse_config::{Mode, ProviderKind, RouterConfig};
use inhouse_ledger::{Ledger, Price, PriceList};
use inhouse_policy::{Detect, FindingRules, Zone};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::Ability;
use crate::affinity::Affinity;
use crate::alerts::ErrorRate;
use crate::breaker::Breakers;
use crate::cache::Cache;
use crate::member::Member;
use crate::provider::Provider;
use crate::random::Random;
use crate::retry::RetryBudget;
use crate::settings;
use crate::speed::Speeds;
use crate::{
    Answer, AnswerStream, Caller, Explanation, KnownModel, KnownModels, RouteError, explain, flow,
};

/// Chooses who answers, asks them, and books what it cost. Cheap to clone: clones are the same router.
#[derive(Clone)]
pub struct Router(Arc<Inner>);

/// What a router is made of.
pub struct Parts {
    /// What it goes by.
    pub config: RouterConfig,
    /// Who can answer. Those of the configuration that cannot (no key) are left out.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Where usage, budgets and receipts are kept.
    pub ledger: Arc<Ledger>,
    /// What tokens cost.
    pub prices: PriceList,
    /// What looks for personal data and secrets; `None` looks for nothing.
    pub detector: Option<Arc<dyn Detect>>,
    /// The farthest that anything may go, whatever the configuration says (`--local-only`).
    pub farthest: Zone,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For draws that can be repeated; `None` draws as the system does.
    pub seed: Option<u64>,
}

/// What time it is. Rates, pauses and time limits go by tokio's clock instead, which tests can move.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What clones of a router share.
pub(crate) struct Inner {
    pub(crate) config: RouterConfig,
    pub(crate) mode: Mode,
    pub(crate) members: Vec<Arc<Member>>,
    by_name: HashMap<ProviderName, Arc<Member>>,
    pub(crate) ledger: Arc<Ledger>,
    prices: PriceList,
    pub(crate) detector: Option<Arc<dyn Detect>>,
    pub(crate) finding_rules: FindingRules,
    pub(crate) farthest: Zone,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) breakers: Breakers,
    pub(crate) speeds: Speeds,
    pub(crate) affinity: Affinity,
    pub(crate) retry_budget: RetryBudget,
    pub(crate) cache: Option<Cache>,
    pub(crate) error_rate: ErrorRate,
    pub(crate) slots: Option<Arc<Semaphore>>,
    pub(crate) timeout: Option<Duration>,
}

/// What a model takes, as far as is known. What nobody knows is tried.
pub(crate) struct Takes {
    pub(crate) tools: bool,
    pub(crate) images: bool,
    pub(crate) documents: bool,
    pub(crate) audio: bool,
    pub(crate) context: Option<u64>,
}

impl Router {
    /// Puts a router together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner::new(parts)))
    }

    /// Answers `request`.
    ///
    /// # Errors
    ///
    /// Where nobody may or can answer: see [`RouteError`]. An answer that broke off is
    /// [`RouteError::BrokenOff`].
    pub async fn chat(&self, request: ChatRequest) -> Result<Answer, RouteError> {
        self.chat_for(request, &Caller::default()).await
    }

    /// As [`chat`](Self::chat), for a caller of whom more is known than the request says.
    ///
    /// # Errors
    ///
    /// As [`chat`](Self::chat).
    pub async fn chat_for(
        &self,
        request: ChatRequest,
        caller: &Caller,
    ) -> Result<Answer, RouteError> {
        Ok(self.stream_for(request, caller).await?.collect().await?)
    }

    /// Answers `request` piece by piece. It returns when the answer has begun; until then somebody else may still be
    /// asked, and from then on errors come in the stream.
    ///
    /// # Errors
    ///
    /// As [`chat`](Self::chat).
    pub async fn stream(&self, mut request: ChatRequest) -> Result<AnswerStream, RouteError> {
        request.stream = true;
        self.stream_for(request, &Caller::default()).await
    }

    /// As [`stream`](Self::stream), for a caller of whom more is known than the request says. The upstream is asked for
    /// a stream only where `request.stream` says so.
    ///
    /// # Errors
    ///
    /// As [`chat`](Self::chat).
    pub async fn stream_for(
        &self,
        request: ChatRequest,
        caller: &Caller,
    ) -> Result<AnswerStream, RouteError> {
        flow::answer(&self.0, request, caller).await
    }

    /// Says who would answer `request` and why, at what cost. Nothing is sent, reserved or recorded.
    ///
    /// # Errors
    ///
    /// Where the request is refused before anybody is considered.
    pub fn explain(
        &self,
        request: ChatRequest,
        caller: &Caller,
    ) -> Result<Explanation, RouteError> {
        Ok(explain::explain(&self.0.plan(request, caller)?))
    }

    /// Names of the providers it can ask.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.0.members.iter().map(|member| member.name())
    }

    /// How many models, conversations and answers it keeps in mind, each of which has a bound.
    pub fn n_remembered(&self) -> usize {
        let inner = &self.0;
        let answers = inner.cache.as_ref().map_or(0, Cache::len);
        inner.breakers.len() + inner.speeds.len() + inner.affinity.len() + answers
    }

    /// Where usage, budgets and receipts are kept.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }
}

impl Inner {
    fn new(parts: Parts) -> Self {
        let Parts {
            config,
            providers,
            ledger,
            prices,
            detector,
            farthest,
            clock,
            seed,
        } = parts;
        let now = Instant::now();
        let members: Vec<_> = providers
            .into_iter()
            .map(|provider| Arc::new(member(provider, &config, now)))
            .collect();
        let operator = config.privacy.default_ceiling.unwrap_or(Zone::Cloud);
        let detector = detector.filter(|_| config.privacy.detector.enabled);
        ledger.set_budgets(settings::budgets(&config));
        let kinds: Vec<_> = members
            .iter()
            .map(|member| (member.name().to_string(), member.kind.name().to_owned()))
            .collect();
        Self {
            mode: config.routing.mode(),
            by_name: members
                .iter()
                .map(|member| (member.name().clone(), Arc::clone(member)))
                .collect(),
            members,
            ledger,
            prices: prices
                .with_overrides(settings::prices(&config))
                .with_names(kinds),
            detector,
            finding_rules: settings::finding_rules(&config.privacy.detector),
            farthest: farthest.min(operator),
            clock,
            random: seed.map_or_else(Random::from_system, Random::seeded),
            breakers: Breakers::new(settings::breaker(
                &config.routing.performance.circuit_breaker,
            )),
            speeds: Speeds::default(),
            affinity: Affinity::default(),
            retry_budget: RetryBudget::new(&config.retries, now),
            cache: settings::cache(&config.cache).map(Cache::new),
            error_rate: ErrorRate::default(),
            slots: settings::slots(&config.routing.performance)
                .map(|n| Arc::new(Semaphore::new(n))),
            timeout: config
                .routing
                .performance
                .timeout
                .map(Duration::from_millis),
            config,
        }
    }

    pub(crate) fn member(&self, name: &ProviderName) -> Option<Arc<Member>> {
        self.by_name.get(name).cloned()
    }

    /// The price of a model. What runs on this machine is free.
    pub(crate) fn price(
        &self,
        member: &Member,
        zone: Zone,
        model: &ModelName,
    ) -> Option<Arc<Price>> {
        if zone == Zone::Device {
            return Some(Arc::new(Price::free()));
        }
        self.prices.price(member.name().as_str(), model.as_str())
    }

    /// What the same tokens would have cost with the cheapest provider that is not free: what an answer of this machine
    /// or of the cache saved. `None` where no such provider is configured, or none has a known price.
    pub(crate) fn usual_cost(&self, prompt_tokens: u64, output_tokens: u64) -> Option<Money> {
        let now = self.clock.now();
        let costs = self.members.iter().filter_map(|member| {
            let model = member.default_model()?;
            let price = self.price(member, member.zone(&model), &model)?;
            let price = Some(price).filter(|price| !price.is_free())?;
            price.estimate(prompt_tokens, output_tokens, 0, now)
        });
        costs.min()
    }

    pub(crate) fn takes(&self, member: &Member, model: &ModelName) -> Takes {
        let known = KnownModels::shipped().find(model);
        let local = member.kind == ProviderKind::Onnx;
        // The engine reads text; tools of its models are not wired to it.
        let can = |ability| !local && known.is_none_or(|known| known.can(ability));
        let price = self.prices.price(member.name().as_str(), model.as_str());
        let listed = price.and_then(|price| price.context_window());
        Takes {
            tools: can(Ability::Tools),
            images: can(Ability::Vision),
            documents: can(Ability::Documents),
            audio: can(Ability::Audio),
            context: known.map(KnownModel::context).or(listed),
        }
    }
}

fn member(provider: Arc<dyn Provider>, config: &RouterConfig, now: Instant) -> Member {
    let name = provider.name().as_str();
    let own = config.providers.get(name).cloned().unwrap_or_default();
    let kind = own
        .kind
        .or_else(|| ProviderKind::of_name(name))
        .unwrap_or(ProviderKind::Custom);
    Member::new(provider, kind, own, config, now)
}
