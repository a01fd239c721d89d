//! The kernel's witness: what its socket table says about the app's port.
//!
//! The kernel has no idle flag, so a connection counts as busy when one of these is so:
//! it waits to be accepted, or its handshake is not over; it has bytes that the app has not read, or that the peer has not
//! acknowledged; data came in after the last data went out, so the app owes an answer.
//!
//! What this can't see: a pause within an answer that is streamed (looks idle), and protocols in which the client speaks last
//! (HTTP/2 between balancer and app ends with the client's acknowledgement: looks busy until it is closed).

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netlink_packet_sock_diag::inet::StateFlags;

use super::sock_diag::{self, Row, State, Traffic};
use super::{Left, Sighting};
use crate::process::{self, Process};

/// The name of this witness.
pub const KERNEL: &str = "kernel";

/// Looks at the sockets of one app.
#[derive(Debug, Clone)]
pub struct Sockets {
    listen: SocketAddr,
    peers: Vec<IpAddr>,
}

/// The app's sockets at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the app takes traffic.
    pub listen: SocketAddr,
    /// The sockets it listens with; several with `SO_REUSEPORT`.
    pub listeners: Vec<Listener>,
    /// Connections whose handshake is not over, by peer.
    pub half_open: Vec<SocketAddr>,
    /// Connections that are established, or that only the peer has closed.
    pub connections: Vec<Connection>,
}

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Its inode, by which its holders are found.
    pub inode: u32,
    /// Connections waiting to be accepted.
    pub accept_queue: u32,
}

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The other end; IPv4 in IPv6 is given as IPv4.
    pub peer: SocketAddr,
    /// Whether the peer has closed its half.
    pub peer_closed: bool,
    /// Bytes that the app has not read.
    pub unread: u32,
    /// Bytes that the peer has not acknowledged.
    pub unsent: u32,
    /// Who spoke last.
    pub turn: Turn,
    /// How long neither side has sent data; zero where the kernel does not tell.
    pub silent: Duration,
    /// Its inode; 0 while nobody has accepted it.
    pub inode: u32,
}

/// Who spoke last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The peer: the app owes an answer.
    App,
    /// The app, or nobody yet.
    Peer,
}

impl Sockets {
    /// Looks at what comes in at `listen`; only from these peers, or from anywhere when there are none.
    pub fn new(listen: SocketAddr, peers: Vec<IpAddr>) -> Self {
        Self {
            listen: SocketAddr::new(listen.ip().to_canonical(), listen.port()),
            peers: peers.iter().map(IpAddr::to_canonical).collect(),
        }
    }

    /// The app's sockets now.
    ///
    /// # Errors
    /// `NotFound` where the kernel lacks sock_diag for TCP (module `tcp_diag`); others as the system gives them.
    pub async fn snapshot(&self) -> io::Result<Snapshot> {
        let states = StateFlags::LISTEN | StateFlags::SYN_RECV | StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT;
        let rows = sock_diag::dump(self.listen.port(), states).await?;
        Ok(self.select(&rows))
    }

    /// The inodes of the sockets that the app listens with; none when nothing listens.
    ///
    /// # Errors
    /// As [`Sockets::snapshot`].
    pub async fn listening(&self) -> io::Result<HashSet<u32>> {
        let rows = sock_diag::dump(self.listen.port(), StateFlags::LISTEN).await?;
        let listeners = self.select(&rows).listeners;
        Ok(listeners.iter().map(|listener| listener.inode).collect())
    }

    /// The processes that hold a listening socket of the app, in no order.
    ///
    /// # Errors
    /// As [`Sockets::snapshot`] and [`process::holders_of`].
    pub async fn holders(&self) -> io::Result<Vec<Process>> {
        let inodes = self.listening().await?;
        tokio::task::spawn_blocking(move || process::holders_of(&inodes)).await.map_err(io::Error::other)?
    }

