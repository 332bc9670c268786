//! JSON as the values of a template, with Python's dictionaries.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde_json::Value as Json;

use super::marks::Marks;

/// The JSON value as a template sees it, its texts in stand-ins.
pub(super) fn to_value(json: &Json, marks: &Marks) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(marks.mark(text)),
        Json::Array(items) => items.iter().map(|item| to_value(item, marks)).collect(),
        Json::Object(fields) => {
            let mut dict = Dict::default();
            for (key, value) in fields {
                dict.insert(key, marks.mark(key), to_value(value, marks));
            }
            Value::from_object(dict)
        }
    }
}

/// A dictionary that is found by its keys as they are and as their stand-ins, in the order of its making.
#[derive(Debug, Default)]
pub(super) struct Dict {
    entries: Vec<(Value, Value)>,
    index: HashMap<String, usize>,
}

impl Dict {
    /// Adds an entry found as `key` and as `shown`, and listed as `shown`.
    pub(super) fn insert(&mut self, key: &str, shown: String, value: Value) {
        let at = self.entries.len();
        self.index.insert(key.to_owned(), at);
        self.index.insert(shown.clone(), at);
        self.entries.push((Value::from(shown), value));
    }
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let (_, value) = self.entries.get(*self.index.get(key)?)?;
        Some(value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.entries.iter().map(|(key, _)| key.clone()).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.entries.len())
    }
}
