//! A dry run has nothing to undo, so a signal just ends it.
#![allow(clippy::unwrap_used)]

use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn an_interrupt_ends_a_dry_run_that_waits_for_a_silent_balancer() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let silent = UnixListener::bind(&socket).unwrap();
    let configuration = directory.path().join("pitstop.toml");
    let text = format!(
        "balancers.lb1.socket = {:?}\n[apps.web]\nservers = [\"srvs/webA\"]\nlisten = \"127.0.0.1:1000\"\n\
         service = {{ systemd = \"web.service\" }}\nready = [{{ tcp = \"127.0.0.1:1000\" }}]\n",
        socket.display().to_string()
    );
    std::fs::write(&configuration, text).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_pitstop"))
        .arg("--config")
        .arg(&configuration)
        .arg("--state-dir")
        .arg(directory.path().join("state"))
        .args(["restart", "web", "--dry-run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _asked = silent.accept().unwrap();
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(run.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
}
