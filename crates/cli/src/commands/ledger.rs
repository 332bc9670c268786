//! The ledger as the commands that read it use it.

use anyhow::Context as _;
use inhouse_chat::Money;
use inhouse_ledger::Ledger;
use jiff::Timestamp;
use serde_json::Value;

use super::{Context, config};

/// The ledger of the configuration in force. Where there is none yet, an empty one, and none is made.
pub(super) fn open(context: &Context) -> anyhow::Result<Ledger> {
    let configured = config::load(None, context)?.config.ledger.path;
    let file = configured.map_or_else(|| context.settings.ledger(), Ok)?;
    let exists = file
        .try_exists()
        .with_context(|| format!("cannot look for the ledger in {}", file.display()))?;
    Ok(if exists {
        Ledger::open(file)?
    } else {
        Ledger::in_memory()?
    })
}

/// An amount in JSON: its digits in a string, so that none is lost; null where it is unknown.
pub(super) fn amount(money: Option<Money>) -> Value {
    money.map_or(Value::Null, |money| {
        money.amount().normalize().to_string().into()
    })
}

/// An amount in a table.
pub(super) fn shown(money: Option<Money>) -> String {
    money.map_or_else(|| "unknown".into(), |money| money.to_string())
}

/// A time in a table, in UTC.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
