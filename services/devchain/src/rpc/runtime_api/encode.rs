//! Writing an answer in the types of the metadata, by the names of the fields.
//!
//! The types of a runtime's answers change from one runtime to the next: fields come and go, a number becomes a wrapper around
//! a number. So nothing here knows a layout. The encoder walks the type and asks a [`Record`] for each field by its name; for
//! what is not given it writes the neutral value of the type: zero, false, nothing, an empty list.

use parity_scale_codec::{Compact, Encode as _};
use scale_info::{Field, PortableRegistry, TypeDef, TypeDefPrimitive, form::PortableForm};

use crate::Error;

/// How deep a type may be nested; those of the metadata have less than ten levels.
const DEPTH_LIMIT: u32 = 32;

/// A value to be written as whatever the metadata says it is.
pub(super) enum Given<'a> {
    /// For every type of number, compact or not.
    Number(u128),
    Bool(bool),
    /// For lists and arrays of bytes.
    Bytes(Vec<u8>),
    /// For lists.
    List(Vec<Given<'a>>),
    /// For tuples.
    Tuple(Vec<Given<'a>>),
    /// For structures.
    Record(Box<dyn Record + 'a>),
    /// For an enum: the variant's name, and its fields in order.
    Variant(&'static str, Vec<Given<'a>>),
    /// Nothing, in an option.
    Nothing,
    /// Bytes that are encoded already, as this type.
    Encoded(u32, Vec<u8>),
}

/// Where the fields of a structure are looked up.
pub(super) trait Record {
    /// The value of a field, which is at this place among its structure's fields; `None` for the neutral one.
    fn field(&self, name: &str, place: usize) -> Result<Option<Given<'_>>, Error>;
}

/// Writes a value as a type.
pub(super) fn encode(types: &PortableRegistry, ty: u32, value: Given<'_>) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { types, bytes: Vec::new(), depth: 0 };
    writer.write(ty, Some(value))?;
    Ok(writer.bytes)
}

struct Writer<'a> {
    types: &'a PortableRegistry,
    bytes: Vec<u8>,
    depth: u32,
}

impl Writer<'_> {
    fn write(&mut self, ty: u32, value: Option<Given<'_>>) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(unfit(ty, "it is nested too deeply"));
        }
        self.write_type(ty, value)?;
        self.depth -= 1;
        Ok(())
    }

    fn write_type(&mut self, ty: u32, value: Option<Given<'_>>) -> Result<(), Error> {
        let types = self.types;
        let known = types.resolve(ty).ok_or_else(|| unfit(ty, "the metadata lacks it"))?;
        let value = match value {
            Some(Given::Encoded(of, bytes)) if of == ty => {
                self.bytes.extend(bytes);
                return Ok(());
            }
            value => value,
        };
        match &known.type_def {
            TypeDef::Primitive(primitive) => self.primitive(ty, primitive, value),
            TypeDef::Compact(inner) => {
                let number = number(ty, value)?;
                let room = width(types, inner.type_param.id).ok_or_else(|| unfit(ty, "it is no compact number"))?;
                check_room(ty, number, room)?;
                Compact(number).encode_to(&mut self.bytes);
                Ok(())
            }
            TypeDef::Sequence(inner) => {
                let items = items(ty, value)?;
                let length = u32::try_from(items.len()).map_err(|_| unfit(ty, "the list is too long"))?;
                Compact(length).encode_to(&mut self.bytes);
                items.into_iter().try_for_each(|item| self.write(inner.type_param.id, Some(item)))
            }
            TypeDef::Array(inner) => match value {
                None => (0..inner.len).try_for_each(|_| self.write(inner.type_param.id, None)),
                Some(value) => {
                    let items = items(ty, Some(value))?;
                    if items.len() != inner.len as usize {
                        return Err(unfit(ty, "the array has another length"));
                    }
                    items.into_iter().try_for_each(|item| self.write(inner.type_param.id, Some(item)))
                }
            },
            TypeDef::Tuple(tuple) => {
                let fields: Vec<u32> = tuple.fields.iter().map(|field| field.id).collect();
                self.tuple(ty, &fields, value)
            }
            TypeDef::Composite(composite) => self.composite(ty, &composite.fields, value),
            TypeDef::Variant(variants) => {
                let optional = known.path.segments.last().is_some_and(|name| name == "Option");
                let (name, given) = match value {
                    None if optional => ("None", Vec::new()),
                    Some(Given::Nothing) => ("None", Vec::new()),
                    Some(Given::Variant(name, given)) => (name, given),
                    Some(value) if optional => ("Some", vec![value]),
                    Some(_) => return Err(unfit(ty, "a variant is needed")),
                    None => {
                        let first = variants.variants.first().ok_or_else(|| unfit(ty, "it has no variant"))?;
                        (first.name.as_str(), Vec::new())
                    }
                };
                let variant = variants.variants.iter().find(|variant| variant.name == name);
                let variant = variant.ok_or_else(|| unfit(ty, &format!("it has no variant {name}")))?;
                if !given.is_empty() && given.len() != variant.fields.len() {
                    return Err(unfit(ty, &format!("the variant {name} has other fields")));
                }
                self.bytes.push(variant.index);
                let mut given = given.into_iter();
                variant.fields.iter().try_for_each(|field| self.write(field.ty.id, given.next()))
            }
            // No answer holds one; the neutral one is empty.
            TypeDef::BitSequence(_) => {
                self.bytes.push(0);
                Ok(())
            }
        }
    }

    fn primitive(&mut self, ty: u32, primitive: &TypeDefPrimitive, value: Option<Given<'_>>) -> Result<(), Error> {
        match (primitive, value) {
            (TypeDefPrimitive::Bool, None) => self.bytes.push(0),
            (TypeDefPrimitive::Bool, Some(Given::Bool(value))) => self.bytes.push(value.into()),
            (TypeDefPrimitive::Str, None) => self.bytes.push(0),
            (TypeDefPrimitive::Str, Some(Given::Bytes(text))) => text.encode_to(&mut self.bytes),
            (primitive, value) => {
                let room = bytes_of(primitive).ok_or_else(|| unfit(ty, "another kind of value is needed"))?;
                let number = number(ty, value)?;
                check_room(ty, number, room)?;
                let bytes = number.to_le_bytes();
                self.bytes.extend(bytes.iter().chain(&[0; 16]).take(room));
            }
        }
        Ok(())
    }

    fn composite(&mut self, ty: u32, fields: &[Field<PortableForm>], value: Option<Given<'_>>) -> Result<(), Error> {
        match (value, fields) {
            (Some(Given::Record(record)), fields) => {
                for (place, field) in fields.iter().enumerate() {
                    let name = field.name.as_deref().unwrap_or_default();
                    self.write(field.ty.id, record.field(name, place)?)?;
                }
                Ok(())
            }
            // A wrapper is written as what it wraps.
            (value, [field]) => self.write(field.ty.id, value),
            (value, fields) => {
                let fields: Vec<u32> = fields.iter().map(|field| field.ty.id).collect();
                self.tuple(ty, &fields, value)
            }
        }
    }

    fn tuple(&mut self, ty: u32, fields: &[u32], value: Option<Given<'_>>) -> Result<(), Error> {
        match value {
            None => fields.iter().try_for_each(|field| self.write(*field, None)),
            Some(Given::Tuple(values)) if values.len() == fields.len() => {
                fields.iter().zip(values).try_for_each(|(field, value)| self.write(*field, Some(value)))
            }
            Some(_) => Err(unfit(ty, "its fields are needed")),
        }
    }
}

