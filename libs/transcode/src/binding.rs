//! How a request's path and query fill the fields of the RPC's request message.

use std::{borrow::Cow, collections::HashMap};

use percent_encoding::percent_decode;
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};

use crate::{
    ignored::Ignored,
    json::{Fault, Reason, single_from_text},
    rule::{BodyRule, Rule},
    schema::{Content, Form, MessageShape, Schema, Single},
};

/// Nested fields deeper than this have no query parameter.
const MAX_QUERY_DEPTH: usize = 6;

/// The bindings of one route.
pub(crate) struct Binding {
    variables: Vec<Slot>,
    parameters: Vec<Slot>,
    by_name: HashMap<String, usize>,
    pub body: BodyBinding,
}

/// Where the body goes.
pub(crate) enum BodyBinding {
    Nothing,
    Whole,
    Field(FieldDescriptor),
}

/// A field, however deep, that text can fill.
struct Slot {
    /// Dotted, as annotations and queries write it.
    name: String,
    /// From the request message down to the field.
    chain: Vec<FieldDescriptor>,
    kind: Single,
    repeated: bool,
}

impl Binding {
    /// Checks a rule against the request message; the error names the field.
    pub fn new(schema: &Schema, input: &MessageShape, rule: &Rule) -> Result<Self, String> {
        let mut variables = Vec::new();
        for name in &rule.template.variables {
            let slot = slot(schema, input, name)?;
            if slot.repeated {
                return Err(format!("the path variable {name} is repeated; a path holds one value"));
            }
            variables.push(slot);
        }
        let body = match &rule.body {
            BodyRule::Nothing => BodyBinding::Nothing,
            BodyRule::Whole => BodyBinding::Whole,
            BodyRule::Field(name) => match input.desc.get_field_by_name(name) {
                Some(field) => BodyBinding::Field(field),
                None => return Err(no_field(input, name)),
            },
        };
        let mut binding = Self { variables, parameters: Vec::new(), by_name: HashMap::new(), body };
        if !matches!(binding.body, BodyBinding::Whole) {
            binding.add_parameters(schema, input, &mut Vec::new(), &mut Vec::new());
        }
        Ok(binding)
    }

    /// Every field that text can fill and that neither path nor body fills, as a query parameter.
    fn add_parameters<'s>(
        &mut self,
        schema: &'s Schema,
        shape: &'s MessageShape,
        chain: &mut Vec<FieldDescriptor>,
        within: &mut Vec<&'s str>,
    ) {
        within.push(shape.desc.full_name());
        for field in &shape.fields {
            let whole_body = matches!(&self.body, BodyBinding::Field(body) if chain.is_empty() && *body == field.desc);
            if whole_body {
                continue;
            }
            chain.push(field.desc.clone());
            let name = dotted(chain, FieldDescriptor::name);
            match &field.content {
                Content::One(kind) | Content::List(kind) if fits_in_text(schema, kind) => {
                    if !self.variables.iter().any(|variable| variable.name == name) {
                        let index = self.parameters.len();
                        let camel = dotted(chain, FieldDescriptor::json_name);
                        self.by_name.insert(name.clone(), index);
                        self.by_name.entry(camel).or_insert(index);
                        let repeated = matches!(field.content, Content::List(_));
                        let slot = Slot { name, chain: chain.clone(), kind: kind.clone(), repeated };
                        self.parameters.push(slot);
                    }
                }
                Content::One(Single::Message(index)) => {
                    let inner = schema.at(*index);
                    let repeats = within.contains(&inner.desc.full_name()) || chain.len() >= MAX_QUERY_DEPTH;
                    if inner.form == Form::Object && !repeats {
                        self.add_parameters(schema, inner, chain, within);
                    }
                }
                Content::One(_) | Content::List(_) | Content::Map(..) => {}
            }
            chain.pop();
        }
        within.pop();
    }

    /// Fills the path variables, in the order of the template. Each value is already percent-decoded.
    pub fn fill_path<'v>(
        &self,
        schema: &Schema,
        message: &mut DynamicMessage,
        values: impl Iterator<Item = &'v str>,
    ) -> Result<(), Fault> {
        for (slot, text) in self.variables.iter().zip(values) {
            if matches!(self.body, BodyBinding::Whole) && slot.is_set(message) {
                let detail = "the path gives this field; leave it out of the body";
                return Err(Fault::new(Reason::DuplicateField, detail).at(slot.name.as_str()));
            }
            slot.fill(schema, message, text)?;
        }
        Ok(())
    }

    /// Fills the query parameters. Names that are no parameter go into `ignored`; without it they are refused.
    pub fn fill_query(
        &self,
        schema: &Schema,
        message: &mut DynamicMessage,
        query: &str,
        mut ignored: Option<&mut Ignored>,
    ) -> Result<(), Fault> {
        let mut seen = vec![false; self.parameters.len()];
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (raw, text) = pair.split_once('=').unwrap_or((pair, ""));
            let known = decoded(raw).map(|name| (self.by_name.get(name.as_ref()).copied(), name));
            let index = match (known, ignored.as_deref_mut()) {
                (Ok((Some(index), _)), _) => index,
                (_, Some(ignored)) => {
                    ignored.add(raw);
                    continue;
                }
                (Ok((None, name)), None) => return Err(self.unknown(&name)),
                (Err(fault), None) => return Err(fault),
            };
            let slot = &self.parameters[index];
            if std::mem::replace(&mut seen[index], true) && !slot.repeated {
                return Err(Fault::new(Reason::DuplicateField, "the parameter is given twice").at(slot.name.as_str()));
            }
            let text = decoded(text).map_err(|fault| fault.at(slot.name.as_str()))?;
            slot.fill(schema, message, &text)?;
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> Fault {
        let shown: String = name.chars().take(60).collect();
        let detail = if self.parameters.is_empty() {
            format!("no query parameter {shown:?}; this route takes none")
        } else {
            let valid: Vec<_> = self.parameters.iter().map(|slot| slot.name.as_str()).collect();
            format!("no query parameter {shown:?}; the parameters are {}", valid.join(", "))
        };
        Fault::new(Reason::UnknownField, detail).at(shown)
    }
}

