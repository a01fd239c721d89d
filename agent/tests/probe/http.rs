//! HTTP probes.

use std::time::{Duration, Instant};

use pitstop::config::settings::{HttpProbe, Probe, ProbeKind};
use tokio::io::AsyncWriteExt;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_healthy_app_is_proven_with_a_connection_for_every_pass() {
    in_own_namespace(|| async {
        let (address, requests) = serve_bytes("127.0.0.1:0", OK).await;
        let probe = Probe { rise: 3, ..ready(ProbeKind::Http(http_at(address)), Duration::from_secs(5)) };
        let proof = prove_all(vec![probe]).await.unwrap();
        assert_eq!(proof.probes[0].tries, 3);
        assert!(proof.took >= Duration::from_millis(10));
        assert!(proof.took < Duration::from_secs(1), "{:?}", proof.took);
        let requests = requests.lock().unwrap();
        assert_eq!(requests.len(), 3);
        let request = requests[0].to_lowercase();
        assert!(request.starts_with("get /health http/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
        assert!(request.contains("connection: close\r\n"), "{request}");
        let agent = concat!("user-agent: pitstop/", env!("CARGO_PKG_VERSION"), "\r\n");
        assert!(request.contains(agent), "{request}");
    });
}

#[test]
fn an_app_that_comes_up_late_is_proven_soon_after() {
    in_own_namespace(|| async {
        let probe = ready(ProbeKind::Http(http("127.0.0.1", 1000)), Duration::from_secs(5));
        let (up, proof) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = serve_bytes("127.0.0.1:1000", OK).await;
                Instant::now()
            },
            async {
                let proof = prove_all(vec![probe]).await.unwrap();
                (proof, Instant::now())
            }
        );
        let (proof, proven) = proof;
        assert!(proof.probes[0].tries > 10, "{proof:?}");
        assert!(proven - up < Duration::from_millis(500), "{:?}", proven - up);
    });
}

#[test]
fn ipv6_is_probed_with_and_without_brackets() {
    in_own_namespace(|| async {
        let (address, requests) = serve_bytes("[::1]:0", OK).await;
        for host in ["::1", "[::1]"] {
            let probe = http(host, address.port());
            assert_eq!(once(ProbeKind::Http(probe)).await, Ok(()));
        }
        let wanted = format!("host: [::1]:{}\r\n", address.port());
        assert!(requests.lock().unwrap()[0].to_lowercase().contains(&wanted));
    });
}

#[test]
fn a_name_is_tried_at_each_of_its_addresses() {
    in_own_namespace(|| async {
        hosts("::1 app.test\n127.0.0.2 app.test\n127.0.0.3 app.test\n");
        let (address, requests) = serve_bytes("127.0.0.3:0", OK).await;
        let probe = http("app.test", address.port());
        assert_eq!(once(ProbeKind::Http(probe)).await, Ok(()));
        assert!(requests.lock().unwrap()[0].contains("app.test:"));
        let seen = failure(ProbeKind::Http(http("app.test", 9))).await;
        assert!(seen.contains("[::1]:9: connect: Connection refused"), "{seen}");
        assert!(seen.contains("127.0.0.3:9: connect: Connection refused"), "{seen}");
        let seen = failure(ProbeKind::Http(http("nobody.test", 80))).await;
        assert!(seen.starts_with("resolve nobody.test: "), "{seen}");
    });
}

/// Asks a server that answers with these bytes.
async fn seen(answer: &'static str, change: impl FnOnce(&mut HttpProbe)) -> Result<(), String> {
    let (address, _) = serve_bytes("127.0.0.1:0", answer).await;
    let mut probe = http_at(address);
    change(&mut probe);
    once(ProbeKind::Http(probe)).await.map_err(|failure| failure.to_string())
}

