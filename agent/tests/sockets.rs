//! The kernel's witness against real connections, each test in a network namespace of its own (needs root).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use pitstop::drain::sockets::{Snapshot, Sockets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than any kernel's tick, which is what the times in its socket table are made of.
const TICKS: Duration = Duration::from_millis(25);
const REQUEST: &str = "GET / HTTP/1.1\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn in_namespace(test: impl AsyncFnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.unwrap().success());
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    })
    .join()
    .unwrap();
}

fn sockets(listen: &str) -> Sockets {
    Sockets::new(listen.parse().unwrap(), Vec::new())
}

/// The first snapshot for which `wanted` holds.
async fn until(sockets: &Sockets, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let snapshot = sockets.snapshot().await.unwrap();
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "still {snapshot:#?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn busy(snapshot: &Snapshot) -> bool {
    !snapshot.sighting(Duration::ZERO).left.is_empty()
}

async fn pair(address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).await.unwrap();
    let (client, server) = connect(&listener, address).await;
    (listener, client, server)
}

async fn connect(listener: &TcpListener, address: &str) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

async fn say(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).await.unwrap();
    let mut heard = vec![0; text.len()];
    to.read_exact(&mut heard).await.unwrap();
}

#[test]
fn a_kept_alive_connection_is_idle_and_counts_only_until_it_was_silent_for_long_enough() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let (_listener, mut client, mut server) = pair("127.0.0.1:80").await;
        until(&sockets, |now| !busy(now)).await;
        say(&mut client, &mut server, REQUEST).await;
        say(&mut server, &mut client, ANSWER).await;
        let idle = until(&sockets, |now| !busy(now)).await;
        let left = idle.sighting(Duration::MAX).left;
        assert_eq!((left[0].place.as_str(), left[0].sessions), ("127.0.0.1", 1));

        let long_enough = Duration::from_millis(50);
        let begun = Instant::now();
        until(&sockets, |now| now.sighting(long_enough).left.is_empty()).await;
        assert!(begun.elapsed() >= long_enough / 2);
        say(&mut client, &mut server, REQUEST).await;
        say(&mut server, &mut client, ANSWER).await;
        assert!(!sockets.snapshot().await.unwrap().sighting(long_enough).left.is_empty());
    });
}

#[test]
fn a_request_that_waits_for_its_answer_is_busy_the_first_time_and_later() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let (_listener, mut client, mut server) = pair("127.0.0.1:80").await;
        for _ in 0..3 {
            say(&mut client, &mut server, REQUEST).await;
            assert!(busy(&sockets.snapshot().await.unwrap()));
            tokio::time::sleep(TICKS).await;
            assert!(busy(&sockets.snapshot().await.unwrap()));
            say(&mut server, &mut client, ANSWER).await;
            until(&sockets, |now| !busy(now)).await;
            tokio::time::sleep(TICKS).await;
        }
    });
}

#[test]
fn a_connection_nobody_accepted_is_busy() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let _listener = TcpListener::bind("127.0.0.1:80").await.unwrap();
        let _client = TcpStream::connect("127.0.0.1:80").await.unwrap();
        let now = until(&sockets, |now| now.listeners[0].accept_queue == 1).await;
        assert!(busy(&now));
        assert_eq!(now.connections[0].inode, 0);
    });
}

#[test]
fn a_handshake_that_is_not_over_is_busy() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let _listener = TcpListener::bind("127.0.0.1:80").await.unwrap();
        let drop_answers = "add table inet t; \
            add chain inet t c { type filter hook output priority 0; }; \
            add rule inet t c tcp sport 80 tcp flags & (syn|ack) == syn|ack drop";
        let nft = Command::new("nft").arg(drop_answers).status().unwrap();
        assert!(nft.success());
        let client = tokio::spawn(TcpStream::connect("127.0.0.1:80"));
        let now = until(&sockets, |now| !now.half_open.is_empty()).await;
        assert!(busy(&now));
        client.abort();
    });
}

#[test]
fn a_half_sent_body_is_busy() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let (_listener, mut client, mut server) = pair("127.0.0.1:80").await;
        let head = "POST / HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
        say(&mut client, &mut server, head).await;
        say(&mut server, &mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
        tokio::time::sleep(TICKS).await;
        say(&mut client, &mut server, "half.").await;
        tokio::time::sleep(TICKS).await;
        assert!(busy(&sockets.snapshot().await.unwrap()));
    });
}

#[test]
fn bytes_the_app_has_not_read_are_busy() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let (_listener, mut client, _server) = pair("127.0.0.1:80").await;
        client.write_all(b"GET /").await.unwrap();
        let now = until(&sockets, |now| now.connections[0].unread == 5).await;
        assert!(busy(&now));
    });
}

