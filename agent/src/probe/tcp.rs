//! Proof by a connect.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::limit::Limit;
use super::{Failure, Probe};
use crate::rotation::mark::connect_marked;

/// Passes when the address accepts a connection.
pub(super) struct Tcp(pub(super) SocketAddr);

#[async_trait]
impl Probe for Tcp {
    fn describe(&self) -> String {
        format!("connect to {}", self.0)
    }

    async fn once(&self, deadline: Instant) -> Result<(), Failure> {
        connect(self.0, Limit::of_a_try(deadline)).await.map(drop)
    }
}

/// Connects, with the mark that the gate lets pass.
pub(super) async fn connect(address: SocketAddr, limit: Limit) -> Result<TcpStream, Failure> {
    let stream = match connect_marked(address, limit.end()).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(limit.late("connect: no answer"));
        }
        Err(error) => return Err(Failure::io("connect", &error)),
    };
    if connected_to_itself(&stream) {
        // Closed with a reset: a TIME-WAIT on the app's own port would keep it from listening there.
        let _ = stream.set_zero_linger();
        return Err(Failure::new("connect: nobody listens"));
    }
    Ok(stream)
}

/// A local port where nobody listens, and that the kernel happens to choose as our source, answers to itself
/// (RFC 9293, 3.5: simultaneous open).
fn connected_to_itself(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => local == peer,
        _ => false,
    }
}
