//! Our strict app, the program `testapp`: it cuts what is in flight when it is told to end, so that a restart which
//! comes too early is seen as a failed request.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{binaries, wait};

const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(20);

/// A `testapp` that can be started, stopped and started again; it is ended on drop, whoever started it.
#[derive(Debug)]
pub struct App {
    name: String,
    listen: SocketAddr,
    options: Vec<String>,
    folder: TempDir,
}

impl App {
    /// Not started yet.
    pub fn new(name: &str, listen: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-app-").tempdir().expect("create a folder for an app");
        Self { name: name.to_owned(), listen, options: Vec::new(), folder }
    }

    /// With a further option of `testapp` at every start, such as `--graceful` or `--start-delay=500`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Starts it and waits until it is healthy.
    pub fn started(self) -> Self {
        self.start();
        self.wait_until_healthy();
        self
    }

    /// Its name, which every answer carries.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it takes traffic.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Its pid file.
    pub fn pidfile(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    /// Its process, as the pid file says.
    pub fn pid(&self) -> Option<i32> {
        wait::read_pid(&self.pidfile())
    }

    /// Whether that process runs.
    pub fn is_running(&self) -> bool {
        self.running_pid().is_some()
    }

    /// The pid file outlives the app and the kernel uses ids again, so the command line must name the file.
    fn running_pid(&self) -> Option<i32> {
        let pid = self.pid().filter(|pid| wait::is_running(*pid))?;
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let pidfile = binaries::text(&self.pidfile());
        String::from_utf8_lossy(&command_line).contains(&pidfile).then_some(pid)
    }

    /// Further options for the starts to come, whoever does them; none: as before.
    pub fn at_next_start(&self, options: &[&str]) {
        std::fs::write(self.more(), options.join("\n")).expect("write options for later");
    }

    /// Where [`App::at_next_start`] writes; emptied, it starts as before.
    pub fn more(&self) -> PathBuf {
        self.folder.path().join("more-options")
    }

    /// What it wrote to standard output and error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The command that starts it as a daemon, and returns at once.
    pub fn start_command(&self) -> Vec<String> {
        let mut command = vec![
            binaries::text(&binaries::ours("testapp")),
            "--daemon".to_owned(),
            format!("--name={}", self.name),
            format!("--listen={}", self.listen),
            format!("--pidfile={}", self.pidfile().display()),
            format!("--log={}", self.folder.path().join("log").display()),
            format!("--more={}", self.more().display()),
        ];
        command.extend_from_slice(&self.options);
        command
    }

    /// Runs the start command.
    pub fn start(&self) {
        let command = self.start_command();
        let status = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).status().expect("start an app");
        assert!(status.success(), "{command:?}: {status}");
    }

    /// Tells it to end, and waits until it is gone.
    pub fn stop(&self) {
        let Some(pid) = self.running_pid() else {
            return;
        };
        self.signal(Signal::SIGTERM);
        wait::until(&format!("{} has ended", self.name), END, || (!wait::is_running(pid)).then_some(()));
    }

    /// What most deployments do: stop, start, and hope.
    pub fn restart_plainly(&self) {
        self.stop();
        self.start();
        self.wait_until_healthy();
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.running_pid() {
            kill(Pid::from_raw(pid), signal).ok();
        }
    }

    /// Waits until `/health` answers 200.
    pub fn wait_until_healthy(&self) {
        let what = format!("{} on {} is healthy", self.name, self.listen);
        wait::until(&what, START, || (status_of(self.listen, "/health") == Some(200)).then_some(()));
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// The status code of one GET, or `None` when there is no answer.
pub fn status_of(address: SocketAddr, path: &str) -> Option<u16> {
    use std::io::{Read, Write};
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1)?.parse().ok()
}
