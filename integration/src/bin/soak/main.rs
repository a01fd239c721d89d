//! The soak: many pit stops in a row on several versions of HAProxy, side by side, under steady load. Every stop must end
//! with exit code 0 and no request may fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a soak that cannot set its scene fails by panicking"
)]

mod stops;
mod table;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use integration::haproxy::Version;
use integration::sandbox;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use stops::Report;
use table::Table;

/// Makes many pit stops in a row under load, on several versions of HAProxy at once. Exits 0 when nothing failed.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Versions of HAProxy, from `scripts/setup haproxy-versions`.
    #[arg(long, value_delimiter = ',', default_value = "2.2,2.6,3.0,3.2", value_parser = known)]
    versions: Vec<String>,
    /// Pit stops for each.
    #[arg(long, default_value_t = 100)]
    stops: usize,
    /// Servers that kill their sessions when they go down, one client with 5 s requests, one that sticks.
    #[arg(long)]
    kills_on_down: bool,
    /// Reload HAProxy while the app drains and again while it is down, at every stop, and tell for how long its new process may have
    /// sent traffic to the app until it was told again: the median, and the longest.
    #[arg(long, conflicts_with = "by_hand")]
    reload: bool,
    /// The longest request, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    longest: u64,
    /// Instead of pitstop, do what it does by hand with the admin socket.
    #[arg(long, hide = true)]
    by_hand: bool,
    /// What is run for each version.
    #[arg(long, hide = true)]
    inside: Option<String>,
}

fn known(number: &str) -> Result<String, String> {
    Version::named(number).map(|_| number.to_owned()).ok_or_else(|| "the test bed has 2.2, 2.6, 3.0 and 3.2".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(inside) = &arguments.inside else {
        return all(&arguments);
    };
    if sandbox::is_outside() {
        set_pdeathsig(Signal::SIGTERM).expect("end with the soak");
    }
    let version = Version::named(inside).expect("checked outside");
    sandbox::run(|| stops::make(version, &arguments))
}

/// Runs one process for each version, and shows how they get on.
fn all(arguments: &Arguments) -> ExitCode {
    for number in &arguments.versions {
        Version::named(number).expect("checked before").program();
    }
    let mut table = Table::new(&arguments.versions, arguments.stops, arguments.reload);
    let (sender, reports) = mpsc::channel();
    let mut children = Vec::new();
    for (row, number) in arguments.versions.iter().enumerate() {
        let mut child = start(number);
        let output = child.stdout.take().expect("its output is a pipe");
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(report) = serde_json::from_str::<Report>(&line) {
                    sender.send((row, report)).ok();
                }
            }
        });
        children.push(child);
    }
    drop(sender);
    loop {
        match reports.recv_timeout(Duration::from_millis(500)) {
            Ok((row, report)) => table.add(row, report),
            Err(mpsc::RecvTimeoutError::Timeout) => table.refresh(),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let mut ended_well = true;
    for mut child in children {
        ended_well &= child.wait().expect("wait for a version").success();
    }
    table.finish();
    if ended_well && table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// This program again, with the same arguments, for one version.
fn start(number: &str) -> Child {
    Command::new(std::env::current_exe().expect("the running executable has a path"))
        .args(std::env::args_os().skip(1))
        .arg("--inside")
        .arg(number)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start ourselves again")
}
