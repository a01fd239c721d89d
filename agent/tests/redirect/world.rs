//! A network of its own, an echoing app, and a neighbour.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use pitstop::config::settings::Label;
use pitstop::rotation::iptables::Variant;
use pitstop::rotation::redirect::Redirect;

pub(crate) const CHECK: u16 = 2000;

pub(crate) const VARIANTS: [(Variant, &str, &str); 2] =
    [(Variant::Nft, "iptables-nft", "ip6tables-nft"), (Variant::Legacy, "iptables-legacy", "ip6tables-legacy")];

/// Runs a test in a thread with a network and a `/run` (where the locks are) of its own; what it starts inherits both.
pub(crate) fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        mount(None::<&str>, "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        sh("ip link set lo up");
        block_on(test());
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

pub(crate) fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// An app that echoes.
pub(crate) fn app(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
}

pub(crate) fn redirect(listen: &str, variant: Variant) -> Redirect {
    let name: Label = "web".parse().unwrap();
    Redirect::with_variant(name, listen.parse().unwrap(), CHECK, variant)
}

pub(crate) fn answers(address: &str) -> bool {
    let address: SocketAddr = address.parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

pub(crate) fn count(program: &str, needle: &str) -> usize {
    let rules = sh(&format!("{program}-save"));
    rules.lines().filter(|line| line.contains(needle)).count()
}

/// A second host, joined by a veth; it has no routes but to ours.
pub(crate) struct Neighbour(Child);

impl Neighbour {
    pub(crate) fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ready = child.stdout.as_mut().unwrap();
        ready.read_exact(&mut [0]).unwrap();
        let neighbour = Self(child);
        sh(&format!(
            "ip link add near type veth peer name far netns {}
             ip addr add 10.9.0.1/24 dev near; ip addr add 10.9.0.7/24 dev near
             ip addr add fd09::1/64 dev near nodad; ip addr add fd09::7/64 dev near nodad
             ip link set near up",
            neighbour.0.id()
        ));
        neighbour.sh("ip link set lo up; ip addr add 10.9.0.2/24 dev far
             ip addr add fd09::2/64 dev far nodad; ip link set far up");
        // The kernel makes a new link and its addresses usable a moment later: ready is what a round trip shows.
        let _listener = TcpListener::bind("[::]:7").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        for host in ["10.9.0.1", "10.9.0.7", "fd09::1", "fd09::7"] {
            let near = SocketAddr::new(host.parse().unwrap(), 7).to_string();
            while !neighbour.reaches(host, 7) || !answers(&near) {
                assert!(Instant::now() < deadline, "{host} can't be reached");
            }
        }
        neighbour
    }

    pub(crate) fn sh(&self, command: &str) -> String {
        sh(&format!("nsenter -t {} -n sh -ec '{command}'", self.0.id()))
    }

    pub(crate) fn reaches(&self, host: &str, port: u16) -> bool {
        let pid = self.0.id().to_string();
        let connect = format!("exec 3<>/dev/tcp/{host}/{port}");
        let output =
            Command::new("nsenter").args(["-t", &pid, "-n", "timeout", "1", "bash", "-c", &connect]).output().unwrap();
        output.status.success()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
