//! One stream: frames out, frames in, one question at a time.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::future::{TryFutureExt as _, poll_fn, try_join};
use h2::{RecvStream, SendStream, client::ResponseFuture};
use kinitro_domain::Cause;

use super::{
    message::PREFIX_BYTES,
    status::{broken, check_head, ended, is_ok, nothing_processed},
};
use crate::{Fault, metered::Allowance};

/// The longest reply.
pub const MAX_REPLY_BYTES: usize = 64 * 1024;

/// A stream to a policy. Dropping it cancels the stream.
pub(super) struct Stream {
    outgoing: SendStream<Bytes>,
    incoming: Incoming,
    allowance: Allowance,
}

struct Incoming {
    state: State,
    /// Came in and was not looked at. At most a reply and a frame.
    received: BytesMut,
    /// It ended before the answer began, and nothing of it was processed.
    refused: bool,
}

enum State {
    /// The head of the answer has not come.
    Head(ResponseFuture),
    Body(RecvStream),
}

/// Who ended an exchange.
enum Broken {
    Sending(Fault),
    Receiving(Fault),
}

impl Stream {
    pub(super) fn new(answer: ResponseFuture, outgoing: SendStream<Bytes>, allowance: Allowance) -> Self {
        let incoming = Incoming { state: State::Head(answer), received: BytesMut::new(), refused: false };
        Self { outgoing, incoming, allowance }
    }

    /// Sends a framed message and waits for the reply.
    pub(super) async fn ask(&mut self, frame: Bytes) -> Result<Bytes, Fault> {
        self.allowance.renew();
        let sending = send(&mut self.outgoing, frame).map_err(Broken::Sending);
        // Listened to meanwhile: a policy that refuses may never read what is sent.
        let receiving = self.incoming.message().map_err(Broken::Receiving);
        match try_join(sending, receiving).await {
            Ok(((), reply)) => Ok(reply),
            Err(Broken::Receiving(fault)) => Err(fault),
            // It may have said why before it stopped listening.
            Err(Broken::Sending(fault)) => Err(self.incoming.message().await.err().unwrap_or(fault)),
        }
    }

    /// What may be read.
    pub(super) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Whether it failed so that nothing of what was sent was processed.
    pub(super) fn was_refused(&self) -> bool {
        self.incoming.refused
    }

    /// Ends the stream and waits until the policy does; whether that went as it should.
    pub(super) async fn end(mut self) -> bool {
        self.outgoing.send_data(Bytes::new(), true).is_ok() && self.incoming.is_over().await
    }
}

/// Hands all of a frame to the connection, as fast as the policy's windows let it.
async fn send(outgoing: &mut SendStream<Bytes>, mut frame: Bytes) -> Result<(), Fault> {
    while frame.has_remaining() {
        outgoing.reserve_capacity(frame.len());
        let room = match poll_fn(|context| outgoing.poll_capacity(context)).await {
            Some(Ok(room)) => room,
            Some(Err(error)) => return Err(broken(&error)),
            None => return Err(Fault::new(Cause::ConnectionClosed, "the policy ended the stream")),
        };
        let part = frame.split_to(room.min(frame.len()));
        outgoing.send_data(part, false).map_err(|error| broken(&error))?;
    }
    Ok(())
}

impl Incoming {
    /// The next reply. May be dropped and asked again.
    async fn message(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            match &mut self.state {
                State::Head(answer) => {
                    let answer = answer.await.map_err(|error| {
                        self.refused = nothing_processed(&error);
                        broken(&error)
                    })?;
                    let (head, body) = answer.into_parts();
                    self.state = State::Body(body);
                    check_head(head.status, &head.headers)?;
                }
                State::Body(body) => match body.data().await {
                    Some(data) => {
                        let data = data.map_err(|error| broken(&error))?;
                        self.received.extend_from_slice(&data);
                        body.flow_control().release_capacity(data.len()).map_err(|error| broken(&error))?;
                    }
                    None => {
                        let trailers = body.trailers().await.map_err(|error| broken(&error))?;
                        return Err(ended(&trailers.unwrap_or_default()));
                    }
                },
            }
        }
    }

    /// A complete message out of what was received.
    fn take(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some((&[compressed, a, b, c, d], _)) = self.received.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        if compressed != 0 {
            return Err(Fault::new(Cause::InvalidResponse, "a reply is compressed, or not framed as gRPC does"));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MAX_REPLY_BYTES {
            let what = format!("a reply of {length} bytes; at most {MAX_REPLY_BYTES} are read");
            return Err(Fault::new(Cause::ResponseTooLarge, what));
        }
        if self.received.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.received.advance(PREFIX_BYTES);
        Ok(Some(self.received.split_to(length).freeze()))
    }

    /// Waits for the end, and for nothing before it.
    async fn is_over(&mut self) -> bool {
        let State::Body(body) = &mut self.state else { return false };
        while let Some(data) = body.data().await {
            if !data.is_ok_and(|data| data.is_empty()) {
                return false;
            }
        }
        body.trailers().await.is_ok_and(|trailers| trailers.is_some_and(|trailers| is_ok(&trailers)))
    }
}