#[test]
fn the_status_must_be_one_of_those_wanted() {
    in_own_namespace(|| async {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let result = seen(answer, |_| ()).await;
        assert_eq!(result.unwrap_err(), "status 503, wanted 200");
        let result = seen(answer, |probe| probe.status = vec![401, 405]).await;
        assert_eq!(result.unwrap_err(), "status 503, wanted 401 or 405");
        let result = seen(answer, |probe| probe.status = vec![401, 503]).await;
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn a_redirect_is_not_followed() {
    in_own_namespace(|| async {
        let answer = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
        let result = seen(answer, |_| ()).await;
        assert_eq!(result.unwrap_err(), "status 302, wanted 200");
    });
}

#[test]
fn required_headers_must_have_their_values() {
    in_own_namespace(|| async {
        let answer = "HTTP/1.1 200 OK\r\nX-Build: 7\r\nX-Build: 8\r\nContent-Length: 0\r\n\r\n";
        let with = |name: &'static str, value: &'static str| {
            seen(answer, move |probe| probe.headers = vec![header(name, value)])
        };
        assert_eq!(with("x-build", "8").await, Ok(()));
        let result = with("X-Build", "9").await;
        assert_eq!(result.unwrap_err(), r#"header X-Build is "7", wanted "9""#);
        let result = with("X-Node", "a").await;
        assert_eq!(result.unwrap_err(), r#"no header X-Node, wanted "a""#);
    });
}

#[test]
fn request_headers_replace_ours() {
    in_own_namespace(|| async {
        let (address, requests) = serve_bytes("127.0.0.1:0", OK).await;
        let probe = HttpProbe {
            request_headers: vec![header("Host", "shop.example"), header("X-Probe", "1")],
            ..http_at(address)
        };
        assert_eq!(once(ProbeKind::Http(probe)).await, Ok(()));
        let request = requests.lock().unwrap()[0].to_lowercase();
        assert_eq!(request.matches("host:").count(), 1);
        assert!(request.contains("host: shop.example\r\n"), "{request}");
        assert!(request.contains("x-probe: 1\r\n"), "{request}");
    });
}

#[test]
fn the_body_must_contain_the_text() {
    in_own_namespace(|| async {
        let contains = |text: &str| {
            let text = text.to_owned();
            seen(OK, move |probe| probe.contains = Some(text))
        };
        assert_eq!(contains("ok").await, Ok(()));
        let result = contains("okay").await;
        assert_eq!(result.unwrap_err(), r#"body does not contain "okay""#);
    });
}

#[test]
fn a_text_that_arrives_in_pieces_is_found_before_the_body_ends() {
    in_own_namespace(|| async {
        let (address, _) = serve("127.0.0.1:0", |mut stream, _| async move {
            let pieces = ["HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n..dbs: re", "ady.."];
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::future::pending().await
        })
        .await;
        let probe = HttpProbe { contains: Some("dbs: ready".to_owned()), ..http_at(address) };
        assert_eq!(once(ProbeKind::Http(probe)).await, Ok(()));
    });
}

#[test]
fn a_body_of_10_gb_costs_one_mib() {
    in_own_namespace(|| async {
        let (address, _) = serve("127.0.0.1:0", |mut stream, _| async move {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
            let chunk = vec![b'x'; 65_536];
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&chunk).await.is_ok() {}
        })
        .await;
        let start = Instant::now();
        let plain = http_at(address);
        assert_eq!(once(ProbeKind::Http(plain.clone())).await, Ok(()));
        let searching = HttpProbe { contains: Some("ready".to_owned()), ..plain };
        assert_eq!(failure(ProbeKind::Http(searching)).await, r#"body does not contain "ready" in its first MiB"#);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    });
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up_at_the_deadline() {
    in_own_namespace(|| async {
        let (address, _) = serve("127.0.0.1:0", |stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let start = Instant::now();
        let seen = failure(ProbeKind::Http(http_at(address))).await;
        assert_eq!(seen, "no answer within 2 s");
        assert!(start.elapsed() < Duration::from_millis(2500));
    });
}

#[test]
fn a_try_that_hangs_is_not_all_that_is_tried() {
    in_own_namespace(|| async {
        let (address, _) = serve("127.0.0.1:0", |mut stream, connection| async move {
            if connection == 1 {
                std::future::pending::<()>().await;
            }
            let _ = stream.write_all(OK.as_bytes()).await;
        })
        .await;
        let probe = ready(ProbeKind::Http(http_at(address)), Duration::from_secs(20));
        let proof = prove_all(vec![probe]).await.unwrap();
        assert_eq!(proof.probes[0].tries, 2);
        assert!(proof.took < Duration::from_millis(5500), "{:?}", proof.took);
    });
}

#[test]
fn broken_answers_are_told_apart() {
    in_own_namespace(|| async {
        let result = seen("", |_| ()).await;
        assert_eq!(result.unwrap_err(), "closed before the answer was complete");
        let result = seen("SSH-2.0-OpenSSH_9.2\r\n", |_| ()).await.unwrap_err();
        assert!(result.starts_with("not HTTP: "), "{result}");
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nre";
        let result = seen(half, |probe| probe.contains = Some("ready".to_owned())).await;
        let result = result.unwrap_err();
        assert!(result.starts_with(r#"body does not contain "ready", it broke off"#), "{result}");
        let refused = failure(ProbeKind::Http(http("127.0.0.1", 9))).await;
        assert_eq!(refused, "connect: Connection refused");
    });
}

#[test]
fn an_app_that_flaps_is_not_proven_until_it_passes_in_a_row() {
    in_own_namespace(|| async {
        let (address, requests) = serve("127.0.0.1:0", |mut stream, connection| async move {
            let status = if connection < 8 && connection % 2 == 0 { 500 } else { 200 };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let probe = Probe { rise: 3, ..ready(ProbeKind::Http(http_at(address)), Duration::from_secs(5)) };
        let proof = prove_all(vec![probe]).await.unwrap();
        assert_eq!(proof.probes[0].tries, 9);
        assert_eq!(requests.lock().unwrap().len(), 9);
    });
}

#[test]
fn every_probe_that_does_not_pass_is_named() {
    in_own_namespace(|| async {
        let (up, _) = serve_bytes("127.0.0.1:0", OK).await;
        let short = Duration::from_millis(500);
        let error = prove_all(vec![
            ready(ProbeKind::Http(http("127.0.0.1", 9)), short),
            ready(ProbeKind::Http(http_at(up)), short),
            ready(ProbeKind::Command(vec!["false".to_owned()]), short),
        ])
        .await
        .unwrap_err();
        let text = error.to_string();
        assert_eq!(error.probes.len(), 2);
        assert!(text.starts_with("GET http://127.0.0.1:9/health → 200: connect: Connection refused ("), "{text}");
        assert!(text.contains("; false → exit 0: exit 1 ("), "{text}");
    });
}
