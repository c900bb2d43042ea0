//! Single values from text: what a path variable or a query parameter holds, and what JSON writes as a string.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{DynamicMessage, EnumDescriptor, Value};

use super::{
    fault::{Fault, Reason, quoted},
    float, integer, time,
};
use crate::schema::{Content, Form, MessageShape, Schema, Single};

const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// Writes the standard alphabet with padding; reads without padding too.
pub(super) const STANDARD: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING.with_encode_padding(true));
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

/// A value of this kind from text.
pub(crate) fn single_from_text(schema: &Schema, kind: &Single, text: &str) -> Result<Value, Fault> {
    match kind {
        Single::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(Fault::new(Reason::InvalidValue, format!("{} is neither true nor false", quoted(text)))),
        },
        Single::F64 => float::from_text(text).map(Value::F64),
        Single::F32 => float::from_text(text).and_then(float::single_precision),
        Single::String => Ok(Value::String(text.to_owned())),
        Single::Bytes => bytes_from_text(text),
        Single::Enum(desc) if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            match integer::from_text(&Single::I32, text)? {
                Value::I32(number) => enum_from_number(desc, number),
                other => Ok(other),
            }
        }
        Single::Enum(desc) => enum_from_name(desc, text),
        Single::Message(index) => message_from_text(schema, schema.at(*index), text),
        Single::I32 | Single::I64 | Single::U32 | Single::U64 => integer::from_text(kind, text),
    }
}

/// The messages that are written as one string or number.
pub(super) fn message_from_text(schema: &Schema, shape: &MessageShape, text: &str) -> Result<Value, Fault> {
    let mut message = DynamicMessage::new(shape.desc.clone());
    match shape.form {
        Form::Timestamp => set_moment(&mut message, time::read_timestamp(text)?),
        Form::Duration => set_moment(&mut message, time::read_duration(text)?),
        Form::Wrapper => {
            if let Some((field, Content::One(kind))) = shape.fields.first().map(|field| (field, &field.content)) {
                message.set_field(&field.desc, single_from_text(schema, kind, text)?);
            }
        }
        _ => {
            let expected = format!("{} is text where {} belongs", quoted(text), describe(shape));
            return Err(Fault::new(Reason::InvalidValue, expected));
        }
    }
    Ok(Value::Message(message))
}

fn set_moment(message: &mut DynamicMessage, (seconds, nanos): (i64, i32)) {
    message.set_field_by_number(1, Value::I64(seconds));
    message.set_field_by_number(2, Value::I32(nanos));
}

pub(super) fn bytes_from_text(text: &str) -> Result<Value, Fault> {
    let url_safe = text.contains(['-', '_']);
    let engine = if url_safe { URL_SAFE } else { STANDARD };
    match engine.decode(text) {
        Ok(bytes) => Ok(Value::Bytes(bytes.into())),
        Err(_) => Err(Fault::new(Reason::InvalidValue, format!("{} is not base64", quoted(text)))),
    }
}

pub(super) fn enum_from_name(desc: &EnumDescriptor, name: &str) -> Result<Value, Fault> {
    match desc.get_value_by_name(name) {
        Some(value) => Ok(Value::EnumNumber(value.number())),
        None => Err(not_in_enum(desc, &quoted(name))),
    }
}

pub(super) fn enum_from_number(desc: &EnumDescriptor, number: i32) -> Result<Value, Fault> {
    match desc.get_value(number) {
        Some(_) => Ok(Value::EnumNumber(number)),
        None => Err(not_in_enum(desc, &number.to_string())),
    }
}

fn not_in_enum(desc: &EnumDescriptor, given: &str) -> Fault {
    let names: Vec<_> = desc.values().map(|value| value.name().to_owned()).collect();
    Fault::new(Reason::InvalidValue, format!("{given} is not one of {}", names.join(", ")))
}

/// What JSON a message expects, for error messages.
pub(super) fn describe(shape: &MessageShape) -> &'static str {
    match shape.form {
        Form::Object | Form::Struct => "an object",
        Form::Timestamp => "a time in RFC 3339",
        Form::Duration => "a duration in seconds, e.g. \"1.5s\"",
        Form::Value => "a JSON value",
        Form::List => "a list",
        Form::Wrapper => shape.fields.first().map_or("a value", |field| match &field.content {
            Content::One(kind) => describe_single(kind),
            Content::List(_) | Content::Map(..) => "a value",
        }),
    }
}

/// What JSON a kind expects, for error messages.
pub(super) fn describe_single(kind: &Single) -> &'static str {
    match kind {
        Single::Bool => "true or false",
        Single::I32 | Single::U32 | Single::I64 | Single::U64 => "an integer, or one as text",
        Single::F32 | Single::F64 => "a number, or one as text",
        Single::String => "text",
        Single::Bytes => "base64 text",
        Single::Enum(_) => "the name of an enum value",
        Single::Message(_) => "an object",
    }
}
