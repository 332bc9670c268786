//! Reading JSON by taking: what a dialect takes from an object it understands, what stays is kept as it came.

use inhouse_chat::{Dialect, Extra, Fields, Json, Real, Text};
use serde_json::Value;

use crate::WireError;
use crate::path::Path;

/// Names of our own notes about how something was written (`content` as a list, not a string) begin with this. They
/// live in [`Extra`], are never sent and cannot come from outside: [`Object::new`] refuses such names.
const MARK: char = '\0';

/// A name for [`Object::mark`] and [`marked`].
pub(crate) type Mark = &'static str;

/// `content` was a list, though a string would have said the same.
pub(crate) const LISTED: Mark = "\0listed";

/// On the whole request: which protocol it came in, even where nothing else of it is kept.
pub(crate) const CAME: Mark = "\0came";

/// Which protocol a request came in, where its reader said so.
pub(crate) fn came_in(extra: &Extra) -> Option<Dialect> {
    extra.get().map(|(dialect, _)| dialect)
}

pub(crate) fn is_mark(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Whether the mark was set when this came in `dialect`.
pub(crate) fn marked(extra: &Extra, dialect: Dialect, mark: Mark) -> bool {
    extra
        .of(dialect)
        .is_some_and(|fields| fields.contains_key(mark))
}

/// An object that is being read.
///
/// Methods that return an `Option` leave a `null` where it is, so that it is forwarded to the same protocol.
#[derive(Debug)]
pub(crate) struct Object<'p> {
    fields: Fields,
    path: Path<'p>,
}

impl<'p> Object<'p> {
    pub(crate) fn new(value: Value, path: Path<'p>) -> Result<Self, WireError> {
        let Value::Object(fields) = value else {
            return Err(kind(&path, "an object"));
        };
        if let Some(name) = fields.keys().find(|name| is_mark(name)) {
            let path = path.field(name).to_string();
            return Err(WireError::Unknown { path });
        }
        Ok(Self { fields, path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> Path<'p> {
        self.path
    }

    /// Looks without taking.
    pub(crate) fn peek(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A string, without taking it.
    pub(crate) fn peek_str(&self, name: &str) -> Option<&str> {
        self.peek(name).and_then(Value::as_str)
    }

    /// Whatever is there, nulls excepted.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.peek(name)?;
        self.fields.shift_remove(name) // `remove` would change the order of the others
    }

    /// Whatever is there.
    pub(crate) fn value(&mut self, name: &str) -> Result<Value, WireError> {
        self.take(name).ok_or_else(|| self.missing(name))
    }

    /// Puts something back that turned out not to be understood.
    pub(crate) fn put_back(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    pub(crate) fn opt_string(&mut self, name: &str) -> Result<Option<String>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(string)) => Ok(Some(string)),
            Some(_) => Err(self.kind(name, "a string")),
        }
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, WireError> {
        self.opt_string(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn opt_text(&mut self, name: &str) -> Result<Option<Text>, WireError> {
        Ok(self.opt_string(name)?.map(Text::from))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Text, WireError> {
        Ok(self.string(name)?.into())
    }

    pub(crate) fn opt_bool(&mut self, name: &str) -> Result<Option<bool>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.kind(name, "true or false")),
        }
    }

    pub(crate) fn opt_u32(&mut self, name: &str) -> Result<Option<u32>, WireError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let count = whole(&value).and_then(|count| u32::try_from(count).ok());
        count
            .map(Some)
            .ok_or_else(|| self.kind(name, "a whole number from 0 to 4294967295"))
    }

    pub(crate) fn opt_i64(&mut self, name: &str) -> Result<Option<i64>, WireError> {
        match self.take(name).map(|value| value.as_i64()) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(self.kind(name, "a whole number")),
        }
    }

    /// A count of tokens: 0 where nothing is stated.
    pub(crate) fn count(&mut self, name: &str) -> Result<u64, WireError> {
        let Some(value) = self.take(name) else {
            return Ok(0);
        };
        whole(&value).ok_or_else(|| self.kind(name, "a count"))
    }

    pub(crate) fn opt_real(&mut self, name: &str) -> Result<Option<Real>, WireError> {
        match self.take(name).map(|value| value.as_f64()) {
            None => Ok(None),
            Some(number) => {
                (number.and_then(Real::new).map(Some)).ok_or_else(|| self.kind(name, "a number"))
            }
        }
    }

    pub(crate) fn opt_array(&mut self, name: &str) -> Result<Option<Vec<Value>>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.kind(name, "a list")),
        }
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, WireError> {
        self.opt_array(name)?.ok_or_else(|| self.missing(name))
    }

    /// A value that must be an object, as it is: a schema, arguments.
    pub(crate) fn opt_json_object(&mut self, name: &str) -> Result<Option<Json>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(Json(value))),
            Some(_) => Err(self.kind(name, "an object")),
        }
    }

    /// Reads an object inside this one. What `read` leaves of it goes back to where it was.
    pub(crate) fn opt_object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Object<'_>) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let path = self.path;
        let mut inner = Object::new(value, path.field(name))?;
        let read = read(&mut inner)?;
        let left = inner.fields;
        if !left.is_empty() {
            self.fields.insert(name.to_owned(), Value::Object(left));
        }
        Ok(Some(read))
    }

    /// Reads every element of a list that must be there.
    pub(crate) fn each<T>(
        &mut self,
        name: &str,
        read: impl FnMut(Value, Path<'_>) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let items = self.array(name)?;
        each(items, &self.path.field(name), read)
    }

    /// Reads every element of a list; none where it is not there. An empty list stays, to be forwarded.
    pub(crate) fn opt_each<T>(
        &mut self,
        name: &str,
        read: impl FnMut(Value, Path<'_>) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        if self
            .peek(name)
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
        {
            return Ok(Vec::new());
        }
        let items = self.opt_array(name)?.unwrap_or_default();
        each(items, &self.path.field(name), read)
    }

    /// Notes how something was written; see [`marked`].
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.fields.insert(mark.to_owned(), Value::Bool(true));
    }

    /// Whatever was not taken.
    pub(crate) fn rest(self, dialect: Dialect) -> Extra {
        Extra::new(dialect, self.fields)
    }

    /// Whatever was not taken, as fields.
    pub(crate) fn into_fields(self) -> Fields {
        self.fields
    }

    /// Nothing may be left but nulls.
    pub(crate) fn end(self) -> Result<(), WireError> {
        match self.fields.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => Err(WireError::Unknown {
                path: self.path.field(name).to_string(),
            }),
        }
    }

    pub(crate) fn missing(&self, name: &str) -> WireError {
        let path = self.path.field(name).to_string();
        WireError::Missing { path }
    }

    /// The error of a field that is something else; `expected` has its article.
    pub(crate) fn kind(&self, name: &str, expected: &'static str) -> WireError {
        kind(&self.path.field(name), expected)
    }
}

