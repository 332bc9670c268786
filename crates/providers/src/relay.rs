//! Upstreams near by that pass some models on, whatever those are called.

use inhouse_chat::{Failure, ModelName, ProviderError};
use inhouse_policy::Zone;
use inhouse_router::Provider as _;
use serde_json::Value;

use crate::Remote;
use crate::keys::Taken;

/// A model that computes elsewhere than its name says.
#[derive(Debug, thiserror::Error)]
#[error(
    "this model is relayed to another machine, which its name does not say; nothing was sent; give it a name that ends in -cloud"
)]
struct Relayed;

impl Remote {
    /// Asks, before a prompt is sent to an upstream that promises more than the cloud, whether that would pass it on. Without an answer nothing
    /// is sent. It is asked each time: a name can mean another model a moment later.
    pub(crate) async fn is_not_relayed(
        &self,
        model: &ModelName,
        taken: Option<Taken<'_>>,
    ) -> Result<(), ProviderError> {
        let Some(url) = self.manner.relays_url(&self.base) else {
            return Ok(());
        };
        if self.zone(model) == Zone::Cloud {
            return Ok(());
        }
        let list = self.ask(url, taken).await?;
        let models = list.get("models").and_then(Value::as_array);
        // Names that differ in case alone may be two models: one that is relayed is enough.
        let mut found = models
            .into_iter()
            .flatten()
            .filter(|entry| is(entry, model))
            .peekable();
        let failed = |kind| ProviderError::new(&self.name, kind);
        let relayed = |entry: &Value| {
            ["remote_host", "remote_model"]
                .iter()
                .filter_map(|name| entry.get(name)?.as_str())
                .any(|to| !to.is_empty())
        };
        if found.peek().is_none() {
            return Err(failed(Failure::NoSuchModel));
        }
        match found.any(relayed) {
            true => Err(failed(Failure::Unsupported).because(Relayed)),
            false => Ok(()),
        }
    }
}

/// Whether `entry` is the model; `latest` is what a name without a tag means.
fn is(entry: &Value, model: &ModelName) -> bool {
    let names = ["name", "model"]
        .into_iter()
        .filter_map(|name| entry.get(name)?.as_str());
    let asked = with_tag(model.as_str());
    names
        .map(with_tag)
        .any(|name| name.eq_ignore_ascii_case(&asked))
}

fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.contains(':') {
        true => name.to_owned(),
        false => format!("{name}:latest"),
    }
}
