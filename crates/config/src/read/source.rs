//! Serde over the tree: knows what is wanted at each place, and so what to say when something else is there.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, STRING};
use crate::json::{Member, Node, Origin, Step, Value};
use crate::money;
use crate::provider::WORD;

/// A value to be read.
pub(super) struct Source<'a>(pub(super) &'a Node);

impl<'a> Source<'a> {
    /// What stands there as a word: a number or boolean, or a string that is one variable.
    fn word(&self) -> Option<&'a str> {
        match &self.0.value {
            Value::Number(digits) => Some(digits),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::String(words) if words.origin == Origin::Variable => Some(words.text.trim()),
            _ => None,
        }
    }

    /// What stands there as a string: a string, or a word.
    fn string(&self) -> Option<&'a str> {
        match &self.0.value {
            Value::String(words) => Some(&words.text),
            _ => self.word(),
        }
    }

    /// A whole number. `60000.0` and `6e4` are whole, too.
    fn whole(&self, most: u64) -> Result<u64, Fault> {
        let word = self.word().unwrap_or_default();
        let number = word.parse().ok().or_else(|| {
            let number: f64 = word.parse().ok()?;
            let exact = number.fract() == 0.0 && (0.0..9e15).contains(&number);
            exact.then_some(number as u64)
        });
        let number = number.filter(|&number| number <= most);
        number.ok_or_else(|| match most {
            u64::MAX => Fault::wanted("a whole number"),
            _ => Fault::wanted(format!("a whole number, at most {most}")),
        })
    }
}

impl<'de> Deserializer<'de> for Source<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null | Value::Gone => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(_) => self.deserialize_f64(visitor),
            Value::String(_) => self.deserialize_str(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.word() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => Err(Fault::wanted("true or false")),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.whole(u32::MAX.into())?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.whole(u64::MAX)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.word().and_then(|word| word.parse::<f64>().ok());
        match number.filter(|number| number.is_finite()) {
            Some(number) => visitor.visit_f64(number),
            None => Err(Fault::wanted("a number")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::String(words) => visitor.visit_borrowed_str(&words.text),
            _ => Err(Fault::wanted(STRING)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (found, wanted) = match name {
            money::EXACT => (self.word(), "an amount in dollars"),
            WORD => (self.string(), "a string, a number or a boolean"),
            _ => return visitor.visit_newtype_struct(self),
        };
        match found {
            Some(word) => visitor.visit_str(word),
            None => Err(Fault::wanted(wanted)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Array(nodes) => visitor.visit_seq(Elements { nodes, next: 0 }),
            _ => Err(Fault::wanted("an array")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Object(members) => visitor.visit_map(Members {
                rest: members,
                value: None,
            }),
            _ => Err(Fault::wanted("an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::String(words) => visitor.visit_enum(Variant(&words.text)),
            // Reported with the names that there are.
            _ => visitor.visit_enum(Variant("")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

struct Variant<'de>(&'de str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = <StrDeserializer<'de, Fault> as EnumAccess<'de>>::Variant;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Fault> {
        let name: StrDeserializer<'de, Fault> = self.0.into_deserializer();
        name.variant_seed(seed)
    }
}

struct Elements<'de> {
    nodes: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        while let Some(node) = self.nodes.get(self.next) {
            let index = self.next;
            self.next += 1;
            if node.value != Value::Gone {
                let element = seed.deserialize(Source(node));
                return element
                    .map(Some)
                    .map_err(|fault| fault.inside(Step::Index(index)));
            }
        }
        Ok(None)
    }
}

struct Members<'de> {
    rest: &'de [Member],
    value: Option<&'de Member>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        while let Some((member, rest)) = self.rest.split_first() {
            self.rest = rest;
            if member.node.value != Value::Gone {
                self.value = Some(member);
                let name: StrDeserializer<'_, Fault> = member.name.as_str().into_deserializer();
                return seed
                    .deserialize(name)
                    .map(Some)
                    .map_err(|fault| inside(fault, member));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some(member) = self.value.take() else {
            return Err(Fault::wanted("a value"));
        };
        seed.deserialize(Source(&member.node))
            .map_err(|fault| inside(fault, member))
    }
}

fn inside(fault: Fault, member: &Member) -> Fault {
    fault.inside(Step::Name(member.name.clone()))
}
