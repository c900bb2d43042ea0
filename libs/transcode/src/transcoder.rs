//! From a descriptor set to a router, with every check made before the first request.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    middleware,
    routing::{MethodFilter, MethodRouter},
};
use http::{HeaderMap, Method, StatusCode, uri::PathAndQuery};
use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor, ServiceDescriptor, Value};
use tonic::body::Body;
use tower::{BoxError, Service};

use crate::{
    Problem, Schema, TranscodeError,
    binding::Binding,
    cache::CachePolicy,
    complete_exchange,
    route::{Guard, Route},
    rule::{Rule, rules_of},
    upstream::{Upstream, upstream},
};

const BODY_LIMIT: usize = 4 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which route answered; found in the extensions of its responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// Full name of the RPC.
    pub rpc: Arc<str>,
    /// The path template as the annotation writes it.
    pub template: Arc<str>,
}

/// Makes a router from the annotations of the services that it is given.
pub struct Transcoder {
    pool: DescriptorPool,
    services: Vec<(String, Upstream)>,
    immutable: HashSet<String>,
    guards: HashMap<String, Guard>,
    presets: HashMap<String, (String, Value)>,
    native: Router,
    body_limit: usize,
    timeout: Duration,
}

impl Transcoder {
    /// Reads an encoded `google.protobuf.FileDescriptorSet` with imports.
    ///
    /// # Errors
    /// [`TranscodeError::Descriptors`].
    pub fn new(descriptor_set: &[u8]) -> Result<Self, TranscodeError> {
        Ok(Self {
            pool: DescriptorPool::decode(descriptor_set)?,
            services: Vec::new(),
            immutable: HashSet::new(),
            guards: HashMap::new(),
            presets: HashMap::new(),
            native: Router::new(),
            body_limit: BODY_LIMIT,
            timeout: TIMEOUT,
        })
    }

    /// Serves the annotated RPCs of a service (`kinitro.scoring.v1.ScoringService`) through this channel, which presents this
    /// process's own credentials where the service asks for some.
    #[must_use]
    pub fn service<C>(mut self, full_name: impl Into<String>, channel: C) -> Self
    where
        C: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + Sync + 'static,
        C::Error: Into<BoxError>,
        C::Future: Send + 'static,
    {
        self.services.push((full_name.into(), upstream(channel)));
        self
    }

    /// Marks a GET route, named by its template: what it answered once never changes.
    #[must_use]
    pub fn immutable(mut self, template: impl Into<String>) -> Self {
        self.immutable.insert(template.into());
        self
    }

    /// Asks `guard` before anything else is done for a route, named by its template.
    #[must_use]
    pub fn guard(
        mut self,
        template: impl Into<String>,
        guard: impl Fn(&HeaderMap) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Self {
        self.guards.insert(template.into(), Arc::new(guard));
        self
    }

    /// Gives a field of a route's request, named by its template, this value where the request leaves it unset.
    #[must_use]
    pub fn preset(mut self, template: impl Into<String>, field: impl Into<String>, value: u32) -> Self {
        self.presets.insert(template.into(), (field.into(), Value::U32(value)));
        self
    }

    /// Routes that are served without an RPC. They must not overlap with annotated ones (the router panics at the start).
    #[must_use]
    pub fn native(mut self, routes: Router) -> Self {
        self.native = routes;
        self
    }

    /// The largest request body; 4 MiB when not set.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long a call may take; 30 s when not set. A client shortens it by the header `grpc-timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The router, with the fallbacks for unknown paths and methods, and [`complete_exchange`] around everything.
    ///
    /// # Errors
    /// Everything that is wrong with the annotations, see [`TranscodeError`].
    pub fn into_router(self) -> Result<Router, TranscodeError> {
        let http = self.pool.get_extension_by_name("google.api.http").ok_or(TranscodeError::NoHttpExtension)?;
        let annotated = self.annotated(&http)?;
        let messages = annotated.iter().flat_map(|(rpc, ..)| [rpc.input(), rpc.output()]);
        let schema = Arc::new(Schema::new(messages)?);

        let mut claimed: HashMap<(Method, String), String> = HashMap::new();
        let mut unused: HashSet<&str> =
            self.immutable.iter().chain(self.guards.keys()).chain(self.presets.keys()).map(String::as_str).collect();
        let mut paths: Vec<(String, MethodRouter)> = Vec::new();
        for (rpc, rule, channel) in &annotated {
            let place = (rule.method.clone(), rule.template.router_path.clone());
            if let Some(first) = claimed.insert(place, rpc.full_name().to_owned()) {
                return Err(TranscodeError::RouteClash {
                    method: rule.method.to_string(),
                    path: rule.template.shown.clone(),
                    first,
                    second: rpc.full_name().to_owned(),
                });
            }
            unused.remove(rule.template.shown.as_str());
            let route = Arc::new(self.route(rpc, rule, channel, &schema)?);
            let handler = move |request: Request| {
                let route = Arc::clone(&route);
                async move { route.handle(request).await }
            };
            let path = &rule.template.router_path;
            match paths.iter_mut().find(|(known, _)| known == path) {
                Some((_, methods)) => *methods = on(std::mem::take(methods), &rule.method, handler),
                None => paths.push((path.clone(), on(MethodRouter::new(), &rule.method, handler))),
            }
        }
        if let Some(template) = unused.into_iter().next() {
            return Err(TranscodeError::UnknownRoute(template.to_owned()));
        }
        let routes = paths.into_iter().fold(self.native, |router, (path, methods)| router.route(&path, methods));
        Ok(routes
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn(complete_exchange)))
    }

