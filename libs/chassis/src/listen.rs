//! Binding an address so that `::` means every address of the machine, whatever its settings.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::TcpListener;

const BACKLOG: i32 = 1024;

/// Listens on an address. `::` serves IPv6 and IPv4 (whose peers then show as `::ffff:a.b.c.d`), also where the system's default is
/// otherwise; where there is no IPv6 it serves IPv4.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match open(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && lacks_ipv6(&error) => {
            tracing::warn!(%error, "this machine has no IPv6: listening on 0.0.0.0 in place of ::");
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        outcome => outcome,
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart need not wait until the connections of the last run are forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The kernel does not know the family, or no interface has an address of it.
fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_of_ipv6_serves_both_families() {
        let listener = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("IPv4");
        if open(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.expect("IPv6");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let error = listen(listener.local_addr().expect("bound")).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
