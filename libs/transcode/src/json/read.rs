//! JSON to message: objects, lists and maps. Strict, so that a misspelt or misplaced field never goes unnoticed.
//!
//! The parser is serde_json's; every seed here knows the shape of what comes next, and the message is filled as the
//! text is read. A fault carries its place, which is put together on the way out, so a sound request pays nothing for it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
};

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{
    fault::{Fault, Reason, quoted},
    read_value::ValueSeed,
    scalar::{describe, single_from_text},
};
use crate::schema::{Content, FieldShape, MessageShape, Schema, Single};

/// How deep objects and lists may be nested.
pub const MAX_DEPTH: usize = 32;

/// Reads a whole message.
///
/// # Errors
/// A [`Fault`] with its place.
pub fn read_message(schema: &Schema, desc: &MessageDescriptor, json: &[u8]) -> Result<DynamicMessage, Fault> {
    let shape = schema.of(desc).ok_or_else(|| unknown_to_schema(desc.full_name()))?;
    let reader = Reader::new(schema);
    match reader.run(json, ValueSeed::message(&reader, shape))? {
        Value::Message(message) => Ok(message),
        _ => Err(unknown_to_schema(desc.full_name())),
    }
}

/// Reads one field by itself: the body of an RPC whose annotation names a field. `null` leaves it unset.
///
/// # Errors
/// A [`Fault`] with its place.
pub fn read_field(
    schema: &Schema,
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    json: &[u8],
) -> Result<(), Fault> {
    let shape = schema.of(field.parent_message()).ok_or_else(|| unknown_to_schema(field.full_name()))?;
    let &index = shape.by_name.get(field.name()).ok_or_else(|| unknown_to_schema(field.full_name()))?;
    let reader = Reader::new(schema);
    if let Some(value) = reader.run(json, FieldSeed { reader: &reader, field: &shape.fields[index] })? {
        message.set_field(field, value);
    }
    Ok(())
}

fn unknown_to_schema(name: &str) -> Fault {
    Fault::new(Reason::InvalidValue, format!("{name} cannot be read here"))
}

/// One step of a place.
pub(super) enum Step {
    Field(String),
    Index(usize),
    Key(String),
}

/// What all seeds of one text share.
pub(super) struct Reader<'a> {
    pub schema: &'a Schema,
    depth: Cell<usize>,
    /// The fault that made a seed give up; serde's error type has no room for it.
    fault: RefCell<Option<Fault>>,
    /// The place of the fault, innermost step first.
    trail: RefCell<Vec<Step>>,
}

impl<'a> Reader<'a> {
    fn new(schema: &'a Schema) -> Self {
        Self { schema, depth: Cell::new(0), fault: RefCell::default(), trail: RefCell::default() }
    }

    fn run<'de, S: DeserializeSeed<'de>>(&self, json: &'de [u8], seed: S) -> Result<S::Value, Fault> {
        let mut text = serde_json::Deserializer::from_slice(json);
        seed.deserialize(&mut text).and_then(|value| text.end().map(|()| value)).map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &serde_json::Error) -> Fault {
        let fault = self.fault.take().unwrap_or_else(|| match error.classify() {
            serde_json::error::Category::Data => Fault::new(Reason::InvalidValue, error.to_string()),
            _ => Fault::new(Reason::InvalidJson, format!("the body is not JSON: {error}")),
        });
        let mut place = String::new();
        for step in self.trail.take().iter().rev() {
            match step {
                Step::Field(name) if place.is_empty() => place.push_str(name),
                Step::Field(name) => place.extend([".", name]),
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Key(key) => place.push_str(&format!("[{}]", quoted(key))),
            }
        }
        if place.is_empty() { fault } else { fault.at(place) }
    }

