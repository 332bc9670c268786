//! OpenRouter.

use inhouse_chat::{ChatRequest, Dialect, Fields, ModelName};
use inhouse_config::{DataCollection, Preferences, ProviderConfig, ProviderKind};
use inhouse_policy::Zone;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::Kind;
use crate::manner::{Manner, Probe, under};
use crate::openai::{ask_for_usage, completions, use_old_limit};

/// OpenRouter, which passes requests on to others: `preferences` says to whom.
pub(crate) const KIND: Kind = Kind {
    kind: ProviderKind::OpenRouter,
    base_url: Some("https://openrouter.ai/api/v1"),
    zone,
    manner: |config| {
        let mut preferences = config.preferences.clone().unwrap_or_default();
        // The zone is a promise; this is what keeps it.
        if zone(config) == Zone::CloudNoRetention {
            preferences.zdr = Some(true);
        }
        Box::new(OpenRouter(provider_object(&preferences)))
    },
};

/// Only `zdr` asks for endpoints that keep nothing; `dataCollection: deny` is about training and resale, and lets those
/// answer that keep a prompt for a while.
fn zone(config: &ProviderConfig) -> Zone {
    let zdr = config
        .preferences
        .as_ref()
        .and_then(|preferences| preferences.zdr);
    match config.zone {
        Some(zone) => zone,
        None if zdr == Some(true) => Zone::CloudNoRetention,
        None => Zone::Cloud,
    }
}

struct OpenRouter(Fields);

impl Manner for OpenRouter {
    fn dialect(&self, _request: &ChatRequest, _model: &ModelName) -> Dialect {
        Dialect::OpenAiChat
    }

    /// Models of these names search the web, at somebody else's.
    fn zone(&self, zone: Zone, model: &ModelName) -> Zone {
        match model
            .as_str()
            .trim()
            .to_ascii_lowercase()
            .ends_with(":online")
        {
            true => Zone::Cloud,
            false => zone,
        }
    }

    fn chat_url(&self, base: &Url, _dialect: Dialect, _model: &ModelName, _stream: bool) -> Url {
        completions(base)
    }

    /// Its models are told to everybody; this tells about the key.
    fn probe(&self, base: &Url) -> Probe {
        Probe {
            url: under(base, &["key"]),
            tells_key: true,
        }
    }

    /// By which OpenRouter names the program in its statistics. A site (`HTTP-Referer`) can be added in `headers`.
    fn headers(&self) -> HeaderMap {
        let title = HeaderName::from_static("x-title");
        HeaderMap::from_iter([(title, HeaderValue::from_static("inhouse"))])
    }

    fn amend(&self, _dialect: Dialect, body: &mut Fields, _headers: &mut HeaderMap) {
        use_old_limit(body);
        ask_for_usage(body);
        // What configuration says of whom to ask, a request cannot widen; about the rest it may have wishes.
        if !self.0.is_empty() {
            let asked = body.entry("provider").or_insert_with(|| json!({}));
            if !asked.is_object() {
                *asked = json!({});
            }
            if let Some(asked) = asked.as_object_mut() {
                asked.extend(self.0.clone());
            }
        }
    }
}

/// `preferences` as OpenRouter's `provider` object.
fn provider_object(preferences: &Preferences) -> Fields {
    let Preferences {
        data_collection,
        zdr,
        require_parameters,
        order,
        allow_fallbacks,
        only,
        ignore,
        sort,
        max_price,
    } = preferences;
    let list = |names: &Vec<String>| (!names.is_empty()).then(|| json!(names));
    let collection = data_collection.map(|collection| match collection {
        DataCollection::Allow => json!("allow"),
        DataCollection::Deny => json!("deny"),
    });
    let price = max_price.as_ref().map(|price| {
        let sides = [("prompt", price.prompt), ("completion", price.completion)];
        let dollars = sides.into_iter().filter_map(|(side, price)| {
            let amount = price?.amount().to_string().parse::<f64>().ok()?;
            Some((side.to_owned(), json!(amount)))
        });
        Value::Object(dollars.collect())
    });
    let all = [
        ("data_collection", collection),
        ("zdr", zdr.map(Value::from)),
        ("require_parameters", require_parameters.map(Value::from)),
        ("order", list(order)),
        ("allow_fallbacks", allow_fallbacks.map(Value::from)),
        ("only", list(only)),
        ("ignore", list(ignore)),
        ("sort", sort.as_deref().map(Value::from)),
        ("max_price", price),
    ];
    let stated = all
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    stated.collect()
}
