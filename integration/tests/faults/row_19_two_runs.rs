//! Two runs at once: the second is told who has the app, since when, in which step and why, and touches nothing.

use std::time::Duration;

use integration::pitstop::{Outcome, Run};
use integration::request::{Held, Pending};
use integration::world::{Redirects, World};
use nix::sys::signal::Signal;

use crate::scene::{Scene, Touchables};

const COMMANDS: [&str; 3] = ["restart", "out", "in"];

fn scene() -> Scene {
    Scene::new(World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"0s\""))
}

fn start(scene: &Scene, command: &str) -> Run {
    scene.world.pitstop.start(&["--output", "json", command, "webA", "--reason", "release 7"])
}

/// Each command is held off, and told by what.
fn assert_held(scene: &Scene, first: &Run, step: &str) {
    let pid = format!("pid {}", first.pid());
    let step = format!("step \"{step}\"");
    for second in COMMANDS {
        let outcome = scene.run(&[second, "webA"]);
        outcome.assert_code(4).assert_says(&["another run", &pid, "by root", "since 20", &step, "\"release 7\""]);
        outcome.assert_says(&["nothing was touched", "pitstop status"]);
    }
    scene.run(&["status", "webA"]).assert_code(0).assert_says(&[&pid, "release 7"]);
}

#[test]
fn row_19_a_restart_in_its_drain_holds_off_all_others() {
    let scene = scene();
    let mut held = Held::conversation(scene.world.frontend(), "SERVER=A");
    let mut first = start(&scene, "restart");
    first.wait_for_step("drain");
    assert_held(&scene, &first, "drain");
    // The app beside it is free.
    scene.run(&["restart", "webB"]).assert_code(0);
    assert!(held.is_alive());
    drop(held);
    first.wait().assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_19_an_out_in_its_drain_holds_off_all_others() {
    let scene = scene();
    let mut held = Held::conversation(scene.world.frontend(), "SERVER=A");
    let mut first = start(&scene, "out");
    first.wait_for_step("drain");
    assert_held(&scene, &first, "drain");
    assert!(held.is_alive());
    drop(held);
    first.wait().assert_code(0);
    scene.assert_out();
    scene.run(&["in", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// It does first what they would have to do first.
#[test]
fn row_19_a_recovery_is_waited_for_by_all_others() {
    let scene = scene();
    scene.run(&["out", "webA"]).assert_code(0);
    scene.world.apps[0].at_next_start(&["--ready-after=6000"]);
    let mut first = start(&scene, "restart");
    first.wait_for_step("ready");
    first.signal(Signal::SIGKILL);
    first.wait();
    let mut recovery = scene.world.pitstop.start(&["--output", "json", "recover", "webA"]);
    recovery.wait_for_step("ready");
    let others = COMMANDS.map(|command| start(&scene, command));
    recovery.wait().assert_code(0);
    let codes = others.map(|other| other.wait().code.unwrap());
    // They may still meet each other.
    assert!(codes.contains(&0) && codes.iter().all(|code| [0, 4].contains(code)), "{codes:?}");
    scene.run(&["in", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_19_an_in_that_proves_the_app_holds_off_all_others() {
    let scene = scene();
    scene.run(&["out", "webA"]).assert_code(0);
    scene.world.apps[0].stop();
    scene.world.apps[0].at_next_start(&["--ready-after=6000"]);
    scene.world.apps[0].start();
    let mut first = start(&scene, "in");
    first.wait_for_step("ready");
    assert_held(&scene, &first, "ready");
    first.wait().assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// The lock is the kernel's: it goes with its holder, whatever the record says.
#[test]
fn row_19_a_run_that_was_killed_holds_nobody_off() {
    let scene = scene();
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let mut first = start(&scene, "restart");
    first.wait_for_step("drain");
    first.signal(Signal::SIGKILL);
    first.wait();
    let second = scene.run(&["in", "webA"]);
    second.assert_code(0);
    assert!(!second.stderr.contains("another run"), "{second:?}");
    request.assert_answered();
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// At the same moment, so that they meet at the lock and not at its record.
#[test]
fn row_19_of_many_restarts_at_once_one_restarts_and_all_others_are_told_of_it() {
    let scene = scene();
    let old = scene.pid();
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(10), Some("SERVER=A"));
    let outcomes = all_at_once(&scene, &["restart"; 12]);
    let (done, held): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.code == Some(0));
    assert_eq!(done.len(), 1, "{outcomes:#?}");
    for outcome in held {
        outcome.assert_code(4).assert_says(&["another run"]);
    }
    request.assert_answered();
    assert_ne!(scene.pid(), old);
    scene.assert_in();
    scene.assert_nothing_failed();
}

fn all_at_once(scene: &Scene, commands: &[&str]) -> Vec<Outcome> {
    let runs: Vec<Run> = commands.iter().map(|command| scene.world.pitstop.start(&[*command, "webA"])).collect();
    runs.into_iter().map(Run::wait).collect()
}

/// Whoever comes first: each run is done, refused or held off as a whole, so that a last `in` finds nothing odd.
#[test]
fn row_19_restarts_outs_and_ins_at_once_leave_nothing_half_done() {
    let scene = scene();
    let before = Touchables::of(&scene.world);
    for _ in 0..3 {
        for outcome in all_at_once(&scene, &["restart", "out", "in", "restart", "in", "out"]) {
            assert!(matches!(outcome.code, Some(0 | 3 | 4)), "{outcome:?}");
        }
        scene.run(&["status", "webA"]).assert_code(0);
        scene.run(&["in", "webA"]).assert_code(0);
        scene.assert_in();
        let now = Touchables::of(&scene.world);
        assert_eq!(now.settings(), before.settings());
    }
    assert_eq!(scene.alerts(), "");
    scene.assert_nothing_failed();
}
