//! The runtime's own interface, `state_call`: what clients ask the runtime instead of the storage.
//!
//! Arguments and answers have the types that the metadata says; see [`encode`] for how an answer is made from the state. What
//! the metadata names and this chain does not serve is answered as a runtime that lacks it.

mod encode;
mod hyperparameters;
mod neuron;
#[cfg(test)]
mod recorded_tests;
mod subnet;
mod transactions;

use jsonrpsee::types::{ErrorObjectOwned, Params};
use parity_scale_codec::{Decode as _, Encode as _};
use scale_decode::visitor::{IgnoreVisitor, decode_with_visitor};
use scale_value::{Composite, Value, ValueDef};
use serde_json::{Value as Json, json};

use self::{
    encode::{Given, encode},
    neuron::Neuron,
    subnet::{Metagraph, Pool, Selected, Subnet},
};
use super::{
    methods::Methods,
    params::{self, RpcResult, client_error, internal, positional, refused},
    storage::state_at,
};
use crate::{
    block::hex,
    chain::Chain,
    meta::{Meta, as_number},
    runtime::Execution,
    state::State,
};

/// What is answered, by the runtime's trait. The rest is not decoded either: arguments of other methods are of recursive types,
/// and bytes from anybody must not decide how deep we recurse.
const SERVED: [(&str, &[&str]); 8] = [
    ("Core", &["version"]),
    ("Metadata", &["metadata", "metadata_versions", "metadata_at_version"]),
    ("AuraApi", &["slot_duration"]),
    ("AccountNonceApi", &["account_nonce"]),
    ("NeuronInfoRuntimeApi", &["get_neurons", "get_neurons_lite", "get_neuron", "get_neuron_lite"]),
    (
        "SubnetInfoRuntimeApi",
        &[
            "get_subnet_info",
            "get_subnet_info_v2",
            "get_subnet_hyperparams",
            "get_subnet_hyperparams_v2",
            "get_subnet_hyperparams_v3",
            "get_dynamic_info",
            "get_metagraph",
            "get_mechagraph",
            "get_selective_metagraph",
            "get_selective_mechagraph",
            "get_subnet_state",
        ],
    ),
    ("TransactionPaymentApi", &["query_info"]),
    ("TaggedTransactionQueue", &["validate_transaction"]),
];

pub(crate) fn register(methods: &mut Methods) {
    methods.read_slowly(&["state_call", "state_callAt"], runtime_call);
}

fn runtime_call(params: &Params<'_>, chain: &Chain) -> RpcResult<Json> {
    let (function, data, at): (String, String, Option<String>) = positional(params, 3)?;
    let data = params::bytes(&data)?;
    let (current, state) = state_at(chain, at)?;
    let missing = || {
        let name: String = function.chars().take(100).collect();
        client_error(format!("Client error: Execution failed: Exported method {name} is not found"))
    };
    let meta = &chain.meta;
    let (api, method) = function.split_once('_').ok_or_else(missing)?;
    if !SERVED.iter().any(|(name, methods)| *name == api && methods.contains(&method)) {
        return Err(missing());
    }
    let known = meta.metadata.runtime_api_trait_by_name(api).and_then(|api| {
        let method = api.method_by_name(method)?;
        Some((method.inputs().map(|input| input.id).collect::<Vec<_>>(), method.output_ty()))
    });
    let (inputs, output) = known.ok_or_else(missing)?;
    let arguments = Arguments::read(meta, &function, &inputs, &data)?;
    let call = Call { chain, state: &state, current: current.into(), arguments };
    let bytes = match call.answer(api, method)?.ok_or_else(missing)? {
        Answer::Bytes(bytes) => bytes,
        Answer::Given(given) => encode(meta.metadata.types(), output, given).map_err(|error| internal(&error))?,
    };
    Ok(json!(hex(&bytes)))
}

enum Answer<'a> {
    /// Encoded already: what has the same type in every runtime.
    Bytes(Vec<u8>),
    Given(Given<'a>),
}

struct Call<'a> {
    chain: &'a Chain,
    state: &'a State,
    /// The number of the block whose state it is.
    current: u64,
    arguments: Arguments<'a>,
}

