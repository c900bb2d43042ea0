//! A service's one port: gRPC with health and reflection, and `/metrics` and `/healthz` over plain HTTP.
//!
//! HTTP/1.1 and HTTP/2 without TLS share the port. Every gRPC call runs in a span that continues the caller's trace, is
//! counted, has a deadline, and cannot take the process down. Every call but those of health and reflection shows the mesh token. When the supervisor drains, health turns to not serving,
//! no connection is accepted any more, calls in flight finish, and streams are ended with `Unavailable`.

mod body;
mod connection;
mod health;
mod http_routes;
mod limits;
mod methods;
mod observe;
mod open_files;
mod seats;
mod sent;
mod serve;
mod unread;
mod watched;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, middleware};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{Service, http::Request},
    server::NamedService,
    service::Routes,
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{ChassisError, MeshAccess, Supervisor};
use health::{Health, Probe};
pub use limits::ServerLimits;
use observe::Observer;
pub use open_files::raise_open_files;
pub use seats::address_key;
pub use sent::hold_until_sent;
pub use serve::serve_http;

/// The largest message a service should accept: pass it to `max_decoding_message_size` of servers and clients whose
/// messages may exceed tonic's 4 MiB.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

const UNARY_LIMIT: Duration = Duration::from_secs(60);
const CONCURRENCY: usize = 1024;

/// A gRPC server under construction.
pub struct GrpcServer {
    name: &'static str,
    access: MeshAccess,
    routes: Routes,
    services: Vec<&'static str>,
    probes: Vec<Probe>,
    extra: Router,
    unary_limit: Duration,
    concurrency: usize,
}

impl GrpcServer {
    /// A server for the service called `name`, for example "scheduling", and who may call it.
    pub fn new(name: &'static str, access: &MeshAccess) -> Self {
        Self {
            name,
            access: access.clone(),
            routes: Routes::default(),
            services: Vec::new(),
            probes: Vec::new(),
            extra: Router::new(),
            unary_limit: UNARY_LIMIT,
            concurrency: CONCURRENCY,
        }
    }

    /// Adds a generated server. Its full name becomes a health service, too.
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Watches a dependency: `check` runs every second with a limit of 2 s, after which `address` is said not to answer. The
    /// health service `dependency` follows it, and the server as a whole serves only while every dependency is well.
    pub fn probe<F>(mut self, dependency: &'static str, address: impl Into<String>, check: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        self.probes.push(Probe::new(dependency, address.into(), check));
        self
    }

    /// Adds plain HTTP routes beside the calls; they must not have a fallback.
    pub fn http(mut self, routes: Router) -> Self {
        self.extra = self.extra.merge(routes);
        self
    }

    /// The longest a unary call may take, whatever its caller allows; 60 s unless set.
    pub fn unary_limit(mut self, limit: Duration) -> Self {
        self.unary_limit = limit;
        self
    }

    /// How many calls run at once, and as many streams; 1024 unless set. Further calls wait within their deadline, further
    /// streams are refused. A call runs until its answer is sent.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.concurrency = limit;
        self
    }

    /// Serves on `listener` in a task of the supervisor, and returns at once.
    ///
    /// # Errors
    /// The listener is reached from other machines and there is no mesh token; the descriptor sets do not fit together.
    pub fn serve(self, listener: TcpListener, supervisor: &Supervisor) -> Result<(), ChassisError> {
        let address = listener.local_addr().map_err(|source| ChassisError::Listener { service: self.name, source })?;
        self.access.may_listen(self.name, address)?;
        crate::metrics::install();
        let closing = CancellationToken::new();
        let draining = supervisor.draining();
        let health = Arc::new(Health::new(self.name, self.services.clone(), self.probes, draining.clone()));
        let mut routes = self.routes.add_service(health.service());
        if self.access.reflection() {
            routes = methods::add_reflection(self.name, routes, &self.services)?;
        }
        let observer = Arc::new(Observer::new(self.access, self.unary_limit, self.concurrency, closing.clone()));
        let calls = routes
            .into_axum_router()
            .layer(CatchPanicLayer::custom(observe::panicked))
            .layer(middleware::from_fn_with_state(observer, observe::observe));
        let router = http_routes::routes(health.clone()).merge(self.extra).merge(calls);
        supervisor.spawn(format!("{} probes", self.name), health.clone().watch());
        supervisor.spawn(format!("{} server", self.name), async move {
            let close = async move {
                draining.cancelled().await;
                // Watchers of health learn of the drain before their streams end.
                health.drain().await;
                closing.cancel();
            };
            serve_http(listener, router, ServerLimits::mesh(), close).await;
            Ok::<(), Infallible>(())
        });
        Ok(())
    }
}
