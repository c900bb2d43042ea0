//! The connection to scheduling.

use std::time::Duration;

use kinitro_chassis::{BackOff, ChassisError, MeshAccess, MeshChannel, propagate};
use kinitro_proto::scheduling::v1::scheduling_service_client::SchedulingServiceClient;
use tonic::{Code, Request, Status, service::interceptor::InterceptedService};

type Propagate = fn(Request<()>) -> Result<Request<()>, Status>;

/// Scheduling, as this executor calls it. Connects when it is first called, and again whenever the connection is lost.
pub(crate) type Scheduling = SchedulingServiceClient<InterceptedService<MeshChannel, Propagate>>;

/// The longest that an ordinary call may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest wait for work that scheduling grants.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(20);

pub(crate) fn connect(access: &MeshAccess, url: &str) -> Result<Scheduling, ChassisError> {
    let channel = access.channel_within(url, LONGEST_WAIT + CALL_TIMEOUT)?;
    Ok(SchedulingServiceClient::with_interceptor(channel, propagate as Propagate))
}

/// A request with a deadline, which the server sees too.
pub(crate) fn within<T>(timeout: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

/// Whether the same request can never succeed.
pub(crate) fn is_refused(status: &Status) -> bool {
    status.code() == Code::InvalidArgument
}

/// The pauses between tries, from 100 ms to 5 s. Scheduling counts on the longest: after an outage of its own it waits for results for twice
/// as long before it closes a cycle.
pub(crate) fn back_off() -> BackOff {
    BackOff::new(Duration::from_millis(100), Duration::from_secs(5))
}
