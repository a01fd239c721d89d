//! The mark on our own connections, by which the gate tells our probes from clients.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};

/// The `SO_MARK` of our own connections: `pits` in ASCII.
pub const PROBE_MARK: u32 = 0x7069_7473;

/// Connects with [`PROBE_MARK`] set before the first packet; unmarked where we lack `CAP_NET_ADMIN` (socket(7)).
///
/// # Errors
///
/// What the kernel said, or [`io::ErrorKind::TimedOut`] at `deadline`.
pub async fn connect_marked(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    match setsockopt(&socket, sockopt::Mark, &PROBE_MARK) {
        Ok(()) | Err(Errno::EPERM) => {}
        Err(error) => return Err(error.into()),
    }
    tokio::time::timeout_at(deadline.into(), socket.connect(address))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
}
