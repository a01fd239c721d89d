//! A real HAProxy in a network namespace and a directory of its own.
#![allow(clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "it polls on a thread of its own, with a deadline")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pitstop::haproxy::{Address, Client, MasterClient};
use tempfile::TempDir;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A HAProxy with a master and a worker. Its own frontend on port 1000 is the app that answers its checks.
pub(crate) struct Bed {
    version: &'static str,
    directory: TempDir,
    master: Child,
}

/// Runs the body in a thread that has a network of its own, against a HAProxy of this version.
pub(crate) fn run<F>(version: &'static str, body: F)
where
    F: AsyncFnOnce(&Bed) + Send + 'static,
{
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root for a network of their own");
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("these tests need `ip` (package iproute2)").success());
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let bed = Bed::start(version);
            let client = bed.client();
            eventually("HAProxy answers", async || client.info().await.is_ok()).await;
            let master = MasterClient::new(bed.socket("master.sock"));
            eventually("the master answers", async || master.show_proc().await.is_ok()).await;
            body(&bed).await;
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until it is so, looking every 10 ms.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Bed {
    fn start(version: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("haproxy.cfg");
        fs::write(&configuration, configured(directory.path().to_str().unwrap())).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let master = Command::new(binary(version))
            .args(["-W", "-db", "-S"])
            .arg(directory.path().join("master.sock"))
            .arg("-f")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { version, directory, master }
    }

    pub(crate) fn version(&self) -> &'static str {
        self.version
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn socket(&self, file: &str) -> Address {
        Address::Unix(self.path(file))
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.socket("admin.sock"))
    }

    pub(crate) fn master(&self) -> u32 {
        self.master.id()
    }

    /// Signals the master or one of its workers.
    pub(crate) fn signal(&self, pid: u32, signal: Signal) {
        kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
    }

    /// Suspends a process, and returns once none of its threads runs any more.
    pub(crate) async fn suspend(&self, pid: u32) {
        self.signal(pid, Signal::SIGSTOP);
        eventually("it is suspended", async || {
            fs::read_dir(format!("/proc/{pid}/task"))
                .unwrap()
                .map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap())
                .all(|status| status.contains("State:\tT"))
        })
        .await;
    }

    /// The workers, while the master lives.
    fn workers(&self) -> Vec<u32> {
        let master = self.master.id();
        let children = format!("/proc/{master}/task/{master}/children");
        fs::read_to_string(children)
            .unwrap_or_default()
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("HAProxy {} said:\n{log}", self.version);
        }
        // SIGKILL also ends what is suspended. A master whose worker dies buries it and ends by itself.
        for pid in self.workers() {
            // An old one may have ended by itself since it was listed.
            let _ = kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.master.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                self.master.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn binary(version: &str) -> PathBuf {
    let testbed = std::env::var_os("PITSTOP_TESTBED").unwrap_or_else(|| "/var/cache/pitstop-testbed".into());
    let binary = PathBuf::from(testbed).join(format!("haproxy-{version}/haproxy"));
    assert!(
        binary.exists(),
        "{} is missing: run `scripts/setup haproxy-versions`, or set PITSTOP_TESTBED",
        binary.display()
    );
    binary
}

fn configured(directory: &str) -> String {
    format!(
        "global
    stats socket {directory}/admin.sock mode 600 level admin
    stats socket {directory}/operator.sock level operator
    stats socket {directory}/numbered.sock level admin severity-output number
    stats socket ipv4@127.0.0.1:9999 level admin
    stats socket ipv6@[::1]:9999 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend app
    bind 127.0.0.1:1000
    http-request return status 200
frontend srvs
    bind 127.0.0.1:8080
    default_backend srvs
backend srvs
    option httpchk
    server webA 127.0.0.1:1000 weight 10 check inter 50ms rise 2
    server webB 127.0.0.1:1000 check inter 50ms
    server webT 127.0.0.1:1000 track srvs/webA
frontend held
    bind 127.0.0.1:8081
    default_backend held
backend held
    server silent 127.0.0.1:1001
"
    )
}
