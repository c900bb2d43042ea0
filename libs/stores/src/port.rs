//! A port that nobody listens on.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// A loopback port that is free now. Whoever binds it later may still lose a race, so callers that can retry do.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
