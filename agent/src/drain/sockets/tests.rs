#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::sock_diag::Segments;
use super::*;

fn row(state: State, local: &str, peer: &str) -> Row {
    Row {
        state,
        local: local.parse().unwrap(),
        peer: peer.parse().unwrap(),
        inode: 1,
        receive_queue: 0,
        send_queue: 0,
        traffic: Some(Traffic { last_data_sent: 10, last_data_received: 10, segments: None }),
    }
}

fn sockets(listen: &str, peers: &[&str]) -> Sockets {
    let peers = peers.iter().map(|peer| peer.parse().unwrap()).collect();
    Sockets::new(listen.parse().unwrap(), peers)
}

#[test]
fn a_specific_listener_has_only_connections_to_its_address() {
    let rows = [
        row(State::Listen, "127.0.0.1:80", "0.0.0.0:0"),
        row(State::Established, "127.0.0.1:80", "127.0.0.1:5"),
        row(State::Established, "10.0.0.1:80", "10.0.0.2:5"),
    ];
    let snapshot = sockets("127.0.0.1:80", &[]).select(&rows);
    assert_eq!(snapshot.listeners.len(), 1);
    assert_eq!(snapshot.connections.len(), 1);
}

#[test]
fn a_wildcard_listener_has_connections_to_every_address() {
    for wildcard in ["0.0.0.0:80", "[::]:80"] {
        let rows = [
            row(State::Listen, wildcard, "0.0.0.0:0"),
            row(State::Established, "127.0.0.1:80", "127.0.0.1:5"),
            row(State::Established, "10.0.0.1:80", "10.0.0.2:5"),
        ];
        let snapshot = sockets("127.0.0.1:80", &[]).select(&rows);
        assert_eq!((snapshot.listeners.len(), snapshot.connections.len()), (1, 2));
    }
}

#[test]
fn a_closed_listener_does_not_hide_the_connections_it_left() {
    let rows = [row(State::Established, "10.0.0.1:80", "10.0.0.2:5")];
    let snapshot = sockets("127.0.0.1:80", &[]).select(&rows);
    assert_eq!(snapshot.connections.len(), 1);
}

#[test]
fn a_wildcard_app_has_every_listener_at_its_port() {
    let rows = [row(State::Listen, "127.0.0.1:80", "0.0.0.0:0"), row(State::Listen, "[::1]:80", "[::]:0")];
    assert_eq!(sockets("0.0.0.0:80", &[]).select(&rows).listeners.len(), 2);
}

#[test]
fn connections_of_other_peers_do_not_count_where_the_balancers_are_known() {
    let mut rows = vec![
        row(State::Listen, "0.0.0.0:80", "0.0.0.0:0"),
        row(State::SynReceived, "10.0.0.1:80", "10.0.0.9:5"),
        row(State::Established, "10.0.0.1:80", "10.0.0.9:6"),
    ];
    let sockets = sockets("0.0.0.0:80", &["::ffff:10.0.0.5"]);
    assert!(sockets.select(&rows).sighting(Duration::MAX).left.is_empty());
    rows.push(row(State::Established, "10.0.0.1:80", "10.0.0.5:7"));
    let left = sockets.select(&rows).sighting(Duration::MAX).left;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].place.as_str(), left[0].sessions), ("10.0.0.5", 1));
}

#[test]
fn the_unread_end_of_a_stream_is_no_work() {
    let mut closed = row(State::CloseWait, "10.0.0.1:80", "10.0.0.2:5");
    closed.receive_queue = 1;
    assert!(!Connection::of(&closed).unwrap().is_busy());
    closed.receive_queue = 2;
    assert!(Connection::of(&closed).unwrap().is_busy());
}

#[test]
fn an_answer_owed_since_the_very_first_tick_is_seen() {
    let traffic = |received, sent| Traffic {
        last_data_sent: 8,
        last_data_received: 8,
        segments: Some(Segments { received, sent }),
    };
    assert_eq!(Turn::of(traffic(1, 0)), Turn::App);
    assert_eq!(Turn::of(traffic(0, 0)), Turn::Peer);
}

#[test]
fn a_question_in_the_tick_of_the_last_answer_is_not_taken_for_answered_until_two_ticks_were_silent() {
    let traffic = |received, sent| Traffic {
        last_data_sent: sent,
        last_data_received: received,
        segments: Some(Segments { received: 2, sent: 1 }),
    };
    for age in [0, 10, 19] {
        assert_eq!(Turn::of(traffic(age, age)), Turn::App, "{age} ms");
    }
    assert_eq!(Turn::of(traffic(20, 20)), Turn::Peer);
    // An answer in a later tick than the question.
    assert_eq!(Turn::of(traffic(8, 4)), Turn::Peer);
}

prop_compose! {
    fn connection()(
        peer in 1_u8..4,
        peer_closed: bool,
        unread in 0_u32..3,
        unsent in 0_u32..3,
        owes: bool,
        silent in 0_u64..3,
        inode in 0_u32..3,
    ) -> Connection {
        Connection {
            peer: SocketAddr::new(IpAddr::from([10, 0, 0, peer]), 5),
            peer_closed,
            unread,
            unsent,
            turn: if owes { Turn::App } else { Turn::Peer },
            silent: Duration::from_secs(silent),
            inode,
        }
    }
}

proptest! {
    #[test]
    fn the_sighting_is_empty_exactly_when_nothing_is_in_flight(
        queues in prop::collection::vec(0_u32..2, 0..3),
        half_open in 0_usize..2,
        connections in prop::collection::vec(connection(), 0..5),
    ) {
        let snapshot = Snapshot {
            listen: "127.0.0.1:80".parse().unwrap(),
            listeners: queues.iter().map(|&accept_queue| Listener { inode: 1, accept_queue }).collect(),
            half_open: vec!["10.0.0.9:5".parse().unwrap(); half_open],
            connections: connections.clone(),
        };
        let queued = u64::from(queues.iter().sum::<u32>()) + half_open as u64;
        let idle_ages = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::MAX];
        for idle_after in idle_ages {
            let sessions = connections.iter().filter(|c| {
                c.inode == 0 || c.unread > 0 || c.unsent > 0 || c.turn == Turn::App || c.silent < idle_after
            }).count() as u64;
            let left = snapshot.sighting(idle_after).left;
            prop_assert_eq!(left.iter().map(|l| l.sessions).sum::<u64>(), sessions);
            prop_assert_eq!(left.iter().map(|l| l.queued).sum::<u64>(), queued);
            prop_assert_eq!(left.is_empty(), sessions + queued == 0);
        }
    }
}
