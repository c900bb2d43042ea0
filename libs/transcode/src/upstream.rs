//! The service behind a route, whatever channel leads to it: one that presents credentials, or a plain one.

use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

/// Carries calls to one service. Its errors are statuses with the transport's error as their source.
pub(crate) type Upstream = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// Forgets which kind of channel it is.
pub(crate) fn upstream<C>(channel: C) -> Upstream
where
    C: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    BoxCloneSyncService::new(channel.map_err(|error: C::Error| Status::from_error(error.into())))
}
