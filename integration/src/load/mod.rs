//! Steady load, the program `testload`: many clients, each request checked to the byte, every failure recorded.

mod client;
mod record;
mod role;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

pub use record::{Failure, Latency, Progress, RoleCount, Summary};
pub use role::Role;

use crate::{binaries, wait};

/// How long an answer may take at most, in seconds; then the request has failed.
const ANSWER: u64 = 20;

/// Who asks for what. All clients are of a kind of their own, see [`Role`]; a client has one request at a time.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The frontend's address.
    #[arg(long)]
    pub target: SocketAddr,
    /// Clients that keep their connection and send short GETs.
    #[arg(long, default_value_t = 0)]
    pub short: usize,
    /// Clients that send short GETs, each on a new connection.
    #[arg(long, default_value_t = 0)]
    pub per_request: usize,
    /// Clients that send GETs of up to `long_max` milliseconds.
    #[arg(long, default_value_t = 0)]
    pub long: usize,
    /// Clients that keep connection and cookie.
    #[arg(long, default_value_t = 0)]
    pub sticky: usize,
    /// Clients that keep their cookie, but use a new connection each time, and think longer.
    #[arg(long, default_value_t = 0)]
    pub sticky_per_request: usize,
    /// Clients that POST bodies, some slowly.
    #[arg(long, default_value_t = 0)]
    pub upload: usize,
    /// The longest that a long GET asks for, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    pub long_max: u64,
    /// Whether all long GETs take that long; else a quarter of it and more.
    #[arg(long)]
    pub long_exactly: bool,
    /// The mean pause between a client's requests, in milliseconds.
    #[arg(long, default_value_t = 20)]
    pub think: u64,
    /// The pages of [`nginx`](crate::real_app::RealApp::nginx) instead of those of the test app; no uploads.
    #[arg(long)]
    pub static_site: bool,
    /// Seconds after which it ends by itself.
    #[arg(long = "for", default_value_t = 3600)]
    pub seconds: u64,
    /// Milliseconds between two lines of progress; 0: none.
    #[arg(long, default_value_t = 0)]
    pub progress: u64,
}

impl Options {
    /// No clients yet.
    pub fn nobody(target: SocketAddr) -> Self {
        Self {
            target,
            short: 0,
            per_request: 0,
            long: 0,
            sticky: 0,
            sticky_per_request: 0,
            upload: 0,
            long_max: 5000,
            long_exactly: false,
            think: 20,
            static_site: false,
            seconds: 3600,
            progress: 0,
        }
    }

    /// A bit of everything: 22 clients, long requests of up to `long_max`.
    pub fn mix(target: SocketAddr, long_max: Duration) -> Self {
        Self {
            short: 4,
            per_request: 4,
            long: 4,
            sticky: 4,
            sticky_per_request: 3,
            upload: 3,
            long_max: u64::try_from(long_max.as_millis()).expect("a sensible length"),
            ..Self::nobody(target)
        }
    }

    fn count(&self, role: Role) -> usize {
        match role {
            Role::Short => self.short,
            Role::PerRequest => self.per_request,
            Role::Long => self.long,
            Role::Sticky => self.sticky,
            Role::StickyPerRequest => self.sticky_per_request,
            Role::Upload => self.upload,
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            ("short", self.short),
            ("per-request", self.per_request),
            ("long", self.long),
            ("sticky", self.sticky),
            ("sticky-per-request", self.sticky_per_request),
            ("upload", self.upload),
        ]
        .iter()
        .map(|(name, count)| format!("--{name}={count}"))
        .collect();
        arguments.push(format!("--target={}", self.target));
        arguments.push(format!("--long-max={}", self.long_max));
        arguments.push(format!("--think={}", self.think));
        arguments.push(format!("--for={}", self.seconds));
        arguments.push(format!("--progress={}", self.progress));
        if self.long_exactly {
            arguments.push("--long-exactly".to_owned());
        }
        if self.static_site {
            arguments.push("--static-site".to_owned());
        }
        arguments
    }
}

/// Runs the load in this process until `seconds` are over, or TERM or INT comes; prints progress and, last, the summary.
pub async fn run(options: Options) -> Summary {
    role::run(options).await
}

/// A line that `testload` prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// So far.
    Progress(Progress),
    /// The last line.
    Summary(Box<Summary>),
}

/// A `testload` that runs; ended on drop.
#[derive(Debug)]
pub struct Load {
    child: Child,
    progress: Arc<Mutex<Progress>>,
    reader: Option<JoinHandle<Option<Summary>>>,
}

impl Load {
    /// Starts it in the calling thread's network namespace, and waits for the first requests.
    ///
    /// Panics when none comes within ten seconds.
    pub fn start(options: &Options) -> Self {
        let options =
            Options { progress: if options.progress == 0 { 50 } else { options.progress }, ..options.clone() };
        let mut child = Command::new(binaries::ours("testload"))
            .args(options.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start testload");
        let output = child.stdout.take().expect("its output is a pipe");
        let progress = Arc::new(Mutex::new(Progress::default()));
        let shared = Arc::clone(&progress);
        let reader = std::thread::spawn(move || read(output, &shared));
        let load = Self { child, progress, reader: Some(reader) };
        wait::until("the load's first requests", Duration::from_secs(10), || {
            let progress = load.progress();
            (progress.requests + progress.in_flight > 0).then_some(())
        });
        load
    }

    /// What it has seen so far, at most as old as `progress` milliseconds.
    pub fn progress(&self) -> Progress {
        self.progress.lock().expect("nobody panics inside").clone()
    }

    /// Waits until so many more requests were answered or failed than now.
    pub fn wait_for_requests(&self, more: u64, limit: Duration) {
        let goal = self.progress().requests + more;
        wait::until(&format!("{more} more requests"), limit, || (self.progress().requests >= goal).then_some(()));
    }

    /// Lets what is in flight finish, and returns what was seen.
    pub fn stop(mut self) -> Summary {
        self.signal(Signal::SIGTERM);
        // A request's own deadline bounds the wait.
        let status = wait::exit_within(&mut self.child, Duration::from_secs(ANSWER + 10));
        assert!(status.is_some(), "testload does not end");
        let reader = self.reader.take().expect("read only once");
        let summary = reader.join().expect("reading its output");
        summary.expect("testload ends with a summary")
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process ids fit");
        kill(Pid::from_raw(pid), signal).ok();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if self.reader.is_some() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

fn read(output: ChildStdout, progress: &Mutex<Progress>) -> Option<Summary> {
    let mut summary = None;
    for line in BufReader::new(output).lines() {
        match serde_json::from_str(&line.ok()?).ok()? {
            Line::Progress(new) => *progress.lock().expect("nobody panics inside") = new,
            Line::Summary(last) => summary = Some(*last),
        }
    }
    summary
}
