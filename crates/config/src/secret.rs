//! Keys in configuration: read, and never written.

use inhouse_chat::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is shown instead of a key.
pub(crate) const HIDDEN: &str = "***";

/// A key that need not be there.
pub(crate) mod option {
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        let key = Option::<String>::deserialize(deserializer)?;
        // An empty one is none: `${VAR:-}` says that it need not be there.
        Ok(key.as_deref().and_then(Secret::new))
    }

    pub(crate) fn serialize<S: Serializer>(
        key: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        key.as_ref().map(|_| HIDDEN).serialize(serializer)
    }
}

/// Several keys.
pub(crate) mod list {
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Secret>, D::Error> {
        let keys = Vec::<String>::deserialize(deserializer)?;
        Ok(keys.iter().filter_map(|key| Secret::new(key)).collect())
    }

    pub(crate) fn serialize<S: Serializer>(
        keys: &[Secret],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(|_| HIDDEN))
    }
}

/// Keys by name.
pub(crate) mod table {
    use serde::de::Error;

    use super::*;
    use crate::Table;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Table<Secret>, D::Error> {
        let keys = Table::<String>::deserialize(deserializer)?;
        let keys = keys.iter().map(|(name, key)| {
            let key = Secret::new(key)
                .ok_or_else(|| Error::custom(format!("has nothing in {name:?}")))?;
            Ok((name.to_owned(), key))
        });
        keys.collect()
    }

    pub(crate) fn serialize<S: Serializer>(
        keys: &Table<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(keys.iter().map(|(name, _)| (name, HIDDEN)))
    }
}
