//! Whoever called pitstop over ssh is cut off in the middle: the run is undone or finished, and the app does not notice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::process::Child;
use std::time::Duration;

use integration::binaries;
use integration::load::Load;
use integration::request::Held;
use integration::ssh::{Key, Server};
use integration::wait;
use integration::world::World;

const SOON: Duration = Duration::from_secs(60);

/// In which step the run is, and how it is kept there until the caller is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Someone who sticks does not go.
    Drain,
    /// The new process is slow to listen.
    Restart,
    /// The new process is slow to be healthy.
    Ready,
    /// The app is in and has to stay the same.
    Hold,
}

impl Phase {
    fn step(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Restart => "restart",
            Self::Ready => "ready",
            Self::Hold => "await_in",
        }
    }

    fn app_option(self) -> &'static str {
        match self {
            Self::Drain | Self::Hold => "",
            Self::Restart => "--start-delay=6000",
            Self::Ready => "--ready-after=6000",
        }
    }
}

/// How the caller goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Its process is killed: the server is told by the connection's end.
    Killed,
    /// The network between them goes: the server finds out by itself.
    Network,
}

struct Scene {
    world: World,
    load: Load,
    server: Server,
    key: Key,
}

impl Scene {
    fn new(phase: Phase) -> Self {
        let hold = if phase == Phase::Hold { "6s" } else { "1s" };
        let world = World::builder().pitstop_line(&format!("hold = {hold:?}")).start();
        let app = &world.apps[0];
        // An app that leaves its session to whoever starts it: a hangup of ours would reach it.
        let start = app.start_command();
        let words: Vec<&str> = start.iter().map(String::as_str).filter(|word| *word != "--daemon").collect();
        let script = format!("{} &", words.join(" "));
        world.pitstop.replace(&format!("start = {start:?}"), &format!("start = {:?}", ["sh", "-c", &script]));
        if !phase.app_option().is_empty() {
            app.at_next_start(&[phase.app_option()]);
        }
        let key = Key::new();
        let server = Server::start("127.0.0.1:2222".parse().unwrap(), &key);
        let load = world.load(Duration::from_millis(500));
        load.wait_for_requests(50, SOON);
        Self { world, load, server, key }
    }

    /// Calls `pitstop restart webA` over ssh.
    fn call(&self, terminal: bool) -> Child {
        let command = self.world.pitstop.command(&["restart", "webA"]);
        let words: Vec<&str> =
            [command.get_program()].into_iter().chain(command.get_args()).map(|word| word.to_str().unwrap()).collect();
        self.key.command(self.server.address(), terminal, &words.join(" ")).spawn().unwrap()
    }

    fn wait_for_step(&self, step: &str) {
        let journal = self.world.pitstop.state().join("apps/webA/journal");
        let intent = format!("\"record\":\"step_intent\",\"step\":{step:?}");
        wait::until(step, SOON, || fs::read_to_string(&journal).ok()?.contains(&intent).then_some(()));
    }

    /// The process of the run, unless it has ended.
    fn run(&self) -> Option<i32> {
        let (program, state) =
            (binaries::text(&binaries::ours("pitstop")), binaries::text(&self.world.pitstop.state()));
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.into_iter().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.split('\0').next() == Some(&program) && line.split('\0').any(|word| word == state)
        })
    }
}

fn survives(phase: Phase, cut: Cut, terminal: bool) {
    let scene = Scene::new(phase);
    let app = &scene.world.apps[0];
    let old = app.pid();
    let sticky = (phase == Phase::Drain).then(|| Held::conversation(scene.world.frontend(), "SERVER=A"));
    let mut caller = scene.call(terminal);
    scene.wait_for_step(phase.step());
    assert!(scene.run().is_some());
    match cut {
        Cut::Killed => caller.kill().unwrap(),
        Cut::Network => scene.server.cut_off(),
    }
    wait::until(&format!("{cut:?}: the login has ended"), SOON, || scene.server.is_alone().then_some(()));
    let undone = phase == Phase::Drain && terminal;
    let ended = || scene.run().is_none().then_some(());
    if undone {
        wait::until("the run is undone", SOON, ended);
    }
    if let Some(mut sticky) = sticky {
        assert!(sticky.is_alive());
    }
    wait::until(&format!("{cut:?}: the run has ended"), SOON, ended);
    caller.kill().ok();
    caller.wait().unwrap();
    assert_eq!(app.pid() == old, undone);
    assert!(app.is_running());
    scene.world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
    assert!(scene.world.servers(0).iter().all(|server| scene.world.haproxy.status(server).starts_with("UP")));
    scene.load.wait_for_requests(50, SOON);
    scene.load.stop().assert_nothing_failed();
}

fn survives_both(phase: Phase, terminal: bool) {
    for cut in [Cut::Killed, Cut::Network] {
        survives(phase, cut, terminal);
    }
}

#[test]
fn a_terminal_that_is_cut_off_during_the_drain_undoes_the_run() {
    survives_both(Phase::Drain, true);
}

#[test]
fn a_terminal_that_is_cut_off_during_the_restart_lets_the_run_finish() {
    survives_both(Phase::Restart, true);
}

#[test]
fn a_terminal_that_is_cut_off_during_the_proof_lets_the_run_finish() {
    survives_both(Phase::Ready, true);
}

#[test]
fn a_terminal_that_is_cut_off_during_the_hold_lets_the_run_finish() {
    survives_both(Phase::Hold, true);
}

#[test]
fn a_caller_without_a_terminal_that_is_cut_off_during_the_drain_does_not_end_the_run() {
    survives_both(Phase::Drain, false);
}

#[test]
fn a_caller_without_a_terminal_that_is_cut_off_during_the_restart_does_not_end_the_run() {
    survives_both(Phase::Restart, false);
}

#[test]
fn a_caller_without_a_terminal_that_is_cut_off_during_the_proof_does_not_end_the_run() {
    survives_both(Phase::Ready, false);
}

#[test]
fn a_caller_without_a_terminal_that_is_cut_off_during_the_hold_does_not_end_the_run() {
    survives_both(Phase::Hold, false);
}