#[test]
fn an_answer_the_peer_does_not_take_is_busy() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let (_listener, mut client, mut server) = pair("127.0.0.1:80").await;
        say(&mut client, &mut server, REQUEST).await;
        let chunk = [0; 65536];
        while let Ok(sent) = tokio::time::timeout(TICKS, server.write(&chunk)).await {
            sent.unwrap();
        }
        let now = sockets.snapshot().await.unwrap();
        assert!(now.connections[0].unsent > 0);
        assert!(busy(&now));
    });
}

#[test]
fn a_closed_peer_is_idle_once_its_request_is_answered() {
    in_namespace(async || {
        let sockets = sockets("127.0.0.1:80");
        let (_listener, mut client, mut server) = pair("127.0.0.1:80").await;
        say(&mut client, &mut server, REQUEST).await;
        client.shutdown().await.unwrap();
        let now = until(&sockets, |now| now.connections[0].peer_closed).await;
        assert!(busy(&now));
        say(&mut server, &mut client, ANSWER).await;
        until(&sockets, |now| !busy(now)).await;
    });
}

#[test]
fn ipv6_is_seen() {
    in_namespace(async || {
        let sockets = sockets("[::1]:80");
        let (_listener, mut client, mut server) = pair("[::1]:80").await;
        say(&mut client, &mut server, REQUEST).await;
        let left = until(&sockets, busy).await.sighting(Duration::ZERO).left;
        assert_eq!(left[0].place, "::1");
    });
}

#[test]
fn ipv4_clients_of_an_ipv6_listener_are_known_by_their_ipv4_address() {
    in_namespace(async || {
        let listener = TcpListener::bind("[::]:80").await.unwrap();
        let (mut client, mut server) = connect(&listener, "127.0.0.1:80").await;
        say(&mut client, &mut server, REQUEST).await;
        let listen = "127.0.0.1:80".parse().unwrap();
        for peers in [vec![], vec!["127.0.0.1".parse().unwrap()]] {
            let now = until(&Sockets::new(listen, peers), busy).await;
            assert_eq!(now.listeners.len(), 1);
            assert_eq!(now.sighting(Duration::ZERO).left[0].place, "127.0.0.1");
        }
        let others = Sockets::new(listen, vec!["10.0.0.5".parse().unwrap()]);
        assert!(!busy(&others.snapshot().await.unwrap()));
    });
}

#[test]
fn two_ports_do_not_mix() {
    in_namespace(async || {
        let (_one, _client, _server) = pair("127.0.0.1:80").await;
        let (_two, mut client, mut server) = pair("127.0.0.1:81").await;
        say(&mut client, &mut server, REQUEST).await;
        until(&sockets("127.0.0.1:81"), busy).await;
        let quiet = until(&sockets("127.0.0.1:80"), |now| !busy(now)).await;
        assert_eq!(quiet.connections.len(), 1);
    });
}

#[test]
fn another_app_at_the_same_port_of_another_address_is_not_seen() {
    in_namespace(async || {
        let (_other, mut client, mut server) = pair("127.0.0.2:80").await;
        say(&mut client, &mut server, REQUEST).await;
        let _app = TcpListener::bind("127.0.0.1:80").await.unwrap();
        let now = sockets("127.0.0.1:80").snapshot().await.unwrap();
        assert_eq!(now.listeners.len(), 1);
        assert!(now.connections.is_empty());
    });
}

#[test]
fn the_holder_of_the_listening_socket_is_found_and_nobody_else() {
    in_namespace(async || {
        let listener = TcpListener::bind("127.0.0.1:80").await.unwrap();
        let _client = TcpStream::connect("127.0.0.1:80").await.unwrap();
        let sockets = sockets("127.0.0.1:80");
        let holders = sockets.holders().await.unwrap();
        let pids: Vec<u32> = holders.iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [std::process::id()]);
        drop(listener);
        assert!(sockets.holders().await.unwrap().is_empty());
    });
}

#[test]
fn more_connections_than_fit_into_one_message_are_all_seen() {
    in_namespace(async || {
        let listener = TcpListener::bind("127.0.0.1:80").await.unwrap();
        let mut open = Vec::new();
        for _ in 0..1000 {
            open.push(connect(&listener, "127.0.0.1:80").await);
        }
        let sockets = sockets("127.0.0.1:80");
        let now = sockets.snapshot().await.unwrap();
        assert_eq!(now.sighting(Duration::MAX).left[0].sessions, 1000);
    });
}
