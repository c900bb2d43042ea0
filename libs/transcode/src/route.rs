//! One route at work: request in, call, answer out.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequestParts as _, RawPathParams, Request},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts, uri::PathAndQuery};
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

use crate::{
    Problem, RequestId, Schema,
    binding::{Binding, BodyBinding},
    body,
    cache::{CachePolicy, entity_tag, has_already},
    call,
    ignored::{IGNORED_PARAMETERS, Ignored},
    json::{read_field, read_message, write_field, write_message},
    status::problem_of,
    transcoder::RouteInfo,
    upstream::Upstream,
};

/// Lets a request in or says why not.
pub(crate) type Guard = Arc<dyn Fn(&HeaderMap) -> Result<(), Problem> + Send + Sync>;

/// Everything that a route needs, worked out at the start.
pub(crate) struct Route {
    pub info: RouteInfo,
    pub schema: Arc<Schema>,
    pub input: MessageDescriptor,
    pub output: MessageDescriptor,
    pub binding: Binding,
    pub response_field: Option<FieldDescriptor>,
    pub grpc_path: PathAndQuery,
    pub channel: Upstream,
    pub cache: CachePolicy,
    pub guard: Option<Guard>,
    /// What a field is when the request leaves it unset.
    pub preset: Option<(FieldDescriptor, Value)>,
    pub body_limit: usize,
    pub timeout: Duration,
}

impl Route {
    /// Answers a request.
    pub async fn handle(&self, request: Request) -> Response {
        let mut response = match self.exchange(request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        response.extensions_mut().insert(self.info.clone());
        response
    }

    async fn exchange(&self, request: Request) -> Result<Response, Problem> {
        if let Some(guard) = &self.guard {
            guard(request.headers())?;
        }
        let (mut parts, body) = request.into_parts();
        let mut ignored = Ignored::default();
        let mut answer = self.asked(&mut parts, body, &mut ignored).await;
        if let (Ok(response), Some(names)) = (&mut answer, ignored.header()) {
            response.headers_mut().insert(IGNORED_PARAMETERS, names);
        }
        answer
    }

    async fn asked(&self, parts: &mut Parts, body: Body, ignored: &mut Ignored) -> Result<Response, Problem> {
        let mut message = self.message(parts, body, ignored).await?;
        if let Some((field, value)) = &self.preset
            && !message.has_field(field)
        {
            message.set_field(field, value.clone());
        }
        let id = parts.extensions.get::<RequestId>().cloned().ok_or_else(Problem::internal)?;
        let timeout = call::asked_timeout(&parts.headers).map_or(self.timeout, |asked| asked.min(self.timeout));
        let answer = call::unary(self.channel.clone(), self.grpc_path.clone(), message, &parts.headers, &id, timeout)
            .await
            .map_err(|status| problem_of(&status, &self.info.rpc, id.as_str()))?;
        let json = self.json(&answer).map_err(|error| {
            tracing::error!(
                rpc = &*self.info.rpc,
                request_id = id.as_str(),
                error,
                "a service's answer cannot be shown"
            );
            Problem::internal()
        })?;
        Ok(self.answer(parts, json))
    }

    async fn message(&self, parts: &mut Parts, body: Body, ignored: &mut Ignored) -> Result<DynamicMessage, Problem> {
        let path = RawPathParams::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "INVALID_VALUE", "the path is not UTF-8"))?;
        let mut message = match &self.binding.body {
            BodyBinding::Whole => {
                let json = body::read_json(&parts.headers, body, self.body_limit).await?;
                read_message(&self.schema, &self.input, &json)?
            }
            BodyBinding::Field(field) => {
                let json = body::read_json(&parts.headers, body, self.body_limit).await?;
                let mut message = DynamicMessage::new(self.input.clone());
                read_field(&self.schema, &mut message, field, &json).map_err(|fault| match &fault.field {
                    Some(inner) => {
                        let joint = if inner.starts_with('[') { "" } else { "." };
                        let place = format!("{}{joint}{inner}", field.name());
                        fault.at(place)
                    }
                    None => fault.at(field.name()),
                })?;
                message
            }
            BodyBinding::Nothing => {
                if parts.method != Method::GET && parts.method != Method::HEAD {
                    body::refuse_any(&parts.headers, body, self.body_limit).await?;
                }
                DynamicMessage::new(self.input.clone())
            }
        };
        self.binding.fill_path(&self.schema, &mut message, path.iter().map(|(_, value)| value))?;
        // A GET changes nothing, and clients and proxies put things of their own into its query.
        let lenient = parts.method == Method::GET || parts.method == Method::HEAD;
        let query = parts.uri.query().unwrap_or_default();
        self.binding.fill_query(&self.schema, &mut message, query, lenient.then_some(ignored))?;
        Ok(message)
    }

    fn json(&self, answer: &[u8]) -> Result<Vec<u8>, String> {
        let message = DynamicMessage::decode(self.output.clone(), answer).map_err(|error| error.to_string())?;
        // JSON is two to four times as long as the wire form of the messages here.
        let mut json = Vec::with_capacity(answer.len() * 3 + 64);
        match &self.response_field {
            Some(field) => write_field(&self.schema, &message, field, &mut json),
            None => write_message(&self.schema, &message, &mut json),
        }
        .map_err(|error| error.to_string())?;
        Ok(json)
    }

    fn answer(&self, parts: &Parts, json: Vec<u8>) -> Response {
        let mut response = Response::new(Body::empty());
        let mut body = Some(json);
        let headers = response.headers_mut();
        if parts.method == Method::GET || parts.method == Method::HEAD {
            let tag = entity_tag(body.as_deref().unwrap_or_default());
            if has_already(&parts.headers, &tag) {
                body = None;
            }
            headers.insert(header::ETAG, tag);
            headers.insert(header::CACHE_CONTROL, self.cache.header());
        } else {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        match body {
            Some(json) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *response.body_mut() = Body::from(json);
            }
            None => *response.status_mut() = StatusCode::NOT_MODIFIED,
        }
        response
    }
}
