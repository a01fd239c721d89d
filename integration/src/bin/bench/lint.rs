//! What reading and linting a large configuration costs, beside HAProxy's own check of it.

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use haproxy_cfg::lint::{Context, lint};
use haproxy_cfg::{Config, Environment, Source};
use integration::binaries;
use integration::haproxy::Version;
use integration::terminal::number;

use crate::table::{Table, median_and_max, middle};

pub(crate) const BACKENDS: u32 = 100;
const SERVERS_PER_BACKEND: u32 = 100;
/// All ways take turns, so that each sees the machine at its best and at its worst.
const TURNS: u32 = 20;

/// What is done with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From bytes to effective values.
    Read,
    /// By all rules, what was read.
    Lint,
    /// `pitstop haproxy-cfg lint`, the whole process.
    Command,
    /// `haproxy -c`, the whole process.
    Haproxy,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Lint, Self::Command, Self::Haproxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Lint => "lint what was read",
            Self::Command => "`pitstop haproxy-cfg lint`",
            Self::Haproxy => "`haproxy -c`",
        }
    }
}

/// All that was measured.
pub(crate) struct Measured {
    pub(crate) servers: u32,
    pub(crate) bytes: usize,
    /// Of each way, in the order of [`Way::ALL`].
    pub(crate) times: Vec<(Way, Vec<Duration>)>,
}

impl Measured {
    pub(crate) fn render(&self) -> String {
        let megabytes = self.bytes as f64 / 1e6;
        let mut table = Table::new(&["", "time", "MB/s", "against `haproxy -c`"]);
        let median =
            |times: &[Duration]| median_and_max(times.to_vec()).map_or(0.0, |(median, _)| median.as_secs_f64());
        let theirs = self.times.iter().find(|(way, _)| *way == Way::Haproxy).map_or(0.0, |(_, times)| median(times));
        for (way, times) in &self.times {
            let rate = format!("{:.0}", megabytes / median(times));
            let ratio = format!("{:.2} ×", median(times) / theirs);
            table.row(vec![way.name().to_owned(), middle(times.clone()), rate, ratio]);
        }
        format!(
            "{} servers in {} backends, {megabytes:.2} MB, each way {} times in turns; medians, the longest in brackets. The last two are whole
processes.

{}",
            number(self.servers.into()),
            BACKENDS,
            TURNS,
            table.render()
        )
    }
}

/// Reads and lints one file in all ways.
pub(crate) fn measure() -> Measured {
    let text = text();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("haproxy.cfg");
    std::fs::write(&path, &text).expect("write the configuration");
    let mut times: Vec<_> = Way::ALL.map(|way| (way, Vec::new())).into();
    for _ in 0..TURNS {
        for (way, times) in &mut times {
            times.push(match way {
                Way::Read => timed(|| drop(black_box(read(&text)))),
                Way::Lint => {
                    let config = read(&text);
                    timed(|| drop(black_box(lint(&config, &Context::default()))))
                }
                Way::Command => run(Command::new(binaries::ours("pitstop")).args(["haproxy-cfg", "lint"]).arg(&path)),
                Way::Haproxy => run(Command::new(Version::System.program()).args(["-c", "-f"]).arg(&path)),
            });
        }
    }
    Measured { servers: BACKENDS * SERVERS_PER_BACKEND, bytes: text.len(), times }
}

fn read(text: &str) -> Config {
    let sources = vec![Source::new("haproxy.cfg", text)];
    Config::read(sources, &Environment::default()).expect("a configuration")
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn run(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    timed(|| assert!(command.status().expect("it starts").success(), "{command:?} ends well"))
}

/// Half of the servers are main entries, half are their backups.
fn text() -> String {
    let mut text = String::from(
        "global
    stats socket /run/haproxy/admin.sock mode 660 user root group root level admin
    hard-stop-after 30m

defaults
    mode http
    timeout connect 2s
    timeout client  60s
    timeout server  60s
    timeout check   2s
    retries 3
    option redispatch
    option httpchk
    http-check send meth GET uri /health
    http-check expect status 200
    default-server inter 2s fall 3 rise 2
",
    );
    for backend in 0..BACKENDS {
        let head =
            format!("\nbackend srvs{backend}\n    balance roundrobin\n    cookie SERVER insert indirect nocache\n");
        text += &head;
        for server in 0..SERVERS_PER_BACKEND / 2 {
            let address = format!("10.{backend}.{server}.1:8080");
            writeln!(text, "    server web{server} {address} cookie w{server} check port 9080").expect("a string");
            writeln!(text, "    server backup{server} {address} cookie w{server} check backup").expect("a string");
        }
    }
    text
}