impl Slot {
    fn is_set(&self, message: &DynamicMessage) -> bool {
        let Some((first, rest)) = self.chain.split_first() else { return false };
        let mut field = first;
        let mut value = message.has_field(field).then(|| message.get_field(field));
        for next in rest {
            field = next;
            let inner = value.as_deref().and_then(Value::as_message);
            value = inner
                .filter(|inner| inner.has_field(field))
                .map(|inner| Cow::Owned(inner.get_field(field).into_owned()));
        }
        value.is_some()
    }

    fn fill(&self, schema: &Schema, message: &mut DynamicMessage, text: &str) -> Result<(), Fault> {
        let value = single_from_text(schema, &self.kind, text).map_err(|fault| fault.at(self.name.as_str()))?;
        let Some((field, outer)) = self.chain.split_last() else { return Ok(()) };
        let mut inner = message;
        for step in outer {
            check_oneof(inner, step).map_err(|fault| fault.at(self.name.as_str()))?;
            match inner.get_field_mut(step) {
                Value::Message(message) => inner = message,
                _ => return Ok(()),
            }
        }
        check_oneof(inner, field).map_err(|fault| fault.at(self.name.as_str()))?;
        if self.repeated {
            if let Value::List(items) = inner.get_field_mut(field) {
                items.push(value);
            }
        } else {
            inner.set_field(field, value);
        }
        Ok(())
    }
}

fn check_oneof(message: &DynamicMessage, field: &FieldDescriptor) -> Result<(), Fault> {
    let Some(oneof) = field.containing_oneof() else { return Ok(()) };
    match oneof.fields().find(|other| other != field && message.has_field(other)) {
        Some(other) => {
            let detail = format!("{} and {} exclude each other; give one", other.name(), field.name());
            Err(Fault::new(Reason::DuplicateField, detail))
        }
        None => Ok(()),
    }
}

fn slot(schema: &Schema, input: &MessageShape, name: &str) -> Result<Slot, String> {
    let mut shape = input;
    let mut chain = Vec::new();
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        let field = shape.fields.iter().find(|field| field.desc.name() == part).ok_or_else(|| no_field(shape, part))?;
        chain.push(field.desc.clone());
        match &field.content {
            Content::One(kind) | Content::List(kind) if parts.peek().is_none() && fits_in_text(schema, kind) => {
                let repeated = matches!(field.content, Content::List(_));
                return Ok(Slot { name: name.to_owned(), chain, kind: kind.clone(), repeated });
            }
            Content::One(Single::Message(index)) if parts.peek().is_some() => shape = schema.at(*index),
            _ => return Err(format!("{name} cannot be written in a path: {part} is no single value")),
        }
    }
    Err(format!("{name} names no field"))
}

fn no_field(shape: &MessageShape, name: &str) -> String {
    let valid: Vec<_> = shape.fields.iter().map(|field| field.desc.name()).collect();
    format!("{} has no field {name}; its fields are: {}", shape.desc.full_name(), valid.join(", "))
}

fn fits_in_text(schema: &Schema, kind: &Single) -> bool {
    match kind {
        Single::Message(index) => {
            matches!(schema.at(*index).form, Form::Timestamp | Form::Duration | Form::Wrapper)
        }
        _ => true,
    }
}

fn dotted(chain: &[FieldDescriptor], name: impl Fn(&FieldDescriptor) -> &str) -> String {
    chain.iter().map(name).collect::<Vec<_>>().join(".")
}

/// `application/x-www-form-urlencoded`: a plus is a space.
fn decoded(text: &str) -> Result<Cow<'_, str>, Fault> {
    let not_text = || Fault::new(Reason::InvalidValue, "the query is not UTF-8 after percent-decoding");
    if !text.contains(['+', '%']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(|_| not_text())?;
    Ok(Cow::Owned(decoded.into_owned()))
}
