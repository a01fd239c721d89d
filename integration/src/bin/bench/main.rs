//! The bench: pit stops of real gunicorn apps under load, by pitstop and by what is done without it, in one run and
//! taking turns; what a poll costs HAProxy; and what linting a large configuration costs. It runs in namespaces of its own and leaves nothing behind but its report.
//!
//! It never judges a time. It fails when pitstop lost a request or did not end a pit stop well.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot set its scene fails by panicking"
)]

mod app;
mod lint;
mod method;
mod poll;
mod report;
mod roll;
mod scene;
mod stop;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use integration::terminal::Terminal;
use integration::{binaries, sandbox};
use method::Method;
use report::Report;
use roll::Roll;
use scene::Scene;

/// Makes pit stops under load in four ways, and compares what they cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often every method restarts all three apps.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One round.
    #[arg(long)]
    quick: bool,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Method::ALL)]
    methods: Vec<Method>,
    /// Only reads and lints a large haproxy.cfg, and shows what that costs.
    #[arg(long, conflicts_with = "write")]
    only_lint: bool,
    /// Writes the report to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.only_lint {
        Terminal::standard_output().print(&[lint::measure().render()]);
        return ExitCode::SUCCESS;
    }
    if sandbox::is_outside() {
        binaries::ours("pitstop");
        for tool in ["haproxy", "gunicorn", "iptables", "curl"] {
            binaries::tool(tool, "bench");
        }
        method::ansible("ansible-playbook");
    }
    sandbox::run(|| bench(&arguments))
}

fn bench(arguments: &Arguments) -> ExitCode {
    let terminal = Terminal::standard_output();
    let say = |line: String| terminal.print(&[line]);
    let load_before = load_average();
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    say("what reading and linting a large haproxy.cfg costs".to_owned());
    let lint = lint::measure();
    say("what a poll costs HAProxy".to_owned());
    let polls = poll::measure();
    let scene = Scene::start(0);
    let mut rolls = Vec::new();
    let methods = &arguments.methods;
    for round in 0..rounds {
        // Another one begins each time, so that none is always first on a machine at rest.
        for turn in 0..methods.len() {
            let roll = Roll::make(&scene, methods[(round + turn) % methods.len()]);
            say(format!("round {} of {rounds}: {}", round + 1, roll.summary()));
            rolls.push(roll);
        }
    }
    drop(scene);
    let scene = Scene::start(poll::SIZES[1]);
    let large: Vec<Roll> = (0..rounds).map(|_| Roll::make(&scene, Method::Pitstop)).collect();
    let full_reads = poll::full_reads(&scene);
    drop(scene);
    for roll in &large {
        say(format!("with {} more servers: {}", poll::SIZES[1], roll.summary()));
    }
    let report = Report { rounds, load_before, rolls: &rolls, large: &large, polls: &polls, full_reads, lint: &lint };
    let text = report.render();
    say(format!("\n{text}"));
    if let Some(path) = &arguments.write {
        std::fs::write(path, text).expect("write the report");
    }
    let mut ours = rolls.iter().chain(&large).filter(|roll| roll.method == Method::Pitstop);
    let well = ours.all(|roll| roll.load.failed == 0 && roll.wrong.is_empty());
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processes that ran or waited to run in the last minute, on average: proc(5).
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}
