//! The kernel's TCP socket table, asked over netlink (sock_diag(7)).
//!
//! No privilege is needed. Only sockets of the network namespace that the calling thread is in are seen.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::constants::{
    AF_INET, AF_INET6, IPPROTO_TCP, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV,
};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_packet_sock_diag::message::SockDiagMessage;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};

/// The kernel answers from memory; if it has not by then, something is badly wrong.
const DEADLINE: Duration = Duration::from_secs(2);

/// One socket, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its state.
    pub(super) state: State,
    /// Our end; IPv4 in IPv6 is given as IPv4.
    pub(super) local: SocketAddr,
    /// The other end, likewise.
    pub(super) peer: SocketAddr,
    /// Its inode; 0 while no process has accepted it.
    pub(super) inode: u32,
    /// Listening: connections waiting to be accepted. Otherwise: bytes (and a FIN) not read yet.
    pub(super) receive_queue: u32,
    /// Not listening: bytes not acknowledged yet.
    pub(super) send_queue: u32,
    /// What `tcp_info` tells.
    pub(super) traffic: Option<Traffic>,
}

/// The states we ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Listen,
    SynReceived,
    Established,
    CloseWait,
}

/// The part of `struct tcp_info` (linux/tcp.h) that tells who spoke last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traffic {
    /// `tcpi_last_data_sent`: milliseconds ago; at first, when the connection was made.
    pub(super) last_data_sent: u32,
    /// `tcpi_last_data_recv`: likewise.
    pub(super) last_data_received: u32,
    /// `tcpi_data_segs_in` and `tcpi_data_segs_out`, since Linux 4.6; `None` before.
    pub(super) segments: Option<Segments>,
}

impl Traffic {
    /// How long neither side has sent data.
    pub(super) fn silent(self) -> Duration {
        Duration::from_millis(self.last_data_sent.min(self.last_data_received).into())
    }
}

/// Segments with data, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) received: u32,
    pub(super) sent: u32,
}

/// All TCP sockets in these states whose local port is `port`, IPv4 and IPv6.
pub(super) async fn dump(port: u16, states: StateFlags) -> io::Result<Vec<Row>> {
    tokio::time::timeout(DEADLINE, async {
        let mut rows = Vec::new();
        for family in [AF_INET, AF_INET6] {
            dump_family(family, port, states.clone(), &mut rows).await?;
        }
        Ok(rows)
    })
    .await
    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer sock_diag"))?
}

/// A new socket for every dump: an answer can never be taken for that of an earlier question.
async fn dump_family(family: u8, port: u16, states: StateFlags, rows: &mut Vec<Row>) -> io::Result<()> {
    let socket = <TokioSocket as AsyncSocket>::new(NETLINK_SOCK_DIAG)?;
    socket.socket_ref().connect(&netlink_sys::SocketAddr::new(0, 0))?;
    socket.send(&request(family, port, states)).await?;
    loop {
        let (datagram, sender) = socket.recv_from_full().await?;
        if sender.port_number() == 0 && read(&datagram, rows)? == End::Reached {
            return Ok(());
        }
    }
}

fn request(family: u8, port: u16, states: StateFlags) -> Vec<u8> {
    let mut socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    socket_id.source_port = port;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(
        header,
        NetlinkPayload::InnerMessage(SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            states,
            socket_id,
        })),
    );
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Reached,
    Ahead,
}

/// Reads the messages of one datagram.
fn read(mut datagram: &[u8], rows: &mut Vec<Row>) -> io::Result<End> {
    while !datagram.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(datagram)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match message.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                rows.extend(row(&response));
            }
            NetlinkPayload::Done(_) => return Ok(End::Reached),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::Overrun(_) => {
                return Err(io::Error::other("the kernel's answer was cut short"));
            }
            _ => {}
        }
        // Messages start at multiples of four bytes (netlink(7), NLMSG_ALIGN).
        let length = (message.header.length as usize).next_multiple_of(4).max(4);
        datagram = datagram.get(length..).unwrap_or_default();
    }
    Ok(End::Ahead)
}

fn row(response: &InetResponse) -> Option<Row> {
    let header = &response.header;
    let id = &header.socket_id;
    let state = match header.state {
        TCP_LISTEN => State::Listen,
        TCP_SYN_RECV => State::SynReceived,
        TCP_ESTABLISHED => State::Established,
        TCP_CLOSE_WAIT => State::CloseWait,
        _ => return None,
    };
    let traffic = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::TcpInfo(bytes) => Traffic::parse(bytes),
        _ => None,
    });
    Some(Row {
        state,
        local: address(id.source_address, id.source_port),
        peer: address(id.destination_address, id.destination_port),
        inode: header.inode,
        receive_queue: header.recv_queue,
        send_queue: header.send_queue,
        traffic,
    })
}

/// IPv4 in IPv6 (`::ffff:10.0.0.5`) is the same place as IPv4.
fn address(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

impl Traffic {
    /// The kernel appends fields and never moves one, so what is missing at the end is from an older kernel.
    fn parse(tcp_info: &[u8]) -> Option<Self> {
        let field = |offset: usize| {
            let bytes = tcp_info.get(offset..offset + 4)?;
            bytes.try_into().ok().map(u32::from_ne_bytes)
        };
        Some(Self {
            last_data_sent: field(44)?,
            last_data_received: field(52)?,
            segments: field(152).zip(field(156)).map(|(received, sent)| Segments { received, sent }),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_tcp_info_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let traffic = Traffic::parse(&bytes);
            prop_assert_eq!(traffic.is_some(), bytes.len() >= 56);
            prop_assert_eq!(traffic.is_some_and(|t| t.segments.is_some()), bytes.len() >= 160);
        }
    }

    #[tokio::test]
    async fn only_the_asked_port_is_answered() {
        let one = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = one.local_addr().unwrap();
        let rows = dump(here.port(), StateFlags::LISTEN).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.local).collect::<Vec<_>>(), [here]);
    }
}
