//! Who could answer a request, and why others cannot.

use std::sync::Arc;
use std::time::Duration;

use inhouse_chat::{ModelName, Money, ProviderName};
use inhouse_policy::Zone;

use crate::member::Member;

/// A model of a provider that could answer.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) member: Arc<Member>,
    pub(crate) model: ModelName,
    pub(crate) zone: Zone,
    /// What it will probably cost; `None` where the price is unknown.
    pub(crate) expected: Option<Money>,
    /// The most it can cost, which budgets reserve.
    pub(crate) worst: Option<Money>,
    /// 0 to 100, by the table of benchmark results.
    pub(crate) quality: Option<f64>,
    /// How long the answer will probably take; `None` where nothing was measured lately.
    pub(crate) duration: Option<Duration>,
    /// The model takes no tools, and the request brings some.
    pub(crate) without_tools: bool,
}

/// Why a provider is not asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PassedOver {
    /// The request may not go so far.
    #[error("it is in zone {0}, and the request may go no farther than {1}")]
    Beyond(Zone, Zone),
    /// Named, but not there: not configured, or without a key.
    #[error("it is not configured, or has no key")]
    NotThere,
    /// Nothing may leave this device, so nobody beyond it was built.
    #[error("only this device is used (--local-only)")]
    OnlyThisDevice,
    /// It does not have the model, and no default.
    #[error("it does not have {0}, and no default model is configured")]
    NoModel(ModelName),
    /// The request needs something the model does not take.
    #[error("{0} does not take {1}")]
    Lacks(ModelName, &'static str),
    /// Its tools are written otherwise, and the configuration says not to translate.
    #[error("it takes tools in the format of {0}, and toolCalling.translationEnabled is false")]
    ToolsUntranslated(&'static str),
    /// The prompt is too long for the model.
    #[error("{model} has room for {room} tokens, and the prompt has about {prompt}")]
    TooLong {
        /// The model.
        model: ModelName,
        /// Its context.
        room: u64,
        /// About how many tokens the prompt has.
        prompt: u64,
    },
    /// A budget has no room for it.
    #[error("{0}")]
    Budget(String),
    /// Its configured rate is used up.
    #[error("its rate limit leaves room in {0:.1?}")]
    RateLimited(Duration),
    /// It failed too often lately.
    #[error("it failed too often lately: its circuit is open")]
    CircuitOpen,
    /// It would probably cost more than is allowed.
    #[error("it would cost about {0}, and {1} is allowed")]
    TooDear(Money, Money),
    /// What it costs is not known, and there is a limit.
    #[error("its price is unknown, and {0} is allowed; set prices.{1}.\"{2}\"")]
    PriceUnknown(Money, ProviderName, ModelName),
    /// It is not good enough.
    #[error("its quality is {0:.1}, and {1:.1} is asked for")]
    BelowQuality(f64, f64),
    /// How good it is is not known.
    #[error("its quality is not known, and {0:.1} is asked for")]
    QualityUnknown(f64),
}

/// A provider that is not asked, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Skipped {
    pub(crate) provider: ProviderName,
    pub(crate) model: Option<ModelName>,
    pub(crate) why: PassedOver,
}
