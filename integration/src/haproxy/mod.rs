//! A HAProxy of a chosen version, in master-worker mode, with an admin and a master socket.

mod config;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub use config::{Backend, Config, Mode, Server};

use crate::{binaries, wait};

const START: Duration = Duration::from_secs(10);
const REPLY: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(5);

/// Where a HAProxy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The distribution's.
    System,
    /// One of the test bed's, such as `2.6`: `${PITSTOP_TESTBED:-/var/cache/pitstop-testbed}/haproxy-2.6/haproxy`.
    Bed(&'static str),
}

impl Version {
    /// All versions of the test bed.
    pub const ALL: [Self; 4] = [Self::Bed("2.2"), Self::Bed("2.6"), Self::Bed("3.0"), Self::Bed("3.2")];

    /// One of [`Version::ALL`], by its number.
    pub fn named(number: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| match version {
            Self::System => false,
            Self::Bed(known) => *known == number,
        })
    }

    /// The program. Panics, naming the part of `scripts/setup`, when it is missing.
    pub fn program(self) -> PathBuf {
        match self {
            Self::System => binaries::tool("haproxy", "demo"),
            Self::Bed(number) => {
                let bed = std::env::var("PITSTOP_TESTBED").unwrap_or_else(|_| "/var/cache/pitstop-testbed".to_owned());
                let program = Path::new(&bed).join(format!("haproxy-{number}/haproxy"));
                assert!(program.exists(), "{} is missing: scripts/setup haproxy-versions", program.display());
                program
            }
        }
    }
}

/// A running HAProxy; its processes end on drop.
#[derive(Debug)]
pub struct Haproxy {
    version: Version,
    master: Child,
    config: Config,
    folder: TempDir,
}

impl Haproxy {
    /// Starts it in the calling thread's network namespace and waits until all its frontends accept and its master answers.
    ///
    /// Panics with HAProxy's own words when it refuses the configuration.
    pub fn start(version: Version, config: Config) -> Self {
        let folder =
            tempfile::Builder::new().prefix("pitstop-haproxy-").tempdir().expect("create a folder for HAProxy");
        write_config(folder.path(), &config);
        let master = spawn(version, folder.path());
        let mut haproxy = Self { version, master, config, folder };
        haproxy.wait_until_serving();
        haproxy
    }

    /// Kills the worker, with which the master ends too; the sockets' files stay, and refuse.
    pub fn kill(&mut self) {
        let worker = self.pid().expect("a HAProxy that answers");
        kill(Pid::from_raw(worker), Signal::SIGKILL).expect("kill the worker");
        assert!(wait::exit_within(&mut self.master, END).is_some(), "the master goes on without its worker");
    }

    /// After [`Haproxy::kill`]: starts it again in the calling thread's network namespace, on the same sockets.
    pub fn start_again(&mut self) {
        self.master = spawn(self.version, self.folder.path());
        self.wait_until_serving();
    }

    fn wait_until_serving(&mut self) {
        let served = wait::within(START, || {
            if let Some(status) = self.master.try_wait().expect("wait for HAProxy") {
                panic!("HAProxy ended, {status}: {}", self.log());
            }
            let open = |address| TcpStream::connect_timeout(address, REPLY).is_ok();
            // From 2.5 on the master runs its program anew once its worker serves; a reload asked for meanwhile is lost.
            let master_ready = self.master_command("show proc").is_ok_and(|answer| answer.contains("worker"));
            (self.pid().is_some() && master_ready && self.config.addresses().all(open)).then_some(())
        });
        assert!(served.is_some(), "HAProxy does not serve: {}", self.log());
    }

    /// What it wrote to its standard output and error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The admin socket, of level admin.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// The master socket.
    pub fn master_socket(&self) -> PathBuf {
        self.folder.path().join("master.sock")
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("haproxy.cfg")
    }

    /// Its folder, which holds all of these and is reachable to the app's user.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The master's process id.
    pub fn master_pid(&self) -> i32 {
        i32::try_from(self.master.id()).expect("process ids fit")
    }

    /// The current worker's process id; `None` while the socket does not answer.
    pub fn pid(&self) -> Option<i32> {
        let info = self.try_command("show info").ok()?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid: "))?;
        pid.trim().parse().ok()
    }

    /// The answer of the admin socket to one line; panics when there is none.
    pub fn command(&self, line: &str) -> String {
        self.try_command(line).unwrap_or_else(|error| panic!("`{line}`: {error}"))
    }

