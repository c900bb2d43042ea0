//! A TCP connection to the first of several addresses that answers.

use std::{net::SocketAddr, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt as _};
use kinitro_domain::Cause;
use tokio::{net::TcpStream, time::sleep};

use crate::{
    Fault,
    local::{is_ours, our_fault},
    tls::discreet_text,
};

/// How long an address has before the next one is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects. The addresses are tried in turn, the next one when one has failed or has not answered for a moment; none is given up for
/// another. Time is the caller's to bound.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
    let mut left = in_turn(addresses).into_iter();
    let mut trying = FuturesUnordered::new();
    let (mut ours, mut theirs) = (None, None);
    loop {
        trying.extend(left.next().map(TcpStream::connect));
        let others = left.len() > 0;
        let next = async {
            if others {
                sleep(STAGGER).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let outcome = tokio::select! {
            outcome = trying.next() => outcome,
            () = next => continue,
        };
        match outcome {
            Some(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => theirs = Some(error),
            },
            Some(Err(error)) if is_ours(&error, addresses) => ours = Some(error),
            Some(Err(error)) => theirs = Some(error),
            None => break,
        }
    }
    // One address that this machine could try is enough to say that the policy was not there.
    Err(match (theirs, ours) {
        (Some(error), _) => unreachable(format!("no connection: {}", discreet_text(&error))),
        (None, Some(error)) => our_fault(&error),
        (None, None) => unreachable("the endpoint's name has no address".to_owned()),
    })
}

fn unreachable(what: String) -> Fault {
    Fault::new(Cause::PolicyUnreachable, what)
}

/// The two families alternately, each in its order, so that one of them that leads nowhere costs one moment.
fn in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (same, other) =
        addresses.iter().partition::<Vec<&SocketAddr>, _>(|address| address.is_ipv4() == first.is_ipv4());
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(same.next());
        turns.extend(other.next());
    }
    turns
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::{
        net::{TcpListener, TcpSocket},
        time::timeout,
    };

    use super::*;

    /// An address where nothing answers, for as long as what comes with it is kept: its queue is full.
    async fn dead() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(Ok(waiting)) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            queue.push(waiting);
        }
        (address, listener, queue)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_does_not_keep_the_others_waiting() {
        let (dead, _listener, _queue) = dead().await;
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [dead, dead, live.local_addr().unwrap()];
        // Nothing here gives up on its own for more than a minute.
        let connected = timeout(Duration::from_secs(50), connect(&addresses)).await.unwrap().unwrap();
        assert_eq!(connected.peer_addr().unwrap(), addresses[2]);
    }

    #[tokio::test]
    async fn a_policy_is_unreachable_only_where_this_machine_could_try() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = listener.local_addr().unwrap();
        drop(listener);
        let nowhere = "255.255.255.255:9".parse().unwrap();
        let cause = async |addresses: &[SocketAddr]| connect(addresses).await.unwrap_err().cause();
        assert_eq!(cause(&[refusing]).await, Cause::PolicyUnreachable);
        assert_eq!(cause(&[refusing, nowhere]).await, Cause::PolicyUnreachable);
        // What a missing way means is decided by `local`, from what this machine has besides.
        let error = std::net::TcpStream::connect(nowhere).unwrap_err();
        let missing = if is_ours(&error, &[nowhere]) { Cause::Executor } else { Cause::PolicyUnreachable };
        assert_eq!(cause(&[nowhere]).await, missing);
        assert_eq!(cause(&[]).await, Cause::PolicyUnreachable);
    }

    #[test]
    fn the_families_take_turns() {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = read(&["[2606::1]:1", "[2606::2]:1", "[2606::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let turns = read(&["[2606::1]:1", "1.1.1.1:1", "[2606::2]:1", "1.1.1.2:1", "[2606::3]:1"]);
        assert_eq!(in_turn(&given), turns);
        assert_eq!(in_turn(&[]), []);
    }
}
