//! TCP probes.

use pitstop::config::settings::ProbeKind;
use tokio::net::TcpListener;

use crate::support::*;

#[test]
fn a_port_that_accepts_passes_and_one_that_does_not_is_refused() {
    in_own_namespace(|| async {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await.unwrap();
            let address = listener.local_addr().unwrap();
            assert_eq!(once(ProbeKind::Tcp(address)).await, Ok(()));
            drop(listener);
            assert_eq!(failure(ProbeKind::Tcp(address)).await, "connect: Connection refused");
        }
    });
}

#[test]
fn a_port_that_answers_nothing_is_given_up_at_the_deadline() {
    in_own_namespace(|| async {
        let rule = "INPUT -p tcp --dport 1000 -j DROP";
        run("iptables", &rule_arguments(rule));
        let seen = failure(ProbeKind::Tcp("127.0.0.1:1000".parse().unwrap())).await;
        assert_eq!(seen, "connect: no answer within 2 s");
    });
}

#[test]
fn a_probe_passes_a_gate_that_rejects_everyone_without_the_mark() {
    in_own_namespace(|| async {
        let (address, _) = serve_bytes("127.0.0.1:1000", "").await;
        let rule = "OUTPUT -p tcp --dport 1000 -m mark ! --mark 0x70697473 \
                    -j REJECT --reject-with tcp-reset";
        run("iptables", &rule_arguments(rule));
        assert_eq!(once(ProbeKind::Tcp(address)).await, Ok(()));
        let client = tokio::net::TcpStream::connect(address).await;
        assert!(client.is_err(), "the gate is closed for others");
    });
}

#[test]
fn a_port_where_nobody_listens_does_not_answer_to_itself() {
    in_own_namespace(|| async {
        // Two ports to choose from: every other connect to one of them comes from that very port.
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001").unwrap();
        let port = ProbeKind::Tcp("127.0.0.1:40000".parse().unwrap());
        let mut to_itself = 0;
        for _ in 0..40 {
            let seen = failure(port.clone()).await;
            to_itself += usize::from(seen == "connect: nobody listens");
        }
        assert!(to_itself > 0, "no connect came from the port itself");
        // And the port is free for the app at once.
        TcpListener::bind("127.0.0.1:40000").await.unwrap();
        std::net::TcpListener::bind("127.0.0.1:40000").unwrap();
    });
}

fn rule_arguments(rule: &str) -> Vec<&str> {
    ["-w", "-A"].into_iter().chain(rule.split_whitespace()).collect()
}
