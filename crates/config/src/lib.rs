//! router.config.json: its schema, its errors, its search order.
//!
//! [`load`] finds a file as the command line does, [`parse`] takes the text of one, [`from_env`] does without. All three
//! give [`Loaded`]: a [`RouterConfig`] that is checked and completed from the environment, and what looks wrong in it.
//! `docs/configuration.md` describes every key; [`schema`] is made from the same structs that files are read into.
//!
//! **Invariant:** nothing here reads the environment, the working directory or the clock by itself: [`Env`] and paths
//! are given. Keys have no `Debug`, and are `***` where a configuration is shown.
//!
//! ```
//! use inhouse_policy::Zone;
//!
//! let text = r#"{ "providers": { "onnx": {} }, "fallbackChain": ["onnx", "anthropic"] }"#;
//! let loaded = inhouse_config::parse(text, "router.config.json", &[])?;
//! assert_eq!(loaded.config.provider("onnx-local").unwrap().effective_zone(), Zone::Device);
//! assert_eq!(
//!     loaded.warnings[0].to_string(),
//!     "router.config.json:1:58: fallbackChain[1] names anthropic, which is skipped: it is not in providers, \
//!      and ANTHROPIC_API_KEY is not set"
//! );
//!
//! let error = inhouse_config::parse(r#"{ "routing": { "mod": "manual" } }"#, "router.config.json", &[]);
//! assert_eq!(
//!     error.unwrap_err().to_string(),
//!     "router.config.json:1:16: routing.mod is not known; did you mean routing.mode?"
//! );
//! # Ok::<(), inhouse_config::ConfigError>(())
//! ```
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
    BackendChoice, DataCollection, Deadlines, EXECUTION_PROVIDERS, LOCAL, MaxPrice, OptionValue,
    Preferences, ProviderConfig, ProviderKind, RateLimit, Timeouts, canonical_name,
    execution_provider,
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