impl<'a> Call<'a> {
    fn answer(&self, api: &str, method: &str) -> RpcResult<Option<Answer<'a>>> {
        match api {
            "NeuronInfoRuntimeApi" => Ok(self.neurons(method)?.map(Answer::Given)),
            "SubnetInfoRuntimeApi" => Ok(Some(Answer::Given(self.subnet_info(method)?))),
            _ => self.other(api, method),
        }
    }

    fn other(&self, api: &str, method: &str) -> RpcResult<Option<Answer<'a>>> {
        let meta = &self.chain.meta;
        Ok(Some(match (api, method) {
            ("Core", "version") => Answer::Bytes(meta.version_bytes.clone()),
            ("Metadata", "metadata") => Answer::Bytes(meta.v14.encode()),
            ("Metadata", "metadata_versions") => Answer::Bytes(vec![14_u32, 15].encode()),
            ("Metadata", "metadata_at_version") => {
                let opaque = meta.opaque(self.arguments.number(0)?);
                Answer::Bytes(opaque.map_or_else(|| vec![0], |opaque| [vec![1], opaque].concat()))
            }
            // How long a block takes: what the round that opens sealed weights is reckoned from.
            ("AuraApi", "slot_duration") => Answer::Bytes(self.chain.slot_ms().encode()),
            ("AccountNonceApi", "account_nonce") => {
                let account = <[u8; 32]>::decode(&mut self.arguments.bytes(0)).map_err(|_| self.arguments.bad())?;
                let nonce = Execution::nonce(meta, self.state, &account).map_err(|error| internal(&error))?;
                Answer::Given(Given::Number(nonce.into()))
            }
            ("TransactionPaymentApi", "query_info") => Answer::Given(Given::Record(Box::new(transactions::Free))),
            ("TaggedTransactionQueue", "validate_transaction") => {
                let bytes = self.arguments.bytes(1);
                let answer = transactions::validate(self.chain, self.state, self.current, bytes);
                Answer::Given(answer.map_err(|error| internal(&error))?.map_err(refused)?)
            }
            _ => return Ok(None),
        }))
    }

    /// The subnet that the first argument names.
    fn subnet(&self, mechanism: u8) -> RpcResult<Option<Subnet<'a>>> {
        let netuid = self.arguments.number(0)?;
        Subnet::find(&self.chain.meta, self.state, netuid, mechanism).map_err(|error| internal(&error))
    }

    fn neurons(&self, method: &str) -> RpcResult<Option<Given<'a>>> {
        let subnet = self.subnet(0)?;
        Ok(Some(match method {
            "get_neurons" | "get_neurons_lite" => {
                let all = subnet.map(|subnet| Neuron::all(&subnet)).transpose().map_err(|error| internal(&error))?;
                Given::List(all.unwrap_or_default().into_iter().map(|one| Given::Record(Box::new(one))).collect())
            }
            "get_neuron" | "get_neuron_lite" => {
                let uid = self.arguments.number(1)?;
                let one = subnet.map(|subnet| Neuron::one(&subnet, uid)).transpose();
                match one.map_err(|error| internal(&error))?.flatten() {
                    Some(one) => Given::Record(Box::new(one)),
                    None => Given::Nothing,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn subnet_info(&self, method: &str) -> RpcResult<Given<'a>> {
        let mechanism = if matches!(method, "get_mechagraph" | "get_selective_mechagraph") {
            self.arguments.number(1)?
        } else {
            0
        };
        let Some(metagraph) = self.subnet(mechanism)?.map(Metagraph::of) else { return Ok(Given::Nothing) };
        Ok(match method {
            "get_subnet_hyperparams_v3" => {
                hyperparameters::list(&self.chain.meta, &metagraph).map_err(|error| internal(&error))?
            }
            "get_dynamic_info" => Given::Record(Box::new(Pool(metagraph))),
            "get_selective_metagraph" | "get_selective_mechagraph" => {
                Given::Record(Box::new(Selected { metagraph, places: self.arguments.last_numbers()? }))
            }
            _ => Given::Record(Box::new(metagraph)),
        })
    }
}

/// The arguments of a call, each with its type and its bytes.
struct Arguments<'a> {
    meta: &'a Meta,
    function: String,
    given: Vec<(u32, Vec<u8>)>,
}

impl<'a> Arguments<'a> {
    fn read(meta: &'a Meta, function: &str, inputs: &[u32], data: &[u8]) -> RpcResult<Self> {
        let mut arguments = Self { meta, function: function.to_owned(), given: Vec::new() };
        let mut rest = data;
        for input in inputs {
            let before = rest;
            // A walk over the bytes: decoding into a value reserves memory for as many items as a length announces.
            decode_with_visitor(&mut rest, *input, meta.metadata.types(), IgnoreVisitor::new())
                .map_err(|_| arguments.bad())?;
            arguments.given.push((*input, before[..before.len() - rest.len()].to_vec()));
        }
        if rest.is_empty() { Ok(arguments) } else { Err(arguments.bad()) }
    }

    fn bad(&self) -> ErrorObjectOwned {
        client_error(format!("Client error: Execution failed: Bad input data provided to {}", self.function))
    }

    fn bytes(&self, place: usize) -> &[u8] {
        self.given.get(place).map_or(&[], |(_, bytes)| bytes)
    }

    fn value(&self, place: usize) -> RpcResult<Value> {
        let (ty, bytes) = self.given.get(place).ok_or_else(|| self.bad())?;
        let value = scale_value::scale::decode_as_type(&mut bytes.as_slice(), *ty, self.meta.metadata.types());
        Ok(value.map_err(|_| self.bad())?.remove_context())
    }

    fn number<T: TryFrom<u128>>(&self, place: usize) -> RpcResult<T> {
        let number = as_number(&self.value(place)?).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.bad())
    }

    /// The last argument, a list of numbers.
    fn last_numbers(&self) -> RpcResult<Vec<usize>> {
        let ValueDef::Composite(Composite::Unnamed(items)) = self.value(self.given.len().saturating_sub(1))?.value
        else {
            return Err(self.bad());
        };
        let numbers = items.iter().map(|item| usize::try_from(as_number(item)?).ok()).collect::<Option<_>>();
        numbers.ok_or_else(|| self.bad())
    }
}
