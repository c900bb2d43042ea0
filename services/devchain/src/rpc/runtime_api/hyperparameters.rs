//! A subnet's hyperparameters as a list of names and values, which newer runtimes answer.
//!
//! The names and the kinds of number come from the structure that the runtime answered before, so a runtime that adds a field
//! there adds it here.

use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};

use super::{
    encode::{Given, Record},
    subnet::Metagraph,
};
use crate::{Error, meta::Meta};

/// The structures that name the hyperparameters, the newest first.
const STRUCTURES: [&str; 2] = ["get_subnet_hyperparams_v2", "get_subnet_hyperparams"];
/// Amounts of TAO, which older runtimes give as plain numbers.
const AMOUNTS: [&str; 2] = ["min_burn", "max_burn"];

/// One name and value.
struct Entry {
    name: String,
    kind: &'static str,
    value: Given<'static>,
}

impl Record for Entry {
    fn field(&self, name: &str, _: usize) -> Result<Option<Given<'_>>, Error> {
        Ok(match name {
            "name" => Some(Given::Bytes(self.name.clone().into_bytes())),
            "value" => Some(Given::Variant(self.kind, vec![again(&self.value)])),
            _ => None,
        })
    }
}

fn again(value: &Given<'static>) -> Given<'static> {
    match value {
        Given::Number(number) => Given::Number(*number),
        Given::Bool(truth) => Given::Bool(*truth),
        // Hyperparameters are numbers and truth values.
        _ => Given::Nothing,
    }
}

/// Every hyperparameter that the runtime names and this chain knows.
pub(super) fn list(meta: &Meta, subnet: &Metagraph<'_>) -> Result<Given<'static>, Error> {
    let mut entries = Vec::new();
    let mut add = |field: &str, kind| -> Result<(), Error> {
        // The list has another name for this one.
        let name = if field == "max_weights_limit" { "max_weight_limit" } else { field }.to_owned();
        if let Some(value @ (Given::Number(_) | Given::Bool(_))) = subnet.known(field)? {
            entries.push(Given::Record(Box::new(Entry { name, kind, value })));
        }
        Ok(())
    };
    for (field, ty) in fields(meta) {
        let amount = AMOUNTS.contains(&field.as_str()).then_some("TaoBalance");
        if let Some(kind) = amount.or_else(|| kind(meta.metadata.types(), ty)) {
            add(&field, kind)?;
        }
    }
    add("activity_cutoff_factor", "U32")?;
    Ok(Given::List(entries))
}

/// The fields of the newest structure.
fn fields(meta: &Meta) -> Vec<(String, u32)> {
    let types = meta.metadata.types();
    let found = STRUCTURES.iter().find_map(|name| {
        let method = meta.metadata.runtime_api_trait_by_name("SubnetInfoRuntimeApi")?.method_by_name(name)?;
        let TypeDef::Variant(option) = &types.resolve(method.output_ty())?.type_def else { return None };
        let inner = option.variants.iter().find(|variant| variant.name == "Some")?.fields.first()?;
        let TypeDef::Composite(structure) = &types.resolve(inner.ty.id)?.type_def else { return None };
        Some(structure.fields.iter().filter_map(|field| Some((field.name.clone()?, field.ty.id))).collect())
    });
    found.unwrap_or_default()
}

/// The variant that holds a value of a type.
fn kind(types: &PortableRegistry, ty: u32) -> Option<&'static str> {
    let known = types.resolve(ty)?;
    match &known.type_def {
        TypeDef::Compact(inner) => kind(types, inner.type_param.id),
        TypeDef::Primitive(TypeDefPrimitive::Bool) => Some("Bool"),
        TypeDef::Primitive(TypeDefPrimitive::U16) => Some("U16"),
        TypeDef::Primitive(TypeDefPrimitive::U32) => Some("U32"),
        TypeDef::Primitive(TypeDefPrimitive::U64) => Some("U64"),
        TypeDef::Primitive(TypeDefPrimitive::U128) => Some("U128"),
        TypeDef::Composite(structure) => match known.path.segments.last()?.as_str() {
            "FixedI64" => Some("I32F32"),
            "FixedU128" => Some("U64F64"),
            "TaoBalance" => Some("TaoBalance"),
            _ => kind(types, structure.fields.first().filter(|_| structure.fields.len() == 1)?.ty.id),
        },
        _ => None,
    }
}
