//! The shapes of messages, worked out once: what reading and writing JSON look at for every field of every answer.
//!
//! prost-reflect's descriptors answer the same questions, but each answer takes a lookup and an allocation; this table
//! keeps them side by side in the order in which fields are printed.

use std::collections::HashMap;

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::TranscodeError;

/// All messages that can be reached from the requests and responses of the annotated RPCs.
pub struct Schema {
    messages: Vec<MessageShape>,
    by_name: HashMap<String, usize>,
}

/// A message: how it is written, and its fields.
pub(crate) struct MessageShape {
    pub desc: MessageDescriptor,
    pub form: Form,
    /// In the order of declaration.
    pub fields: Vec<FieldShape>,
    /// Both spellings, the proto's and lowerCamel.
    pub by_name: HashMap<String, usize>,
}

/// How a message is written in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Object,
    Timestamp,
    Duration,
    /// google.protobuf.Struct.
    Struct,
    /// google.protobuf.Value.
    Value,
    /// google.protobuf.ListValue.
    List,
    /// One of the wrappers: written as its only field.
    Wrapper,
}

pub(crate) struct FieldShape {
    pub desc: FieldDescriptor,
    /// `"name":`, ready to be copied.
    pub key: Vec<u8>,
    /// Unset differs from zero.
    pub presence: bool,
    /// Member of a oneof that was written as such.
    pub in_oneof: bool,
    pub content: Content,
}

pub(crate) enum Content {
    One(Single),
    List(Single),
    /// The kind of the keys and that of the values.
    Map(Single, Single),
}

/// A single value.
#[derive(Clone)]
pub(crate) enum Single {
    Bool,
    I32,
    I64,
    U32,
    U64,
    F32,
    F64,
    String,
    Bytes,
    Enum(EnumDescriptor),
    /// Index into the schema.
    Message(usize),
}

impl Schema {
    /// Works out the shapes of these messages and everything in them.
    ///
    /// # Errors
    /// [`TranscodeError::Annotation`] when one holds a type that has no JSON form here (`Any`, `FieldMask`, a group).
    pub fn new(roots: impl IntoIterator<Item = MessageDescriptor>) -> Result<Self, TranscodeError> {
        let mut schema = Self { messages: Vec::new(), by_name: HashMap::new() };
        for root in roots {
            schema.add(&root)?;
        }
        Ok(schema)
    }

    /// The shape of a message; `None` when it was not reached from the roots.
    pub(crate) fn of(&self, desc: &MessageDescriptor) -> Option<&MessageShape> {
        self.by_name.get(desc.full_name()).map(|&index| &self.messages[index])
    }

    pub(crate) fn at(&self, index: usize) -> &MessageShape {
        &self.messages[index]
    }

    fn add(&mut self, desc: &MessageDescriptor) -> Result<usize, TranscodeError> {
        if let Some(&index) = self.by_name.get(desc.full_name()) {
            return Ok(index);
        }
        let form = form_of(desc)?;
        let index = self.messages.len();
        self.by_name.insert(desc.full_name().to_owned(), index);
        // Its place must be taken before its fields are visited: a message may contain itself.
        self.messages.push(MessageShape { desc: desc.clone(), form, fields: Vec::new(), by_name: HashMap::new() });
        let mut fields = Vec::new();
        let mut by_name = HashMap::new();
        for declared in &desc.descriptor_proto().field {
            let Some(field) = desc.get_field_by_name(declared.name()) else { continue };
            by_name.insert(field.name().to_owned(), fields.len());
            by_name.entry(field.json_name().to_owned()).or_insert(fields.len());
            fields.push(self.field(field)?);
        }
        let shape = &mut self.messages[index];
        shape.fields = fields;
        shape.by_name = by_name;
        Ok(index)
    }

    fn field(&mut self, desc: FieldDescriptor) -> Result<FieldShape, TranscodeError> {
        if desc.is_group() {
            return Err(no_json_form(desc.full_name(), "a group"));
        }
        let content = match desc.kind() {
            Kind::Message(entry) if desc.is_map() => Content::Map(
                self.single(entry.map_entry_key_field().kind())?,
                self.single(entry.map_entry_value_field().kind())?,
            ),
            kind if desc.cardinality() == Cardinality::Repeated => Content::List(self.single(kind)?),
            kind => Content::One(self.single(kind)?),
        };
        Ok(FieldShape {
            key: format!("\"{}\":", desc.name()).into_bytes(),
            presence: desc.supports_presence(),
            in_oneof: desc.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()),
            content,
            desc,
        })
    }

    fn single(&mut self, kind: Kind) -> Result<Single, TranscodeError> {
        Ok(match kind {
            Kind::Bool => Single::Bool,
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Single::I32,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Single::I64,
            Kind::Uint32 | Kind::Fixed32 => Single::U32,
            Kind::Uint64 | Kind::Fixed64 => Single::U64,
            Kind::Float => Single::F32,
            Kind::Double => Single::F64,
            Kind::String => Single::String,
            Kind::Bytes => Single::Bytes,
            Kind::Enum(desc) => Single::Enum(desc),
            Kind::Message(desc) => Single::Message(self.add(&desc)?),
        })
    }
}

fn form_of(desc: &MessageDescriptor) -> Result<Form, TranscodeError> {
    Ok(match desc.full_name() {
        "google.protobuf.Timestamp" => Form::Timestamp,
        "google.protobuf.Duration" => Form::Duration,
        "google.protobuf.Struct" => Form::Struct,
        "google.protobuf.Value" => Form::Value,
        "google.protobuf.ListValue" => Form::List,
        "google.protobuf.BoolValue"
        | "google.protobuf.BytesValue"
        | "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int32Value"
        | "google.protobuf.Int64Value"
        | "google.protobuf.StringValue"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.UInt64Value" => Form::Wrapper,
        name @ ("google.protobuf.Any" | "google.protobuf.FieldMask") => {
            return Err(no_json_form(name, "this type"));
        }
        _ => Form::Object,
    })
}

fn no_json_form(name: &str, what: &str) -> TranscodeError {
    TranscodeError::Annotation {
        rpc: name.to_owned(),
        problem: format!("{what} has no JSON form here; use a plain message"),
    }
}
