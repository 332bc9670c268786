//! Whether a provider can be reached and takes our key, without sending it anything of a user's.

use bytes::BytesMut;
use inhouse_chat::{Failure, ModelName, ProviderError};
use reqwest::Response;
use serde_json::Value;

use crate::keys::Taken;
use crate::{Remote, refusal};

/// The longest list of models that is read.
const LIMIT: usize = 8 * 1024 * 1024;

/// What a provider that can be reached said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckReport {
    /// Its models, where it told them.
    pub models: Vec<ModelName>,
    /// Whether it looked at the key: some tell their models to everybody.
    pub key_was_checked: bool,
}

impl Remote {
    /// Asks for what costs nothing: the list of models, or the state of the key.
    ///
    /// # Errors
    ///
    /// As those of a chat.
    pub async fn check(&self) -> Result<CheckReport, ProviderError> {
        let probe = self.manner.probe(&self.base);
        let taken = self.keys.take();
        let answer = self.ask(probe.url, taken).await?;
        Ok(CheckReport {
            models: models(&answer),
            key_was_checked: probe.tells_key && taken.is_some(),
        })
    }

    /// A question without anything of a user's in it.
    pub(crate) async fn ask(
        &self,
        url: reqwest::Url,
        taken: Option<Taken<'_>>,
    ) -> Result<Value, ProviderError> {
        let response = self.transport.get(url, self.headers(taken)).await?;
        if !response.status().is_success() {
            return Err(refusal::read(response, &self.name, &*self.clock).await);
        }
        self.json(response).await
    }

    async fn json(&self, mut response: Response) -> Result<Value, ProviderError> {
        let failed = |kind| ProviderError::new(&self.name, kind);
        let mut body = BytesMut::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|cause| failed(Failure::CutOff).because(cause.without_url()))?
        {
            body.extend_from_slice(&piece);
            if body.len() > LIMIT {
                return Err(failed(Failure::Garbled));
            }
        }
        serde_json::from_slice(&body).map_err(|cause| failed(Failure::Garbled).because(cause))
    }
}

/// The names in a list of models: OpenAI's and Anthropic's `data[].id`, Gemini's and Ollama's `models[].name`.
fn models(answer: &Value) -> Vec<ModelName> {
    let list = answer.get("data").or_else(|| answer.get("models"));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let name = |model: &Value| {
        let name = model.get("id").or_else(|| model.get("name"))?.as_str()?;
        Some(name.strip_prefix("models/").unwrap_or(name).into())
    };
    list.filter_map(name).collect()
}