    /// Picks what belongs to the app out of everything at its port.
    fn select(&self, rows: &[Row]) -> Snapshot {
        let listening = rows.iter().filter(|row| row.state == State::Listen);
        let at = |ip: IpAddr| ip == self.listen.ip() || self.listen.ip().is_unspecified();
        let mut listeners: Vec<&Row> = listening.clone().filter(|row| at(row.local.ip())).collect();
        // The kernel prefers a listener at the very address; one at the wildcard serves when there is none.
        // Then, and when nobody listens any more, connections to any of the host's addresses are the app's.
        let specific = !listeners.is_empty() && !self.listen.ip().is_unspecified();
        if listeners.is_empty() {
            listeners = listening.filter(|row| row.local.ip().is_unspecified()).collect();
        }
        let ours = |row: &&Row| {
            (!specific || at(row.local.ip())) && (self.peers.is_empty() || self.peers.contains(&row.peer.ip()))
        };
        Snapshot {
            listen: self.listen,
            listeners: listeners.into_iter().map(Listener::from).collect(),
            half_open: rows
                .iter()
                .filter(|row| row.state == State::SynReceived)
                .filter(ours)
                .map(|row| row.peer)
                .collect(),
            connections: rows.iter().filter(ours).filter_map(Connection::of).collect(),
        }
    }
}

impl From<&Row> for Listener {
    fn from(row: &Row) -> Self {
        Self { inode: row.inode, accept_queue: row.receive_queue }
    }
}

impl Connection {
    fn of(row: &Row) -> Option<Self> {
        let peer_closed = match row.state {
            State::Established => false,
            State::CloseWait => true,
            State::Listen | State::SynReceived => return None,
        };
        Some(Self {
            peer: row.peer,
            peer_closed,
            // An end of stream that nobody has read yet is counted as one byte, but it asks for no answer.
            unread: row.receive_queue.saturating_sub(peer_closed.into()),
            unsent: row.send_queue,
            turn: row.traffic.map_or(Turn::App, Turn::of),
            silent: row.traffic.map_or(Duration::ZERO, Traffic::silent),
            inode: row.inode,
        })
    }

    /// Whether the app still has to do something for it.
    pub fn is_busy(&self) -> bool {
        self.inode == 0 || self.unread > 0 || self.unsent > 0 || self.turn == Turn::App
    }
}

impl Turn {
    /// Both times are in steps of the kernel's tick (1 to 10 ms) and start out equal; when they are still equal,
    /// a peer that spoke and never got an answer is told by the segments. One that got answers may have asked again within
    /// the tick of the last of them, so it counts as answered only after two ticks of silence.
    fn of(traffic: Traffic) -> Self {
        const TWO_TICKS: u32 = 20;
        let tie = traffic.last_data_received == traffic.last_data_sent;
        let doubtful = tie && traffic.last_data_received < TWO_TICKS;
        let owes = traffic.segments.is_some_and(|segments| segments.received > 0 && (segments.sent == 0 || doubtful));
        if traffic.last_data_received < traffic.last_data_sent || owes { Self::App } else { Self::Peer }
    }
}

impl Snapshot {
    /// What the kernel says is left. An idle connection counts until it has been silent for `idle_after`: zero where the
    /// balancers' counters tell what is in flight; else longer than the pauses within an answer, which look idle too.
    ///
    /// It can't be waited for its end: HAProxy keeps connections for later, the last of them for ever.
    pub fn sighting(&self, idle_after: Duration) -> Sighting {
        let waiting: u64 = self.listeners.iter().map(|l| u64::from(l.accept_queue)).sum();
        let queue = (waiting > 0).then(|| Left { place: self.listen.to_string(), sessions: 0, queued: waiting });
        let mut peers: BTreeMap<IpAddr, Left> = BTreeMap::new();
        let counted = self
            .connections
            .iter()
            .filter(|connection| connection.is_busy() || connection.silent < idle_after)
            .map(|connection| (connection.peer.ip(), 1, 0));
        let half_open = self.half_open.iter().map(|peer| (peer.ip(), 0, 1));
        for (ip, sessions, queued) in counted.chain(half_open) {
            let left = peers.entry(ip).or_insert_with(|| Left { place: ip.to_string(), sessions: 0, queued: 0 });
            left.sessions += sessions;
            left.queued += queued;
        }
        Sighting { witness: KERNEL.to_owned(), pid: None, left: queue.into_iter().chain(peers.into_values()).collect() }
    }
}

#[cfg(test)]
mod tests;
