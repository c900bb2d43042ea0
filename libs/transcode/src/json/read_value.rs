//! JSON to message: single values, and the messages of the protobuf standard that have a JSON form of their own.

use std::{borrow::Cow, fmt};

use prost_reflect::{DynamicMessage, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::{
    fault::Fault,
    float, integer,
    read::{Reader, expecting_message},
    scalar::{bytes_from_text, describe_single, enum_from_name, enum_from_number, message_from_text},
};
use crate::schema::{Content, Form, MessageShape, Single};

/// A single value of a known kind.
pub(super) struct ValueSeed<'r, 'a> {
    pub reader: &'r Reader<'a>,
    pub kind: &'r Single,
}

impl<'r, 'a> ValueSeed<'r, 'a> {
    /// A whole message.
    pub fn message(reader: &'r Reader<'a>, shape: &'r MessageShape) -> MessageSeed<'r, 'a> {
        MessageSeed { reader, shape }
    }

    /// The same, where null means unset. A google.protobuf.Value is set to null by it.
    pub fn nullable<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        if let Single::Message(index) = self.kind
            && self.reader.schema.at(*index).form == Form::Value
        {
            return self.deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_option(Nullable(self))
    }

    fn done<E: serde::de::Error>(&self, value: Result<Value, Fault>) -> Result<Value, E> {
        value.map_err(|fault| self.reader.refuse(fault))
    }
}

struct Nullable<'r, 'a>(ValueSeed<'r, 'a>);

impl<'de> Visitor<'de> for Nullable<'_, '_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.kind {
            Single::Message(index) => {
                let shape = self.reader.schema.at(*index);
                MessageSeed { reader: self.reader, shape }.deserialize(deserializer)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl Visitor<'_> for ValueSeed<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Single::Message(index) => expecting_message(self.reader.schema.at(*index), f),
            kind => f.write_str(describe_single(kind)),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        match self.kind {
            Single::Bool => Ok(Value::Bool(value)),
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        match self.kind {
            #[allow(clippy::cast_precision_loss, reason = "a double field takes the nearest double")]
            Single::F32 | Single::F64 => self.visit_f64(value as f64),
            _ => self.integer(value.into()),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match self.kind {
            #[allow(clippy::cast_precision_loss, reason = "a double field takes the nearest double")]
            Single::F32 | Single::F64 => self.visit_f64(value as f64),
            _ => self.integer(value.into()),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match self.kind {
            Single::F64 => Ok(Value::F64(value)),
            Single::F32 => self.done(float::single_precision(value)),
            Single::I32 | Single::I64 | Single::U32 | Single::U64 => self.done(integer::from_double(self.kind, value)),
            _ => Err(E::invalid_type(Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        match self.kind {
            Single::String => Ok(Value::String(value.to_owned())),
            Single::Bytes => self.done(bytes_from_text(value)),
            Single::I32 | Single::I64 | Single::U32 | Single::U64 => self.done(integer::from_quoted(self.kind, value)),
            Single::F64 => self.done(float::from_text(value).map(Value::F64)),
            Single::F32 => self.done(float::from_text(value).and_then(float::single_precision)),
            Single::Enum(desc) => self.done(enum_from_name(desc, value)),
            _ => Err(E::invalid_type(Unexpected::Str(&cut(value)), &self)),
        }
    }
}

impl ValueSeed<'_, '_> {
    fn integer<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        match self.kind {
            Single::I32 | Single::I64 | Single::U32 | Single::U64 => self.done(integer::in_range(self.kind, value)),
            Single::Enum(desc) => {
                let number = integer::in_range(&Single::I32, value);
                self.done(number.and_then(|number| enum_from_number(desc, number.as_i32().unwrap_or_default())))
            }
            _ => Err(E::invalid_type(Unexpected::Other("an integer"), &self)),
        }
    }
}

/// Text of a request as serde's messages may quote it.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A message, whatever its form.
pub(super) struct MessageSeed<'r, 'a> {
    reader: &'r Reader<'a>,
    shape: &'r MessageShape,
}

impl<'r, 'a> MessageSeed<'r, 'a> {
    /// The value of a wrapper's only field, or of the only field of a Struct or ListValue.
    fn only_field(&self, value: Value) -> Value {
        self.with_field(0, value)
    }

    fn with_field(&self, index: usize, value: Value) -> Value {
        let mut message = DynamicMessage::new(self.shape.desc.clone());
        if let Some(field) = self.shape.fields.get(index) {
            message.set_field(&field.desc, value);
        }
        Value::Message(message)
    }

    /// The member of google.protobuf.Value with this name.
    fn member(&self, name: &str, value: Value) -> Value {
        let index = self.shape.by_name.get(name).copied().unwrap_or(usize::MAX);
        self.with_field(index, value)
    }

    /// The kind of a wrapper's field.
    fn wrapped(&self) -> Option<ValueSeed<'r, 'a>> {
        match self.shape.fields.first().map(|field| &field.content) {
            Some(Content::One(kind)) if self.shape.form == Form::Wrapper => {
                Some(ValueSeed { reader: self.reader, kind })
            }
            _ => None,
        }
    }

    /// The message kind of a member of google.protobuf.Value.
    fn member_shape(&self, name: &str) -> Option<&'r MessageShape> {
        let shape: &'r MessageShape = self.shape;
        match &shape.fields.get(*shape.by_name.get(name)?)?.content {
            Content::One(Single::Message(index)) => Some(self.reader.schema.at(*index)),
            _ => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        expecting_message(self.shape, f)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        match self.shape.form {
            Form::Value => Ok(self.member("null_value", Value::EnumNumber(0))),
            _ => Err(E::invalid_type(Unexpected::Other("null"), &self)),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        match (self.shape.form, self.wrapped()) {
            (Form::Value, _) => Ok(self.member("bool_value", Value::Bool(value))),
            (_, Some(inner)) => inner.visit_bool(value).map(|value| self.only_field(value)),
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        match (self.shape.form, self.wrapped()) {
            #[allow(clippy::cast_precision_loss, reason = "numbers of a Struct are doubles")]
            (Form::Value, _) => Ok(self.member("number_value", Value::F64(value as f64))),
            (_, Some(inner)) => inner.visit_i64(value).map(|value| self.only_field(value)),
            _ => Err(E::invalid_type(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match (self.shape.form, self.wrapped()) {
            #[allow(clippy::cast_precision_loss, reason = "numbers of a Struct are doubles")]
            (Form::Value, _) => Ok(self.member("number_value", Value::F64(value as f64))),
            (_, Some(inner)) => inner.visit_u64(value).map(|value| self.only_field(value)),
            _ => Err(E::invalid_type(Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match (self.shape.form, self.wrapped()) {
            (Form::Value, _) => Ok(self.member("number_value", Value::F64(value))),
            (_, Some(inner)) => inner.visit_f64(value).map(|value| self.only_field(value)),
            _ => Err(E::invalid_type(Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        match (self.shape.form, self.wrapped()) {
            (Form::Value, _) => Ok(self.member("string_value", Value::String(value.to_owned()))),
            (_, Some(inner)) => inner.visit_str(value).map(|value| self.only_field(value)),
            (Form::Timestamp | Form::Duration, _) => {
                message_from_text(self.reader.schema, self.shape, value).map_err(|fault| self.reader.refuse(fault))
            }
            _ => Err(E::invalid_type(Unexpected::Str(&cut(value)), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Value, A::Error> {
        let list = match self.shape.form {
            Form::List => Some(self.shape),
            Form::Value => self.member_shape("list_value"),
            _ => None,
        };
        let Some((list, Content::List(kind))) = list.and_then(|list| Some((list, &list.fields.first()?.content)))
        else {
            return Err(serde::de::Error::invalid_type(Unexpected::Seq, &self));
        };
        let values = self.reader.list(kind, items)?;
        let filled = MessageSeed { reader: self.reader, shape: list }.only_field(values);
        Ok(if self.shape.form == Form::Value { self.member("list_value", filled) } else { filled })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        let object = match self.shape.form {
            Form::Object => return self.reader.object(self.shape, entries).map(Value::Message),
            Form::Struct => Some(self.shape),
            Form::Value => self.member_shape("struct_value"),
            _ => None,
        };
        let Some((object, Content::Map(key, kind))) = object.and_then(|it| Some((it, &it.fields.first()?.content)))
        else {
            return Err(serde::de::Error::invalid_type(Unexpected::Map, &self));
        };
        let values = self.reader.map(key, kind, entries)?;
        let filled = MessageSeed { reader: self.reader, shape: object }.only_field(values);
        Ok(if self.shape.form == Form::Value { self.member("struct_value", filled) } else { filled })
    }
}
