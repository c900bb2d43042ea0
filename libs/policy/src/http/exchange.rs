//! One exchange: a request out, a bounded answer in, and what it means when there is none.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use kinitro_commitment::Endpoint;
use kinitro_domain::Cause;

use super::connection::{Connection, Failed, classify};
use crate::{Fault, TransportConfig, metered::Allowance, patience::answer_within, tls::Tls};

/// The longest body of an answer.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// How much of the body of an answer with a wrong status is read, for the evidence.
pub(super) const MAX_ERROR_BYTES: usize = 1024;

const EPISODE_ID: HeaderName = HeaderName::from_static("x-episode-id");

/// Asks one policy, over one connection at a time, which leads to these addresses.
pub(super) struct Caller {
    endpoint: Endpoint,
    addresses: Arc<[SocketAddr]>,
    tls: Tls,
    connect_timeout: Duration,
    allowance: Allowance,
    /// Absent while an answer is on its way, so that what becomes of a call that is given up cannot meet the next one.
    connection: Option<Connection>,
}

/// What is asked.
pub(super) struct Question {
    pub(super) path: &'static str,
    pub(super) episode_id: HeaderValue,
    /// JSON to post; without it the path is only got.
    pub(super) body: Option<Bytes>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body is compressed, although that was not asked for. It is not unpacked.
    pub(super) encoded: bool,
    /// After how long the policy wants to be asked again, when it said so in seconds.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// What of the head of an answer is of interest.
#[derive(Clone, Copy)]
struct Head {
    status: StatusCode,
    encoded: bool,
    retry_after: Option<Duration>,
}

impl Caller {
    /// Nothing is connected before the first question.
    pub(super) fn new(endpoint: &Endpoint, config: &TransportConfig, tls: &Tls, addresses: Arc<[SocketAddr]>) -> Self {
        Self {
            endpoint: endpoint.clone(),
            addresses,
            tls: tls.clone(),
            connect_timeout: config.connect_timeout,
            allowance: Allowance::new(),
            connection: None,
        }
    }

    /// The addresses that were checked.
    pub(super) fn addresses(&self) -> Arc<[SocketAddr]> {
        self.addresses.clone()
    }

    /// Sends a request and takes the answer in, all within a time. Of the body of an answer with a wrong status about `error_bytes` are read;
    /// when there are more, the connection ends.
    pub(super) async fn exchange(
        &mut self,
        question: Question,
        error_bytes: usize,
        within: Duration,
    ) -> Result<Answer, Fault> {
        let path = question.path;
        let late = || Fault::new(Cause::ActionTimeout, format!("no complete answer to {path} within {within:?}"));
        let request = self.request(question);
        let allowance = self.allowance.clone();
        let mut body = Vec::new();
        let mut head = None;
        let outcome = answer_within(within, Some(&allowance), late, async {
            let (connection, response) = self.send(path, request).await?;
            let Head { status, .. } = *head.insert(of_interest(&response));
            if read_body(path, response, (!status.is_success()).then_some(error_bytes), &mut body).await? {
                self.connection = Some(connection);
            }
            Ok(())
        })
        .await;
        let answer = |Head { status, encoded, retry_after }: Head, body| Answer { status, encoded, retry_after, body };
        match (outcome, head) {
            (Ok(()), Some(head)) => Ok(answer(head, body)),
            // The status has decided already; the rest of the body would only have been evidence.
            (_, Some(head)) if !head.status.is_success() => Ok(answer(head, body)),
            (Err(fault), _) => Err(fault),
            (Ok(()), None) => Err(late()),
        }
    }

    fn request(&self, Question { path, episode_id, body }: Question) -> Request<Full<Bytes>> {
        let json = HeaderValue::from_static("application/json");
        let lines = [
            (HOST, HeaderValue::from_str(self.endpoint.authority()).expect("an authority that was checked")),
            (USER_AGENT, HeaderValue::from_static(concat!("kinitro/", env!("CARGO_PKG_VERSION")))),
            (ACCEPT, json.clone()),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (EPISODE_ID, episode_id),
        ];
        let mut request = Request::new(Full::default());
        request.headers_mut().extend(lines);
        *request.uri_mut() = self.endpoint.path_below(path).parse().expect("the path of a URL");
        if let Some(body) = body {
            *request.method_mut() = Method::POST;
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Full::new(body);
        }
        request
    }

    /// On the connection that stands, or else on a fresh one. What is known not to have been sent at all is sent on a fresh one, once.
    async fn send(
        &mut self,
        path: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), Fault> {
        if let Some(mut connection) = self.connection.take()
            && connection.stands().await
        {
            self.allowance.renew();
            match connection.send(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(Failed::Sent(error)) => return Err(classify(path, &error)),
                Err(Failed::Unsent(unsent)) => request = *unsent,
            }
        }
        let made = Connection::make(&self.endpoint, &self.addresses, &self.tls, &self.allowance, self.connect_timeout);
        let mut connection = made.await.map_err(|fault| match fault.cause() {
            Cause::PolicyUnreachable => fault.with_cause(Cause::ConnectionClosed),
            _ => fault,
        })?;
        self.allowance.renew();
        match connection.send(request).await {
            Ok(response) => Ok((connection, response)),
            Err(Failed::Sent(error)) => Err(classify(path, &error)),
            Err(Failed::Unsent(_)) => {
                let what = format!("the policy closed the connection before {path} could be sent");
                Err(Fault::new(Cause::ConnectionClosed, what))
            }
        }
    }
}

/// Takes a body in; whether it was read to its end.
async fn read_body(
    path: &str,
    response: Response<Incoming>,
    enough: Option<usize>,
    body: &mut Vec<u8>,
) -> Result<bool, Fault> {
    let too_large = |body: &[u8]| {
        let what = format!("the answer to {path} is larger than {MAX_RESPONSE_BYTES} bytes");
        Fault::quoting(Cause::ResponseTooLarge, what, body)
    };
    let mut incoming = response.into_body();
    if enough.is_none() && incoming.size_hint().lower() > MAX_RESPONSE_BYTES as u64 {
        return Err(too_large(body));
    }
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| classify(path, &error))?;
        let Some(data) = frame.data_ref() else { continue };
        body.extend_from_slice(data);
        match enough {
            None if body.len() > MAX_RESPONSE_BYTES => return Err(too_large(body)),
            Some(enough) if body.len() > enough => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}

fn of_interest(response: &Response<Incoming>) -> Head {
    let encoded = response.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Head {
        status: response.status(),
        encoded,
        retry_after: retry_after.map(|seconds: u32| Duration::from_secs(seconds.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whose_fault_a_missing_way_is_is_read_from_this_machines_own_tables() {
        let patience = Duration::from_secs(5);
        let config = TransportConfig { allow_private: true, connect_timeout: patience, action_timeout: patience };
        let nowhere = "255.255.255.255:9".parse().unwrap();
        let endpoint = "http://policy.example:9".parse().unwrap();
        let mut caller = Caller::new(&endpoint, &config, &Tls::load(), Arc::new([nowhere]));
        let question = Question { path: "/health", episode_id: HeaderValue::from_static("1"), body: None };
        let fault = caller.exchange(question, MAX_ERROR_BYTES, patience).await.err().unwrap();
        let error = std::net::TcpStream::connect(nowhere).unwrap_err();
        let ours = crate::local::is_ours(&error, &[nowhere]);
        // In the middle of an episode a server that cannot be connected to has closed its connection.
        assert_eq!(fault.cause(), if ours { Cause::Executor } else { Cause::ConnectionClosed }, "{fault}");
    }
}