fn number(ty: u32, value: Option<Given<'_>>) -> Result<u128, Error> {
    match value {
        None => Ok(0),
        Some(Given::Number(number)) => Ok(number),
        Some(_) => Err(unfit(ty, "a number is needed")),
    }
}

fn items(ty: u32, value: Option<Given<'_>>) -> Result<Vec<Given<'_>>, Error> {
    match value {
        None => Ok(Vec::new()),
        Some(Given::List(items)) => Ok(items),
        Some(Given::Bytes(bytes)) => Ok(bytes.into_iter().map(|byte| Given::Number(byte.into())).collect()),
        Some(_) => Err(unfit(ty, "a list is needed")),
    }
}

fn check_room(ty: u32, number: u128, room: usize) -> Result<(), Error> {
    match room {
        ..16 if number >> (8 * room) != 0 => Err(unfit(ty, "the number does not fit")),
        _ => Ok(()),
    }
}

/// How many bytes a number has, in however many wrappers.
fn width(types: &PortableRegistry, ty: u32) -> Option<usize> {
    let mut ty = ty;
    for _ in 0..DEPTH_LIMIT {
        match &types.resolve(ty)?.type_def {
            TypeDef::Primitive(primitive) => return bytes_of(primitive),
            TypeDef::Composite(composite) if composite.fields.len() == 1 => ty = composite.fields[0].ty.id,
            TypeDef::Tuple(tuple) if tuple.fields.len() == 1 => ty = tuple.fields[0].id,
            _ => return None,
        }
    }
    None
}

fn bytes_of(primitive: &TypeDefPrimitive) -> Option<usize> {
    use TypeDefPrimitive::{Bool, Char, I8, I16, I32, I64, I128, I256, Str, U8, U16, U32, U64, U128, U256};
    match primitive {
        U8 | I8 => Some(1),
        U16 | I16 => Some(2),
        U32 | I32 => Some(4),
        U64 | I64 => Some(8),
        U128 | I128 => Some(16),
        U256 | I256 => Some(32),
        Bool | Char | Str => None,
    }
}

fn unfit(ty: u32, reason: &str) -> Error {
    Error::Encoding { item: format!("an answer's type {ty}"), reason: reason.to_owned() }
}
