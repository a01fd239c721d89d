//! The mark on our own connections, by which the [gate](super::gate) lets probes pass.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};

/// The `SO_MARK` of our own connections (socket(7)): `pits` in ASCII, unlikely to be anyone else's.
pub const PROBE_MARK: u32 = 0x7069_7473;

/// Connects to `address` by a socket that carries [`PROBE_MARK`].
///
/// Setting a mark needs `CAP_NET_ADMIN`; without it the connection is made unmarked, and a closed gate refuses it.
///
/// # Errors
/// What the kernel says, or [`io::ErrorKind::TimedOut`] when `deadline` has passed.
pub async fn connect_marked(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    match setsockopt(&socket, sockopt::Mark, &PROBE_MARK) {
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    tokio::time::timeout_at(deadline.into(), socket.connect(address)).await?
}
