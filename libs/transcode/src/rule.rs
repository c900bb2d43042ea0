//! The annotations of an RPC, read from its options.

use http::Method;
use prost_reflect::{DynamicMessage, ExtensionDescriptor, MethodDescriptor, Value};

use crate::{TranscodeError, template::Template};

/// One way to reach an RPC over HTTP.
pub(crate) struct Rule {
    pub method: Method,
    pub template: Template,
    pub body: BodyRule,
    /// The response field that is the body; empty for the whole message.
    pub response_body: String,
}

/// What the request's body fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyRule {
    Nothing,
    Whole,
    Field(String),
}

/// All rules of an RPC, the additional bindings too; empty without an annotation.
pub(crate) fn rules_of(rpc: &MethodDescriptor, http: &ExtensionDescriptor) -> Result<Vec<Rule>, TranscodeError> {
    let options = rpc.options();
    if !options.has_extension(http) {
        return Ok(Vec::new());
    }
    if rpc.is_client_streaming() || rpc.is_server_streaming() {
        return Err(TranscodeError::Streaming(rpc.full_name().to_owned()));
    }
    let wrong = |problem: String| TranscodeError::Annotation { rpc: rpc.full_name().to_owned(), problem };
    let annotation = options.get_extension(http);
    let main = annotation.as_message().ok_or_else(|| wrong("the annotation is not a message".to_owned()))?;
    let mut rules = vec![rule_of(main).map_err(wrong)?];
    if let Some(Value::List(additional)) = main.get_field_by_name("additional_bindings").as_deref() {
        for binding in additional.iter().filter_map(Value::as_message) {
            rules.push(rule_of(binding).map_err(wrong)?);
        }
    }
    Ok(rules)
}

fn rule_of(annotation: &DynamicMessage) -> Result<Rule, String> {
    let text = |message: &DynamicMessage, name: &str| {
        message.get_field_by_name(name).and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
    };
    let mut pattern = None;
    for (name, method) in [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ] {
        if annotation.has_field_by_name(name) {
            pattern = Some((method, text(annotation, name)));
        }
    }
    if let Some(Value::Message(custom)) = annotation.get_field_by_name("custom").as_deref()
        && annotation.has_field_by_name("custom")
    {
        let kind = text(custom, "kind");
        return Err(format!("the method {kind:?} is not served; use get, put, post, delete or patch"));
    }
    let (method, path) = pattern.ok_or("the annotation has no method and path")?;
    let body = match text(annotation, "body") {
        body if body.is_empty() => BodyRule::Nothing,
        body if body == "*" => BodyRule::Whole,
        body => BodyRule::Field(body),
    };
    if body != BodyRule::Nothing && (method == Method::GET || method == Method::DELETE) {
        return Err(format!("{method} has no body; take the body out of the annotation"));
    }
    Ok(Rule { method, template: Template::parse(&path)?, body, response_body: text(annotation, "response_body") })
}
