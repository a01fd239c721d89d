//! TLS probes, against certificates made by openssl.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pitstop::config::settings::{HttpProbe, ProbeKind};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::*;

/// An authority, and a server whose certificate it signed for `app.test`.
struct Site {
    files: TempDir,
    address: SocketAddr,
}

impl Site {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let at = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority = ["-keyout", &at("ca.key"), "-out", &at("ca.pem")];
        let subject = ["-subj", "/CN=Test authority", "-days", "1"];
        run("openssl", &[&["req", "-x509"], &key[..], &authority, &subject].concat());
        let request = ["-keyout", &at("app.key"), "-out", &at("app.csr"), "-subj", "/CN=app"];
        run("openssl", &[&["req"], &key[..], &request].concat());
        std::fs::write(at("names"), "subjectAltName=DNS:app.test").unwrap();
        let sign = ["-CA", &at("ca.pem"), "-CAkey", &at("ca.key"), "-CAcreateserial", "-days", "1"];
        let files_of = ["-in", &at("app.csr"), "-extfile", &at("names"), "-out", &at("app.pem")];
        run("openssl", &[&["x509", "-req"], &sign[..], &files_of].concat());
        let address = serve_tls(files.path()).await;
        Self { files, address }
    }

    fn probe(&self) -> HttpProbe {
        HttpProbe { tls: true, ca: Some(self.path("ca.pem")), ..http_at(self.address) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }
}

async fn serve_tls(files: &Path) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(files.join("app.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(files.join("app.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                head(&mut stream).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

#[test]
fn a_certificate_must_come_from_the_authority_and_bear_the_name() {
    in_own_namespace(|| async {
        let site = Site::start().await;
        let named = HttpProbe { server_name: Some("app.test".to_owned()), ..site.probe() };
        assert_eq!(once(ProbeKind::Http(named.clone())).await, Ok(()));
        let seen = failure(ProbeKind::Http(site.probe())).await;
        assert!(seen.contains("not valid for name \"127.0.0.1\""), "{seen}");
        hosts("127.0.0.1 app.test\n");
        let by_name = HttpProbe { host: "app.test".to_owned(), ..site.probe() };
        assert_eq!(once(ProbeKind::Http(by_name)).await, Ok(()));
        let system = HttpProbe { ca: None, ..named };
        let Ok(requirements) = requirements(vec![ready(ProbeKind::Http(system), Duration::from_secs(2))]) else {
            return; // A host without any authority refuses at once, which is as good.
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(2);
        let seen = requirements[0].probe.once(deadline).await.unwrap_err();
        assert!(seen.to_string().contains("UnknownIssuer"), "{seen}");
    });
}

#[test]
fn insecure_accepts_any_certificate() {
    in_own_namespace(|| async {
        let site = Site::start().await;
        let insecure = HttpProbe { insecure: true, ca: None, ..site.probe() };
        assert_eq!(once(ProbeKind::Http(insecure)).await, Ok(()));
    });
}

#[test]
fn a_server_without_tls_is_told_apart() {
    in_own_namespace(|| async {
        let (address, _) = serve_bytes("127.0.0.1:0", "HTTP/1.1 400 Bad\r\n\r\n").await;
        let probe = HttpProbe { tls: true, insecure: true, ..http_at(address) };
        let seen = failure(ProbeKind::Http(probe)).await;
        assert!(seen.starts_with("TLS: "), "{seen}");
    });
}

#[test]
fn certificates_are_read_once_and_what_is_wrong_with_them_is_said_with_a_hint() {
    in_own_namespace(|| async {
        let site = Site::start().await;
        let with_ca = |name: &str| {
            let probe = HttpProbe { ca: Some(site.path(name)), ..site.probe() };
            requirements(vec![ready(ProbeKind::Http(probe), Duration::from_secs(2))])
        };
        let missing = with_ca("missing.pem").unwrap_err();
        assert!(missing.to_string().contains("missing.pem can't be read"), "{missing}");
        assert!(missing.hint.is_some() && missing.source.is_some());
        let empty = with_ca("names").unwrap_err();
        assert!(empty.to_string().contains("there is no certificate in"), "{empty}");
        let named = HttpProbe { server_name: Some("app.test".to_owned()), ..site.probe() };
        let kept = requirements(vec![ready(ProbeKind::Http(named), Duration::from_secs(2))]).unwrap();
        std::fs::remove_file(site.path("ca.pem")).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(2);
        assert_eq!(kept[0].probe.once(deadline).await, Ok(()));
    });
}
