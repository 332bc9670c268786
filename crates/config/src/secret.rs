//! Keys in configuration: read, and never written.

use inhouse_chat::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What is shown instead of a key.
pub(crate) const HIDDEN: &str = "***";

fn read<E: Error>(key: &str) -> Result<Secret, E> {
    Secret::new(key).ok_or_else(|| E::custom("is empty"))
}

/// A key that need not be there.
pub(crate) mod option {
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        let key = Option::<String>::deserialize(deserializer)?;
        key.as_deref().map(read).transpose()
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
        keys.iter().map(|key| read(key)).collect()
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
    use super::*;
    use crate::Table;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Table<Secret>, D::Error> {
        let keys = Table::<String>::deserialize(deserializer)?;
        let keys = keys
            .iter()
            .map(|(name, key)| Ok((name.to_owned(), read(key)?)));
        keys.collect::<Result<Vec<_>, _>>()
            .map(|keys| keys.into_iter().collect())
    }

    pub(crate) fn serialize<S: Serializer>(
        keys: &Table<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(keys.iter().map(|(name, _)| (name, HIDDEN)))
    }
}