    /// The answer of the admin socket to one line.
    pub fn try_command(&self, line: &str) -> io::Result<String> {
        ask(&self.socket(), line)
    }

    /// The answer of the master socket to one line.
    pub fn master_command(&self, line: &str) -> io::Result<String> {
        // The master does not close by itself: management guide, section 9.4.
        ask(&self.master_socket(), &format!("{line};quit"))
    }

    /// `set server SERVER state STATE`; panics unless it is taken without a word.
    pub fn set_state(&self, server: &str, state: &str) {
        let answer = self.command(&format!("set server {server} state {state}"));
        assert_eq!(answer.trim(), "", "set server {server} state {state}");
    }

    /// The row of `backend/server` in `show stat`, by column name.
    pub fn stat(&self, server: &str) -> BTreeMap<String, String> {
        self.try_stat(server).unwrap_or_else(|| panic!("show stat has no row {server}"))
    }

    /// As [`stat`](Self::stat); `None` also from an old worker that is about to end after a reload, which has no rows any more.
    fn try_stat(&self, server: &str) -> Option<BTreeMap<String, String>> {
        let table = self.command("show stat");
        let mut lines = table.lines();
        let columns: Vec<&str> =
            lines.next().expect("show stat has a header").trim_start_matches("# ").split(',').collect();
        lines
            .map(|line| -> BTreeMap<String, String> {
                let fields = line.split(',').map(str::to_owned);
                columns.iter().map(|name| (*name).to_owned()).zip(fields).collect()
            })
            .find(|row| {
                let name = |column: &str| row.get(column).map(String::as_str).unwrap_or_default();
                format!("{}/{}", name("pxname"), name("svname")) == server
            })
    }

    /// The status of a server, such as `UP` or `DRAIN`.
    pub fn status(&self, server: &str) -> String {
        self.stat(server)["status"].clone()
    }

    /// Sessions and queued requests of a server.
    pub fn in_flight(&self, server: &str) -> u64 {
        let row = self.stat(server);
        ["scur", "qcur"].map(|column| row[column].parse::<u64>().unwrap_or(0)).iter().sum()
    }

    /// Waits until all of these servers have neither sessions nor a queue.
    pub fn wait_until_quiet(&self, servers: &[&str], limit: Duration) {
        wait::until(&format!("no session on {servers:?}"), limit, || {
            servers.iter().all(|server| self.in_flight(server) == 0).then_some(())
        });
    }

    /// Waits until a server's status starts with this.
    pub fn wait_for_status(&self, server: &str, status: &str, limit: Duration) {
        wait::until(&format!("{server} is {status}"), limit, || {
            self.try_stat(server)?["status"].starts_with(status).then_some(())
        });
    }

    /// Replaces the configuration file; [`Haproxy::reload`] makes it valid.
    pub fn write(&mut self, config: Config) {
        write_config(self.folder.path(), &config);
        self.config = config;
    }

    /// Makes the master start a new worker, and waits until it answers. The old one stays while it has sessions.
    pub fn reload(&self) {
        let old = self.pid();
        kill(Pid::from_raw(self.master_pid()), Signal::SIGUSR2).expect("signal the master");
        wait::until("a new worker after the reload", START, || {
            let new = self.pid();
            let renewed = new.is_some() && new != old;
            // The master runs its program anew, and until then its socket refuses.
            (renewed && self.master_command("show proc").is_ok()).then_some(())
        });
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        if matches!(self.master.try_wait(), Ok(Some(_))) {
            return;
        }
        let worker = self.pid();
        // TERM makes the master end its workers at once.
        kill(Pid::from_raw(self.master_pid()), Signal::SIGTERM).ok();
        if wait::exit_within(&mut self.master, END).is_none() {
            self.master.kill().ok();
            self.master.wait().ok();
            if let Some(worker) = worker {
                kill(Pid::from_raw(worker), Signal::SIGKILL).ok();
            }
        }
    }
}

fn spawn(version: Version, folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("open HAProxy's log");
    Command::new(version.program())
        .arg("-W")
        .arg("-S")
        .arg(folder.join("master.sock"))
        .arg("-f")
        .arg(folder.join("haproxy.cfg"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log"))
        .stderr(log)
        .spawn()
        .expect("start HAProxy")
}

fn write_config(folder: &Path, config: &Config) {
    let socket = binaries::text(&folder.join("admin.sock"));
    std::fs::write(folder.join("haproxy.cfg"), config.render(&socket)).expect("write HAProxy's configuration");
}

/// One command on a connection of its own, read to the end, as the socket is meant to be used.
fn ask(socket: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(REPLY))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
