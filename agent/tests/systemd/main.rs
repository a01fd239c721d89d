//! Units of a real systemd: boots one in a container and runs this very executable in it (needs root, systemd-nspawn and a
//! root file system with systemd, gunicorn and polkit in `/var/cache/pitstop-testbed/systemd-root` or `PITSTOP_SYSTEMD_ROOT`).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "it polls on a thread of its own, with a deadline")]

mod inside;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pitstop::process::{Process, descendants_of};

struct Container {
    nspawn: Child,
    init: Option<Process>,
}

impl Container {
    fn boot() -> Self {
        let root = std::env::var_os("PITSTOP_SYSTEMD_ROOT")
            .map_or("/var/cache/pitstop-testbed/systemd-root".into(), PathBuf::from);
        assert!(root.is_dir(), "no root file system at {}", root.display());
        let this = std::env::current_exe().unwrap();
        let nspawn = Command::new("systemd-nspawn")
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .args(["--quiet", "--volatile=overlay", "--register=no", "--keep-unit"])
            .args(["--boot", "--private-network", "--directory"])
            .arg(root)
            .arg(format!("--machine=pitstop-{}", std::process::id()))
            .arg(format!("--bind-ro={}:/run/host/pitstop-test", this.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut container = Self { nspawn, init: None };
        let deadline = Instant::now() + Duration::from_secs(60);
        while container.init.is_none() {
            assert!(Instant::now() < deadline, "the container has no init");
            std::thread::sleep(Duration::from_millis(20));
            let children = descendants_of(container.nspawn.id()).unwrap();
            container.init = children.into_iter().find(is_init);
        }
        container.await_boot(deadline);
        container
    }

    fn await_boot(&self, deadline: Instant) {
        loop {
            let state = self.run(&["systemctl", "is-system-running"]).output().unwrap();
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            if matches!(state.as_str(), "running" | "degraded") {
                return;
            }
            assert!(Instant::now() < deadline, "the container is {state:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run(&self, command: &[&str]) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &self.init.unwrap().pid.to_string(), "--all"]);
        nsenter.args(command);
        nsenter
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its init takes its whole pid namespace with it.
        let init = self.init.filter(|init| init.is_alive().unwrap_or(false));
        if let Some(init) = init {
            let _ = kill(Pid::from_raw(init.pid.cast_signed()), Signal::SIGKILL);
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

/// Whether a process is number 1 in a pid namespace of its own.
fn is_init(process: &Process) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid));
    let inner = status.ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    });
    inner.as_deref() == Some("1")
}

#[test]
fn every_promise_holds_inside_a_real_systemd() {
    let container = Container::boot();
    let run = ["/run/host/pitstop-test", "--ignored", "--test-threads=1"];
    let status = container.run(&run).status().unwrap();
    assert!(status.success(), "see above");
}
