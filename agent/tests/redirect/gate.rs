//! The gate before the traffic port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pitstop::rotation::error::RulesError;
use pitstop::rotation::gate::Gate;
use pitstop::rotation::mark::connect_marked;

use crate::world::{VARIANTS, alone, answers, app, count, sh};

#[test]
fn a_closed_gate_turns_away_new_connections_but_not_probes_nor_what_is_established() {
    for (variant, _, _) in VARIANTS {
        for (listen, near) in [
            ("127.0.0.1:1000", "127.0.0.1:1000"),
            ("[::1]:1000", "[::1]:1000"),
            ("[::]:1000", "[::1]:1000"),
            ("[::]:1000", "127.0.0.1:1000"),
        ] {
            alone(move || async move {
                app(listen);
                let address: SocketAddr = near.parse().unwrap();
                let gate = Gate::with_variant(listen.parse().unwrap(), variant);
                let mut established = TcpStream::connect(address).unwrap();
                let mut echo = |byte: u8| {
                    established.write_all(&[byte]).unwrap();
                    let mut back = [0];
                    established.read_exact(&mut back).unwrap();
                    assert_eq!(back, [byte]);
                };
                echo(1);
                gate.open().await.unwrap();
                for _ in 0..2 {
                    gate.close().await.unwrap();
                    assert!(gate.is_closed().await.unwrap());
                }
                let started = Instant::now();
                let refused = TcpStream::connect(address).unwrap_err();
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
                assert!(started.elapsed() < Duration::from_millis(200));
                let deadline = Instant::now() + Duration::from_secs(1);
                connect_marked(address, deadline).await.unwrap();
                echo(2);
                for _ in 0..2 {
                    gate.open().await.unwrap();
                    assert!(!gate.is_closed().await.unwrap());
                }
                assert!(answers(near));
                echo(3);
            });
        }
    }
}

#[test]
fn a_gate_is_closed_also_where_somebody_has_got_before_its_jump() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let gate = Gate::with_variant("127.0.0.1:1000".parse().unwrap(), variant);
            gate.close().await.unwrap();
            sh(&format!("{program} -I INPUT 1 -i lo -j ACCEPT"));
            assert!(answers("127.0.0.1:1000"));
            gate.close().await.unwrap();
            assert!(!answers("127.0.0.1:1000"));
            assert_eq!(count(program, "--dport 1000"), 1);
            gate.open().await.unwrap();
            assert!(answers("127.0.0.1:1000"));
        });
    }
}

#[test]
fn a_gate_that_lets_a_connection_through_is_not_called_closed() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let gate = Gate::with_variant("127.0.0.1:1000".parse().unwrap(), variant);
            // Whoever carries the mark passes.
            let mark = "-j MARK --set-mark 0x70697473";
            sh(&format!("{program} -t mangle -A INPUT {mark}"));
            let error = gate.close().await.unwrap_err();
            assert!(matches!(error, RulesError::GateOpen { .. }), "{error:?}");
        });
    }
}
