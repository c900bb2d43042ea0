//! Message to JSON, into a byte buffer.
//!
//! The order is fixed (declaration for fields, value or bytes for map keys), so equal messages give equal bytes: the
//! entity tag is a hash of them.

use base64::Engine as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, Value};

use super::{scalar::STANDARD, time};
use crate::schema::{Content, FieldShape, Form, MessageShape, Schema, Single};

/// An answer that cannot be written as JSON: a fault of the service that gave it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// NaN or an infinity, which JSON does not have.
    #[error("{0} is not finite; the service must not answer so")]
    NotFinite(String),
    /// A Timestamp or Duration outside the range of the protobuf standard.
    #[error("{0} is not a valid time or duration; the service must not answer so")]
    InvalidTime(String),
    /// The schema was not made with this message among its roots.
    #[error("the schema does not know {0}; make it with this message among the roots")]
    UnknownMessage(String),
}

/// Writes a whole message.
///
/// # Errors
/// [`WriteError`]; the buffer then holds a torn prefix.
pub fn write_message(schema: &Schema, message: &DynamicMessage, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let desc = prost_reflect::ReflectMessage::descriptor(message);
    let shape = schema.of(&desc).ok_or_else(|| WriteError::UnknownMessage(desc.full_name().to_owned()))?;
    Writer { schema, out }.message(shape, message)
}

/// Writes one field of a message by itself: the body of an RPC with `response_body`.
///
/// # Errors
/// [`WriteError`]; the buffer then holds a torn prefix.
pub fn write_field(
    schema: &Schema,
    message: &DynamicMessage,
    field: &FieldDescriptor,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    let unknown = || WriteError::UnknownMessage(field.full_name().to_owned());
    let shape = schema.of(field.parent_message()).ok_or_else(unknown)?;
    let &index = shape.by_name.get(field.name()).ok_or_else(unknown)?;
    Writer { schema, out }.field(&shape.fields[index], message)
}

struct Writer<'a> {
    schema: &'a Schema,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn message(&mut self, shape: &MessageShape, message: &DynamicMessage) -> Result<(), WriteError> {
        match shape.form {
            Form::Object => self.object(shape, message),
            Form::Timestamp | Form::Duration => self.moment(shape, message),
            // A wrapper, a struct and a list are written as their only field.
            Form::Wrapper | Form::Struct | Form::List => match shape.fields.first() {
                Some(field) => self.field(field, message),
                None => self.raw(b"null"),
            },
            Form::Value => self.free_value(shape, message),
        }
    }

    fn object(&mut self, shape: &MessageShape, message: &DynamicMessage) -> Result<(), WriteError> {
        self.out.push(b'{');
        for (index, field) in shape.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&field.key);
            self.field(field, message)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn field(&mut self, field: &FieldShape, message: &DynamicMessage) -> Result<(), WriteError> {
        if field.presence && !message.has_field(&field.desc) {
            return self.raw(b"null");
        }
        let value = message.get_field(&field.desc);
        match (&field.content, &*value) {
            (Content::List(kind), Value::List(items)) => self.list(kind, items, &field.desc),
            (Content::Map(_, kind), Value::Map(entries)) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_unstable_by_key(|(key, _)| *key);
                self.map(kind, &sorted, &field.desc)
            }
            (Content::One(kind) | Content::List(kind) | Content::Map(_, kind), value) => {
                self.single(kind, value, &field.desc)
            }
        }
    }

    fn list(&mut self, kind: &Single, items: &[Value], desc: &FieldDescriptor) -> Result<(), WriteError> {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.single(kind, item, desc)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, kind: &Single, entries: &[(&MapKey, &Value)], desc: &FieldDescriptor) -> Result<(), WriteError> {
        self.out.push(b'{');
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            match key {
                MapKey::String(text) => self.json(text.as_str()),
                MapKey::Bool(key) => self.quoted(key),
                MapKey::I32(key) => self.quoted(key),
                MapKey::I64(key) => self.quoted(key),
                MapKey::U32(key) => self.quoted(key),
                MapKey::U64(key) => self.quoted(key),
            }
            self.out.push(b':');
            self.single(kind, value, desc)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn single(&mut self, kind: &Single, value: &Value, desc: &FieldDescriptor) -> Result<(), WriteError> {
        match (kind, value) {
            (Single::Message(index), Value::Message(message)) => return self.message(self.schema.at(*index), message),
            (Single::Enum(names), Value::EnumNumber(number)) => match names.get_value(*number) {
                Some(named) => self.json(named.name()),
                None => self.json(number),
            },
            (_, Value::Bool(value)) => self.json(value),
            (_, Value::I32(value) | Value::EnumNumber(value)) => self.json(value),
            (_, Value::I64(value)) => self.json(value),
            (_, Value::U32(value)) => self.json(value),
            (_, Value::U64(value)) => self.json(value),
            (_, Value::F32(value)) if value.is_finite() => self.json(value),
            (_, Value::F64(value)) if value.is_finite() => self.json(value),
            (_, Value::F32(_) | Value::F64(_)) => return Err(WriteError::NotFinite(desc.full_name().to_owned())),
            (_, Value::String(value)) => self.json(value.as_str()),
            (_, Value::Bytes(value)) => self.json(&STANDARD.encode(value)),
            (_, Value::Message(_) | Value::List(_) | Value::Map(_)) => {
                return Err(WriteError::UnknownMessage(desc.full_name().to_owned()));
            }
        }
        Ok(())
    }

    fn moment(&mut self, shape: &MessageShape, message: &DynamicMessage) -> Result<(), WriteError> {
        let part = |number| message.get_field_by_number(number);
        let seconds = part(1).and_then(|value| value.as_i64()).unwrap_or_default();
        let nanos = part(2).and_then(|value| value.as_i32()).unwrap_or_default();
        let written = match shape.form {
            Form::Timestamp => time::write_timestamp(seconds, nanos, self.out),
            _ => time::write_duration(seconds, nanos, self.out),
        };
        written.ok_or_else(|| WriteError::InvalidTime(shape.desc.full_name().to_owned()))
    }

    /// A google.protobuf.Value: the member of its oneof that is set; null when none is.
    fn free_value(&mut self, shape: &MessageShape, message: &DynamicMessage) -> Result<(), WriteError> {
        match shape.fields.iter().find(|field| message.has_field(&field.desc)) {
            Some(field) if field.desc.name() == "null_value" => self.raw(b"null"),
            Some(field) => self.field(field, message),
            None => self.raw(b"null"),
        }
    }

    fn raw(&mut self, text: &[u8]) -> Result<(), WriteError> {
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        serde_json::to_writer(&mut *self.out, value).expect("a scalar always serialises into memory");
    }

    fn quoted<T: serde::Serialize>(&mut self, key: &T) {
        self.out.push(b'"');
        self.json(key);
        self.out.push(b'"');
    }
}
