//! Errors of our own machine, which no policy is blamed for.
//!
//! A socket's error does not say who made it. No descriptor, no buffer, no port and no permission can only be ours. That there is no route
//! can be ours too, but any router may say so by ICMP, and one of the policy's may say it when a scene is hard. So this machine's own
//! tables are asked.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use kinitro_domain::Cause;
use nix::errno::Errno;

use crate::Fault;

/// Whether this machine made an error of a connection that leads, or was to lead, to one of these addresses. Without addresses, as where it
/// stood already, a missing route is nobody's in particular and so not ours.
pub(crate) fn is_ours(error: &io::Error, addresses: &[SocketAddr]) -> bool {
    use Errno::{EACCES, EADDRNOTAVAIL, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, EPERM};
    match error.raw_os_error().map(Errno::from_raw) {
        Some(EMFILE | ENFILE | ENOBUFS | ENOMEM | ENETDOWN | EADDRNOTAVAIL | EPERM) => true,
        Some(ENETUNREACH | EACCES) => !addresses.is_empty() && !addresses.iter().any(has_route),
        _ => false,
    }
}

/// The fault of an error that is ours.
pub(crate) fn our_fault(error: &io::Error) -> Fault {
    Fault::new(Cause::Executor, format!("this executor's network or limits failed: {error}"))
}

/// What this machine lacks, when a name could not be looked up; else the error as it was. A resolver without descriptors may just say that
/// there is no such name, so it is tried whether one can be had.
pub(crate) fn lacking(error: io::Error) -> Result<io::Error, io::Error> {
    if is_ours(&error, &[]) {
        return Ok(error);
    }
    match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
        Err(lacking) if is_ours(&lacking, &[]) => Ok(lacking),
        _ => Err(error),
    }
}

/// Whether this machine knows a way to an address. Nothing is sent: for UDP, connecting is looking the route up.
fn has_route(address: &SocketAddr) -> bool {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).and_then(|socket| socket.connect(address)).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno as i32)
    }

    #[test]
    fn what_only_this_machine_can_lack_is_ours() {
        use Errno::*;
        for ours in [EMFILE, ENFILE, ENOBUFS, ENOMEM, ENETDOWN, EADDRNOTAVAIL, EPERM] {
            assert!(is_ours(&error(ours), &[]), "{ours}");
        }
        for theirs in [ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ETIMEDOUT, EPIPE, ENETUNREACH, EACCES] {
            assert!(!is_ours(&error(theirs), &[]), "{theirs}");
        }
    }

    #[test]
    fn a_missing_route_is_ours_only_when_this_machine_has_none() {
        let here = "127.0.0.1:9".parse().unwrap();
        // No connection leads to everybody.
        let nowhere = "255.255.255.255:9".parse().unwrap();
        let refused = std::net::TcpStream::connect(nowhere).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::ENETUNREACH as i32));
        assert!(is_ours(&refused, &[nowhere]));
        for said in [Errno::ENETUNREACH, Errno::EACCES] {
            assert!(is_ours(&error(said), &[nowhere]), "{said}");
            assert!(!is_ours(&error(said), &[here]), "a router said {said}");
            assert!(!is_ours(&error(said), &[nowhere, here]), "a router said {said}");
        }
    }
}
