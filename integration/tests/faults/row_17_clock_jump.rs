//! The wall clock jumps in the middle of a run: no deadline comes early or late, and what is last stays last.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::pitstop::Run;
use integration::request::{Held, Pending};
use integration::world::{Builder, Redirects, World};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::scene::{Scene, wait_for_new_process};

/// Only a wait that measures by the wall clock takes longer.
const FAR_BELOW_A_DAY: Duration = Duration::from_secs(60);

/// A wall clock for one `pitstop` and all that it starts, off by what its file says: faketime(1).
struct Clock {
    file: PathBuf,
    _folder: TempDir,
}

impl Clock {
    fn right() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Self { file: folder.path().join("offset"), _folder: folder };
        clock.jump("+0");
        clock
    }

    /// From now on it is off by this, such as `+3y` or `-1d`.
    fn jump(&self, offset: &str) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn start(&self, scene: &Scene, arguments: &[&str]) -> Run {
        let mut command = scene.world.pitstop.command(arguments);
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Run::start(command)
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let library = |folder: PathBuf| Some(folder.join("faketime/libfaketimeMT.so.1")).filter(|path| Path::exists(path));
    folders.into_iter().find_map(library).expect("faketime is missing: scripts/setup test")
}

fn builder() -> Builder {
    World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"1s\"")
}

#[test]
fn row_17_a_clock_that_jumps_at_every_step_changes_nothing_but_what_people_read() {
    let scene = Scene::new(builder());
    let old = scene.pid();
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    scene.world.apps[0].at_next_start(&["--ready-after=1000"]);
    let clock = Clock::right();
    let mut run = clock.start(&scene, &["--output", "json", "restart", "webA"]);
    for (step, offset) in [("drain", "+3y"), ("restart", "-3y"), ("ready", "+1d"), ("await_in", "-30y")] {
        run.wait_for_step(step);
        clock.jump(offset);
    }
    let outcome = run.wait();
    outcome.assert_code(0);
    let events = outcome.events();
    let years: Vec<&str> = events.iter().filter_map(|event| event["at"].as_str()?.get(..4)).collect();
    assert!(
        years.windows(2).any(|pair| pair[1] > pair[0]) && years.windows(2).any(|pair| pair[1] < pair[0]),
        "{years:?}"
    );
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
    let taken =
        events.iter().filter(|event| event["event"] == "step_ended").filter_map(|event| event["micros"].as_u64());
    assert!(Duration::from_micros(taken.sum()) <= outcome.duration, "{}", outcome.stdout);
    request.assert_answered();
    assert_ne!(scene.pid(), old);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_17_a_jump_forward_does_not_end_a_wait_early() {
    let scene = Scene::new(builder().drain_line("timeout = \"60s\"").table_line("ready", "timeout = \"60s\""));
    scene.world.apps[0].at_next_start(&["--ready-after=1500"]);
    let old = scene.pid();
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let clock = Clock::right();
    let mut run = clock.start(&scene, &["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    clock.jump("+1d");
    wait_for_new_process(&scene.world, old);
    clock.jump("+2d");
    run.wait().assert_code(0);
    request.assert_answered();
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_17_a_jump_backward_does_not_prolong_a_drain() {
    let scene = Scene::new(builder().drain_line("timeout = \"2s\""));
    let mut conversation = Held::conversation(scene.world.frontend(), "SERVER=A");
    let clock = Clock::right();
    let mut run = clock.start(&scene, &["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    clock.jump("-1d");
    let outcome = run.wait();
    outcome.assert_code(5);
    assert!(outcome.duration < FAR_BELOW_A_DAY, "{:?}", outcome.duration);
    assert!(conversation.is_alive());
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_17_a_jump_backward_does_not_prolong_a_proof() {
    let scene = Scene::new(builder().table_line("ready", "timeout = \"2s\""));
    scene.world.apps[0].at_next_start(&["--health-only-broken"]);
    let clock = Clock::right();
    let mut run = clock.start(&scene, &["--output", "json", "restart", "webA"]);
    run.wait_for_step("ready");
    clock.jump("-1d");
    let outcome = run.wait();
    outcome.assert_code(6);
    assert!(outcome.duration < FAR_BELOW_A_DAY, "{:?}", outcome.duration);
    assert!(scene.alerts().contains("webA is out of rotation"), "{}", scene.alerts());
    scene.assert_out();
    scene.assert_nothing_failed();
}

/// By the clock the run that was killed is ten years younger than the one that mended it.
#[test]
fn row_17_the_last_run_is_the_last_written_whatever_the_clock_said() {
    let scene = Scene::new(builder());
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let clock = Clock::right();
    clock.jump("+10y");
    let mut run = clock.start(&scene, &["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    run.signal(Signal::SIGKILL);
    run.wait();
    request.assert_answered();
    scene.run(&["status", "webA"]).assert_code(7).assert_says(&["INTERRUPTED"]);
    scene.run(&["in", "webA"]).assert_code(0);
    let status = scene.run(&["status", "webA"]);
    assert!(!status.stdout.contains("INTERRUPTED"), "{}", status.stdout);
    scene.run(&["restart", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}