    /// Gives up: the fault is kept, serde's error only carries the news.
    pub(super) fn refuse<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.fault.replace(Some(fault));
        E::custom("refused")
    }

    /// Notes a step of the way out of a fault.
    pub(super) fn via<E>(&self, error: E, step: Step) -> E {
        self.trail.borrow_mut().push(step);
        error
    }

    /// Goes one level deeper for as long as `inside` runs.
    pub(super) fn nested<T, E: serde::de::Error>(&self, inside: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(self.refuse(Fault::new(Reason::TooDeep, format!("nested deeper than {MAX_DEPTH} levels"))));
        }
        self.depth.set(depth);
        let value = inside();
        self.depth.set(depth - 1);
        value
    }

    /// The members of an object, into a message.
    pub(super) fn object<'de, M: MapAccess<'de>>(
        &self,
        shape: &MessageShape,
        mut members: M,
    ) -> Result<DynamicMessage, M::Error> {
        self.nested(|| {
            let mut message = DynamicMessage::new(shape.desc.clone());
            let mut seen = vec![false; shape.fields.len()];
            while let Some(index) = members.next_key_seed(FieldName { reader: self, shape, seen: &mut seen })? {
                let field = &shape.fields[index];
                let value = members
                    .next_value_seed(FieldSeed { reader: self, field })
                    .map_err(|error| self.via(error, Step::Field(field.desc.name().to_owned())))?;
                let Some(value) = value else { continue };
                if field.in_oneof {
                    self.check_oneof(&message, field)?;
                }
                message.set_field(&field.desc, value);
            }
            Ok(message)
        })
    }

    fn check_oneof<E: serde::de::Error>(&self, message: &DynamicMessage, field: &FieldShape) -> Result<(), E> {
        let Some(oneof) = field.desc.containing_oneof() else { return Ok(()) };
        match oneof.fields().find(|other| message.has_field(other)) {
            Some(other) => {
                let detail = format!("{} and {} exclude each other; give one", other.name(), field.desc.name());
                let error = self.refuse(Fault::new(Reason::DuplicateField, detail));
                Err(self.via(error, Step::Field(field.desc.name().to_owned())))
            }
            None => Ok(()),
        }
    }
}

/// The name of a member, as an index into the message's fields.
struct FieldName<'r, 'a> {
    reader: &'r Reader<'a>,
    shape: &'r MessageShape,
    seen: &'r mut [bool],
}

impl<'de> DeserializeSeed<'de> for FieldName<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        let Some(&index) = self.shape.by_name.get(name) else {
            let valid: Vec<_> = self.shape.fields.iter().map(|field| field.desc.name()).collect();
            let detail = format!("no field {}; the fields are {}", quoted(name), valid.join(", "));
            let error = self.reader.refuse(Fault::new(Reason::UnknownField, detail));
            return Err(self.reader.via(error, Step::Field(short(name))));
        };
        if std::mem::replace(&mut self.seen[index], true) {
            let error = self.reader.refuse(Fault::new(Reason::DuplicateField, "the field is given twice"));
            return Err(self.reader.via(error, Step::Field(short(name))));
        }
        Ok(index)
    }
}

/// A name from the request as a place shows it.
fn short(name: &str) -> String {
    name.chars().take(60).collect()
}

/// The value of a field; `None` for null.
struct FieldSeed<'r, 'a> {
    reader: &'r Reader<'a>,
    field: &'r FieldShape,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_, '_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match &self.field.content {
            Content::One(kind) => ValueSeed { reader: self.reader, kind }.nullable(deserializer),
            Content::List(_) | Content::Map(..) => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_, '_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.field.content {
            Content::List(_) => "a list",
            Content::One(_) | Content::Map(..) => "an object",
        })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        match &self.field.content {
            Content::List(kind) => self.reader.list(kind, items).map(Some),
            Content::One(_) | Content::Map(..) => Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        match &self.field.content {
            Content::Map(key, kind) => self.reader.map(key, kind, entries).map(Some),
            Content::One(_) | Content::List(_) => Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self)),
        }
    }
}

impl Reader<'_> {
    pub(super) fn list<'de, A: SeqAccess<'de>>(&self, kind: &Single, mut items: A) -> Result<Value, A::Error> {
        self.nested(|| {
            let mut values = Vec::new();
            while let Some(value) = items
                .next_element_seed(ValueSeed { reader: self, kind })
                .map_err(|error| self.via(error, Step::Index(values.len())))?
            {
                values.push(value);
            }
            Ok(Value::List(values))
        })
    }

    pub(super) fn map<'de, A: MapAccess<'de>>(
        &self,
        key_kind: &Single,
        kind: &Single,
        mut entries: A,
    ) -> Result<Value, A::Error> {
        self.nested(|| {
            let mut values: HashMap<MapKey, Value> = HashMap::new();
            while let Some(text) = entries.next_key::<String>()? {
                let refuse = |fault| self.via(self.refuse(fault), Step::Key(text.clone()));
                let key = single_from_text(self.schema, key_kind, &text)
                    .and_then(|key| key.into_map_key().ok_or_else(|| unknown_to_schema("a key of this kind")))
                    .map_err(refuse)?;
                if values.contains_key(&key) {
                    return Err(refuse(Fault::new(Reason::DuplicateField, "the key is given twice")));
                }
                let value = entries
                    .next_value_seed(ValueSeed { reader: self, kind })
                    .map_err(|error| self.via(error, Step::Key(text.clone())))?;
                values.insert(key, value);
            }
            Ok(Value::Map(values))
        })
    }
}

/// The words for what a shape expects, for serde's own messages.
pub(super) fn expecting_message(shape: &MessageShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(describe(shape))
}
