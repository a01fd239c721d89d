//! Row 13: the manager lies. Whatever it says, a restart has happened when there is a new process, and not before.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use integration::pitstop::Outcome;
use integration::wait;
use integration::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::moment::{SOON, first_app_is_in, load};

/// `runsv` over the first app; both end with it.
struct Runit {
    folder: tempfile::TempDir,
    runsv: Child,
}

impl Runit {
    /// Takes the app over. What it runs may be slow to end.
    fn supervise(world: &World, run: impl Fn(&str) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = &world.apps[0];
        app.stop();
        let words: Vec<String> = app.start_command().into_iter().filter(|word| word != "--daemon").collect();
        write_script(&folder.path().join("run"), &run(&words.join(" ")));
        let runsv =
            Command::new("runsv").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let runit = Self { folder, runsv };
        app.wait_until_healthy();
        runit
    }

    fn directory(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Runit {
    fn drop(&mut self) {
        // To runsv, TERM means: end the app, then yourself.
        kill(Pid::from_raw(self.runsv.id().try_into().unwrap()), Signal::SIGTERM).ok();
        if wait::exit_within(&mut self.runsv, SOON).is_none() {
            self.runsv.kill().ok();
        }
        self.runsv.wait().ok();
    }
}

fn write_script(path: &Path, lines: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Lets pitstop restart the first app by a command.
fn restart_by(world: &World, command: &[&str]) {
    let start = format!("start = {:?}", world.apps[0].start_command());
    world.pitstop.replace(&start, &format!("restart = {command:?}"));
}

/// What the restart commands of the first app have printed.
fn said(world: &World) -> String {
    let mut text = String::new();
    for entry in walk(&world.pitstop.state()) {
        if entry.file_name().is_some_and(|name| name == "webA.log") {
            write!(text, "{}", std::fs::read_to_string(entry).unwrap()).unwrap();
        }
    }
    text
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn assert_restarted(world: &World, old: i32, outcome: &Outcome) {
    outcome.assert_code(0).assert_says(&["restarted, proven and back as it was"]);
    let new = world.apps[0].pid().unwrap();
    assert!(new != old && wait::is_running(new) && !wait::is_running(old), "{old}, {new}");
    assert!(first_app_is_in(world));
}

/// Within a second of a start, `sv restart` says at once that all is well, and names the process that it has told to end.
#[test]
fn row_13_runit_that_reports_the_old_process_is_not_believed() {
    let world = World::builder().start();
    let runit = Runit::supervise(&world, |app| format!("exec {app}"));
    restart_by(&world, &["sv", "-w", "7", "restart", runit.directory().to_str().unwrap()]);
    let lied = (0..20).any(|_| {
        // Begun anew, and healthy, less than a second ago unless the machine is slow.
        let before = world.apps[0].pid().unwrap();
        world.apps[0].signal(Signal::SIGTERM);
        wait::until("runsv starts it again", SOON, || (world.apps[0].pid() != Some(before)).then_some(()));
        world.apps[0].wait_until_healthy();
        let old = world.apps[0].pid().unwrap();
        let outcome = world.pitstop.run(&["restart", "webA"]);
        assert_restarted(&world, old, &outcome);
        said(&world).lines().any(|line| line.starts_with("ok: run:") && line.contains(&format!("(pid {old})")))
    });
    assert!(lied, "sv has told nothing but the truth:\n{}", said(&world));
}

#[test]
fn row_13_runit_that_reports_a_failure_though_it_has_restarted_the_app_is_not_believed() {
    let world = World::builder().start();
    let runit = Runit::supervise(&world, |app| format!("exec {app}"));
    let directory = runit.directory().to_str().unwrap();
    restart_by(&world, &["sh", "-c", "sv -w 7 restart \"$0\"; exit 1", directory]);
    // runsv lets a second pass between two starts.
    let started = || std::fs::metadata(world.apps[0].pidfile()).unwrap().modified().unwrap();
    let is_old = || SystemTime::now().duration_since(started()).is_ok_and(|age| age > Duration::from_secs(2));
    wait::until("it runs for two seconds", SOON, || is_old().then_some(()));
    let load = load(&world);
    let old = world.apps[0].pid().unwrap();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    assert_restarted(&world, old, &outcome);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn row_13_a_command_that_reports_success_and_does_nothing_is_not_believed() {
    let world = World::builder().table_line("service", "timeout = \"2s\"").start();
    restart_by(&world, &["true"]);
    let load = load(&world);
    let old = world.apps[0].pid().unwrap();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome
        .assert_code(5)
        .assert_says(&[&format!("process {old} is still the app's main process"), "webA was not stopped"]);
    assert!(first_app_is_in(&world) && world.apps[0].pid() == Some(old));
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}