    /// Every annotated RPC of the services, once for each rule.
    fn annotated(&self, http: &ExtensionDescriptor) -> Result<Vec<(MethodDescriptor, Rule, Upstream)>, TranscodeError> {
        let mut annotated = Vec::new();
        let mut named = HashSet::new();
        for (name, channel) in &self.services {
            if !named.insert(name) {
                return Err(TranscodeError::ServiceTwice(name.clone()));
            }
            let service: ServiceDescriptor =
                self.pool.get_service_by_name(name).ok_or_else(|| TranscodeError::UnknownService(name.clone()))?;
            let before = annotated.len();
            for rpc in service.methods() {
                for rule in rules_of(&rpc, http)? {
                    annotated.push((rpc.clone(), rule, channel.clone()));
                }
            }
            if annotated.len() == before {
                return Err(TranscodeError::NothingAnnotated(name.clone()));
            }
        }
        if annotated.is_empty() {
            return Err(TranscodeError::NothingAnnotated("the descriptor set (no service was given)".to_owned()));
        }
        Ok(annotated)
    }

    fn route(
        &self,
        rpc: &MethodDescriptor,
        rule: &Rule,
        channel: &Upstream,
        schema: &Arc<Schema>,
    ) -> Result<Route, TranscodeError> {
        let wrong = |problem: String| TranscodeError::Annotation { rpc: rpc.full_name().to_owned(), problem };
        let (input, output) = (rpc.input(), rpc.output());
        let shape = schema.of(&input).ok_or_else(|| wrong("its request message is not in the schema".to_owned()))?;
        let response_field = match rule.response_body.as_str() {
            "" => None,
            name => Some(output.get_field_by_name(name).ok_or_else(|| {
                wrong(format!("response_body names {name}, which {} does not have", output.full_name()))
            })?),
        };
        let grpc_path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
        let template = rule.template.shown.as_str();
        let preset = self.presets.get(template).map(|(name, value)| {
            let field = input.get_field_by_name(name).filter(|field| field.supports_presence());
            let field = field.filter(|field| value.is_valid_for_field(field));
            let problem = || wrong(format!("no optional uint32 field {name} can be preset"));
            field.map(|field| (field, value.clone())).ok_or_else(problem)
        });
        Ok(Route {
            info: RouteInfo { rpc: rpc.full_name().into(), template: template.into() },
            schema: Arc::clone(schema),
            binding: Binding::new(schema, shape, rule).map_err(wrong)?,
            input,
            output,
            response_field,
            grpc_path: PathAndQuery::try_from(grpc_path).map_err(|error| wrong(error.to_string()))?,
            channel: channel.clone(),
            cache: match self.immutable.contains(template) {
                true => CachePolicy::Immutable,
                false => CachePolicy::Revalidate,
            },
            guard: self.guards.get(template).cloned(),
            preset: preset.transpose()?,
            body_limit: self.body_limit,
            timeout: self.timeout,
        })
    }
}

fn on<H, T>(methods: MethodRouter, method: &Method, handler: H) -> MethodRouter
where
    H: Handler<T, ()>,
    T: 'static,
{
    match *method {
        Method::GET => methods.get(handler),
        Method::PUT => methods.put(handler),
        Method::POST => methods.post(handler),
        Method::DELETE => methods.delete(handler),
        _ => methods.on(MethodFilter::PATCH, handler),
    }
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "there is nothing at this path")
}

async fn method_not_allowed() -> Problem {
    let detail = "this path does not take this method; the header allow lists those it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail)
}
