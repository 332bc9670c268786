//! Why a router cannot be opened.

use std::path::PathBuf;

use inhouse_config::ConfigError;
use inhouse_ledger::{LedgerError, PriceListError};

/// Why a router cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no folder of the user's.
    #[error("no folder for {0}: neither HOME nor an XDG folder is set")]
    NoFolder(&'static str),
    /// The working directory cannot be told.
    #[error("the working directory cannot be read")]
    NoWorkingDirectory(#[source] std::io::Error),
    /// The list of prices cannot be read.
    #[error("cannot read the prices in {0}")]
    PricesUnreadable(PathBuf, #[source] std::io::Error),
    /// The list of prices is none.
    #[error(
        "{0} is wrong; inhouse prices update makes a new one, without it the shipped prices hold"
    )]
    Prices(PathBuf, #[source] PriceListError),
}