/// Reads every element of a list.
pub(crate) fn each<T>(
    items: Vec<Value>,
    path: &Path<'_>,
    mut read: impl FnMut(Value, Path<'_>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| read(item, path.index(index)))
        .collect()
}

/// The error of a place that is something else; `expected` has its article.
pub(crate) fn kind(path: &Path<'_>, expected: &'static str) -> WireError {
    WireError::Kind {
        path: path.to_string(),
        expected,
    }
}

/// A number as JSON; whole numbers without a fraction, as people write them.
pub(crate) fn number(real: Real) -> Value {
    let value = real.get();
    // 2^53: beyond it not every whole number is one.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// Adds what `out` does not have yet; objects are merged. Marks stay behind.
pub(crate) fn merge(out: &mut Fields, fields: &Fields) {
    for (name, value) in fields {
        match (out.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(fields)) => merge(inner, fields),
            (Some(_), _) => {}
            (None, _) if is_mark(name) => {}
            (None, _) => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Inserts what is there.
pub(crate) fn set(out: &mut Fields, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(name.to_owned(), value.into());
    }
}

/// Some servers write counts as `12.0`.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        // The cast is exact: the number is whole and below 2^53.
        (float.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&float))
            .then_some(float as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object<'static> {
        Object::new(value, Path::Root).unwrap()
    }

    #[test]
    fn what_is_not_taken_stays_in_its_order() {
        let mut body = object(json!({"a": 1, "b": "x", "c": null, "d": 2}));
        assert_eq!(body.string("b"), Ok("x".to_owned()));
        assert_eq!(body.opt_u32("c"), Ok(None));
        assert_eq!(body.opt_u32("d"), Ok(Some(2)));
        let rest = body.rest(Dialect::Anthropic);
        let names: Vec<_> = rest.of(Dialect::Anthropic).unwrap().keys().collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn what_is_left_inside_stays_inside() {
        let mut body = object(json!({"outer": {"known": 1, "new": 2}, "empty": {"known": 3}}));
        let known = |body: &mut Object<'_>, name| {
            body.opt_object(name, |inner| inner.opt_u32("known"))
                .unwrap()
        };
        assert_eq!(known(&mut body, "outer"), Some(Some(1)));
        assert_eq!(known(&mut body, "empty"), Some(Some(3)));
        let left = Value::Object(body.into_fields());
        assert_eq!(left, json!({"outer": {"new": 2}}));
        let mut out = Fields::from_iter([("outer".to_owned(), json!({"known": 1}))]);
        merge(&mut out, left.as_object().unwrap());
        assert_eq!(Value::Object(out), json!({"outer": {"known": 1, "new": 2}}));
    }

    #[test]
    fn our_own_marks_cannot_come_from_outside() {
        let forged = Object::new(json!({"\0came": true}), Path::Root);
        assert!(matches!(forged, Err(WireError::Unknown { .. })));
    }

    #[test]
    fn counts_may_have_a_fraction_of_nothing() {
        let mut usage = object(json!({"a": 12.0, "b": 12.5, "c": -1, "d": null, "e": 1e300}));
        assert_eq!(usage.count("a"), Ok(12));
        for wrong in ["b", "c", "e"] {
            assert!(usage.count(wrong).is_err(), "{wrong}");
        }
        assert_eq!(usage.count("d"), Ok(0));
    }

    #[test]
    fn whole_numbers_are_written_without_a_fraction() {
        let check = |value: f64, written: &str| {
            assert_eq!(number(Real::new(value).unwrap()).to_string(), written);
        };
        check(1.0, "1");
        check(0.7, "0.7");
        check(-2.0, "-2");
        check(1e300, "1e+300");
    }
}
