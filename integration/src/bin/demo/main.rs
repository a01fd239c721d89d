//! The demo: three apps behind HAProxy under steady load, restarted plainly and then by `pitstop restart`. It runs in
//! namespaces of its own and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a demo that cannot set its scene fails by panicking"
)]

mod board;
mod receipt;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use board::{Board, Look};
use clap::Parser;
use integration::haproxy::Version;
use integration::load::{Load, Options};
use integration::sandbox;
use integration::terminal::{Style, Terminal, tame};
use integration::world::{Redirects, World};
use integration::{binaries, netns};
use receipt::Receipt;

/// How long an app takes to come up, in milliseconds: a small one in a slow language.
const START_DELAY: u64 = 800;
const LONGEST_REQUEST: Duration = Duration::from_secs(4);
/// Requests between two restarts, so that one is seen to be over before the next begins.
const BREATHER: u64 = 250;

/// Restarts three apps behind HAProxy under load, plainly and then with pitstop, and compares what it cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Instead of pitstop, do what it does by hand with the admin socket.
    #[arg(long, hide = true)]
    by_hand: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if sandbox::is_outside() {
        binaries::ours("pitstop");
        binaries::tool("haproxy", "demo");
        binaries::tool("iptables", "demo");
    }
    sandbox::run(|| show(&arguments))
}

fn show(arguments: &Arguments) -> ExitCode {
    let mut terminal = Terminal::standard_output();
    let scene = World::builder()
        .in_this_namespace()
        .version(Version::System)
        .check_interval(Duration::from_secs(2))
        .app_option(&format!("--start-delay={START_DELAY}"));
    let world = if arguments.by_hand {
        scene.redirects(Redirects::ByHand).start()
    } else {
        scene.redirects(Redirects::ByPitstop).start()
    };
    introduce(&terminal);

    let plain = act("Plain restart", "stop, start, next", &world, &mut terminal, |_, app| {
        world.apps[app].restart_plainly();
        Ok(())
    });
    let name = if arguments.by_hand { "By hand" } else { "pitstop restart" };
    let pitstop = act(name, "out, drain, restart, prove, in, next", &world, &mut terminal, |board, app| {
        if arguments.by_hand {
            world.restart_by_hand(app);
            return Ok(());
        }
        restart_with_pitstop(&world, app, board)
    });
    terminal.print(&receipt::side_by_side(&terminal, &plain, &pitstop));
    if plain.summary.failed > 0 && pitstop.summary.failed == 0 && pitstop.refusal.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn introduce(terminal: &Terminal) {
    let haproxy = binaries::tool("haproxy", "demo");
    let version = netns::run(&[&binaries::text(&haproxy), "-v"]);
    let version = version.split_whitespace().nth(2).unwrap_or("?").to_owned();
    let version = version.split('-').next().unwrap_or("?").to_owned();
    terminal.print(&[
        String::new(),
        format!(
            "  {}  restarts apps behind HAProxy without dropping a request",
            terminal.paint(Style::Bold, "Pitstop")
        ),
        terminal.paint(
            Style::Dim,
            &format!(
                "  HAProxy {version}, three apps, each with a main and a backup entry; clients with short and long\n  \
                 requests (up to {} s), uploads, keep-alive and sticky cookies; all in namespaces of their own",
                LONGEST_REQUEST.as_secs()
            ),
        ),
    ]);
}

/// Restarts every app in turn under load, live on the terminal, and says what it cost.
fn act(
    title: &'static str,
    steps: &'static str,
    world: &World,
    terminal: &mut Terminal,
    restart: impl Fn(&Board, usize) -> Result<(), String>,
) -> Receipt {
    let names: Vec<String> = world.apps.iter().map(|app| app.name().to_owned()).collect();
    let board = Board::new(title, steps, &names);
    let load = Load::start(&Options::mix(world.frontend(), LONGEST_REQUEST));
    let (times, refusal) = std::thread::scope(|scope| {
        let painter = scope.spawn(|| board.paint_until_over(terminal, &load));
        load.wait_for_requests(BREATHER, LONGEST_REQUEST);
        let mut times = Vec::new();
        let mut refusal = None;
        for (app, name) in names.iter().enumerate() {
            board.look(app, Look::Restarting("restarting".to_owned()));
            let begun = Instant::now();
            if let Err(words) = restart(&board, app) {
                board.look(app, Look::Broken(words.clone()));
                refusal = Some(format!("{name}: {words}"));
                break;
            }
            times.push((name.clone(), begun.elapsed()));
            board.look(app, Look::Renewed(begun.elapsed()));
            load.wait_for_requests(BREATHER, LONGEST_REQUEST);
        }
        board.end();
        painter.join().expect("painting");
        (times, refusal)
    });
    let summary = load.stop();
    Receipt { title, times, refusal, summary }
}

fn restart_with_pitstop(world: &World, app: usize, board: &Board) -> Result<(), String> {
    let mut run = world.pitstop.start(&["restart", world.apps[app].name()]);
    while !run.has_ended() {
        let said = run.stderr();
        if let Some(line) = said.lines().rfind(|line| !line.trim().is_empty()) {
            board.look(app, Look::Restarting(tame(line.trim(), 40)));
        }
        std::thread::sleep(board::FRAME);
    }
    let outcome = run.wait();
    if outcome.code == Some(0) {
        return Ok(());
    }
    Err(format!("exit {:?}: {}", outcome.code, tame(outcome.stderr.trim(), 400)))
}
