//! Errors of our own machine, which no policy is blamed for.
//!
//! A socket's error does not say who made it. No descriptor, no buffer, no port and no permission can only be ours. That there is no route
//! can be ours too, but any router may say so by ICMP, and one of the policy's may say it when a scene is hard. So this machine's own
//! tables are asked. An address of a family in which this machine reaches nothing, IPv6 as a rule, was chosen by the miner: while there is
//! a way to the other family, it is the policy that cannot be reached.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use kinitro_domain::Cause;
use nix::errno::Errno;

use crate::Fault;

/// Whether this machine made an error of a connection that leads, or was to lead, to one of these addresses. Without addresses, as where it
/// stood already, a missing route is nobody's in particular and so not ours.
pub(crate) fn is_ours(error: &io::Error, addresses: &[SocketAddr]) -> bool {
    error.raw_os_error().map(Errno::from_raw).is_some_and(|errno| judged(errno, addresses, has_route))
}

fn judged(errno: Errno, addresses: &[SocketAddr], has_route: impl Fn(&SocketAddr) -> bool) -> bool {
    use Errno::{EACCES, EADDRNOTAVAIL, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, EPERM};
    let no_way = || !addresses.is_empty() && !addresses.iter().any(&has_route);
    let chosen = || no_way() && ELSEWHERE.iter().any(&has_route);
    match errno {
        EMFILE | ENFILE | ENOBUFS | ENOMEM | ENETDOWN | EPERM => true,
        // No port is left, or the family of the address is turned off here.
        EADDRNOTAVAIL => !chosen(),
        ENETUNREACH | EACCES => no_way() && !chosen(),
        _ => false,
    }
}

/// Somewhere in the world, in either family: addresses for documentation, to which the way is that to everywhere.
const ELSEWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

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
        let (here, there): (SocketAddr, SocketAddr) =
            ("203.0.113.7:9".parse().unwrap(), "[2001:db8:7::7]:9".parse().unwrap());
        let nothing = |_: &SocketAddr| false;
        let only_v4 = |address: &SocketAddr| address.is_ipv4();
        for said in [Errno::ENETUNREACH, Errno::EACCES] {
            assert!(judged(said, &[here, there], nothing), "{said}");
            assert!(!judged(said, &[], nothing), "{said} where a connection stood already");
            assert!(!judged(said, &[here], only_v4), "a router said {said}");
            assert!(!judged(said, &[here, there], only_v4), "a router said {said}");
        }
    }

    #[test]
    fn an_address_of_a_family_that_this_machine_does_not_have_is_the_miners_choice() {
        let there = ["[2001:db8:7::7]:9".parse().unwrap()];
        for said in [Errno::ENETUNREACH, Errno::EADDRNOTAVAIL] {
            assert!(!judged(said, &there, |address| address.is_ipv4()), "{said}");
            assert!(judged(said, &there, |_| false), "{said}: this machine has no network at all");
        }
        assert!(judged(Errno::EADDRNOTAVAIL, &there, |_| true), "no port is left");
    }

    #[test]
    fn the_way_to_this_machine_itself_is_known() {
        assert!(has_route(&"127.0.0.1:9".parse().unwrap()));
        assert!(!has_route(&"255.255.255.255:9".parse().unwrap()), "no connection leads to all");
    }
}
