//! A namespace, servers that answer as told, and probes as the configuration would have them.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use pitstop::config::settings::{
    Action, App, Drain, Guard, HttpProbe, Manager, OnTimeout, Probe, ProbeKind, PutBack, Service, Unlisted, Unreachable,
};
use pitstop::probe::{Failure, NotReady, ProbeError, Proof, Requirement, probes_for, prove};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Runs the future on a thread in a network and mount namespace of its own, as the agent runs: one thread.
pub(crate) fn in_own_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("run as root");
        run("mount", &["--make-rprivate", "/"]);
        run("ip", &["link", "set", "lo", "up"]);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async { tokio::time::timeout(Duration::from_secs(30), test()).await })
            .expect("the test ends in 30 s");
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the server was sent, one text per connection.
pub(crate) type Requests = Arc<Mutex<Vec<String>>>;

/// Listens on the address and answers every connection with what `answer` does.
pub(crate) async fn serve<F, R>(address: &str, answer: F) -> (SocketAddr, Requests)
where
    F: Fn(TcpStream, usize) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        for connection in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = head(&mut stream).await;
            seen.lock().unwrap().push(request);
            tokio::spawn(answer(stream, connection));
        }
    });
    (address, requests)
}

/// Listens on the address, and answers every request with the same bytes.
pub(crate) async fn serve_bytes(address: &str, answer: &'static str) -> (SocketAddr, Requests) {
    serve(address, move |mut stream, _| async move {
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

/// Reads to the end of the request's head.
pub(crate) async fn head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A probe that passes with status 200.
pub(crate) fn http(host: &str, port: u16) -> HttpProbe {
    HttpProbe {
        tls: false,
        host: host.to_owned(),
        port,
        path: "/health".to_owned(),
        status: vec![200],
        request_headers: vec![],
        headers: vec![],
        contains: None,
        ca: None,
        server_name: None,
        insecure: false,
    }
}

/// The same, at an address.
pub(crate) fn http_at(address: SocketAddr) -> HttpProbe {
    http(&address.ip().to_string(), address.port())
}

/// The probe as `[[apps.X.ready]]` has it: one pass is enough.
pub(crate) fn ready(kind: ProbeKind, timeout: Duration) -> Probe {
    Probe { kind, rise: 1, interval: Duration::from_millis(10), timeout }
}

/// What [`probes_for`] makes of an app with these probes.
pub(crate) fn requirements(ready: Vec<Probe>) -> Result<Vec<Requirement>, ProbeError> {
    probes_for(&App {
        name: "web".parse().unwrap(),
        balancers: vec![],
        servers: vec![],
        backups: vec![],
        listen: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 1000),
        unreachable: Unreachable::Abort,
        unlisted: Unlisted::Refuse,
        put_back: PutBack::Probed,
        hold: Duration::ZERO,
        on_alert: vec![],
        redirect: None,
        drain: Drain {
            idle_after: Duration::from_secs(10),
            timeout: Duration::ZERO,
            on_timeout: OnTimeout::Abort,
            sticky_grace: Duration::ZERO,
            kills_on_down: None,
        },
        service: Service {
            manager: Manager::Command { restart: vec!["true".to_owned()], pidfile: None },
            action: Action::Restart,
            revert: vec![],
            attempts: 1,
            timeout: Duration::ZERO,
        },
        ready,
        guard: Guard::default(),
        ramp: None,
    })
}

/// Proves with a fresh set of probes.
pub(crate) async fn prove_all(ready: Vec<Probe>) -> Result<Proof, NotReady> {
    prove(&requirements(ready).unwrap(), &|_| {}).await
}

/// One try, which may take 2 s.
pub(crate) async fn once(kind: ProbeKind) -> Result<(), Failure> {
    let requirements = requirements(vec![ready(kind, Duration::from_secs(2))]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    requirements[0].probe.once(deadline).await
}

/// What one try saw instead.
pub(crate) async fn failure(kind: ProbeKind) -> String {
    once(kind).await.expect_err("the try fails").to_string()
}

/// The names and addresses that the resolver knows, for this namespace alone.
pub(crate) fn hosts(text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    run("mount", &["--bind", file.path().to_str().unwrap(), "/etc/hosts"]);
}

/// A header, as the settings have it.
pub(crate) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
