//! router.config.json: its schema, its errors, its search order.
//!
//! **Invariant:** nothing here reads the environment, the working directory or the clock by itself: [`Env`] and paths
//! are given.
#![forbid(unsafe_code)]

mod base_url;
mod budget;
mod check;
mod complete;
mod env;
mod error;
mod json;
mod load;
mod migrate;
mod money;
mod privacy;
mod provider;
mod read;
mod router;
mod routing;
mod schema;
mod secret;
mod services;
mod substitute;
mod table;
mod template;

pub use base_url::BaseUrl;
pub use budget::{Budget, BudgetPer, BudgetWindow, Ledger, Price};
pub use env::Env;
pub use error::{ConfigError, Problem};
pub use load::{Loaded, from_env, load, parse, places};
pub use migrate::migrate;
pub use privacy::{Detector, DetectorAction, PrivacyRules};
pub use provider::{
    DataCollection, Deadlines, LOCAL, MaxPrice, Preferences, ProviderConfig, ProviderKind,
    RateLimit, Timeouts, canonical_name,
};
pub use router::RouterConfig;
pub use routing::{
    Action, BudgetAlerts, CircuitBreaker, Condition, CostOptimization, Mode, Performance,
    QualityOptimization, Retries, Routing, Rule,
};
pub use schema::schema;
pub use services::{
    Alerts, Cache, CacheStrategy, FallbackStrategy, LogLevel, Metrics, Monitoring, ProviderCache,
    ToolCalling, ToolFormat,
};
pub use table::Table;
pub use template::init_template;
