//! No file descriptors left: a run is not begun, undone, or finished; and a tool that could not even start has said nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::binaries;
use integration::netns;
use integration::pitstop::{Outcome, Run};
use integration::request::Pending;
use integration::wait;
use integration::world::{Builder, Redirects, World};
use tempfile::TempDir;

use crate::scene::{SOON, Scene, Touchables, wait_for_new_process};

fn builder() -> Builder {
    World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"0s\"")
}

/// From now on the process and what it starts may have so many files open; what it starts may give itself more.
fn limit(run: &Run, descriptors: usize) {
    netns::run(&["prlimit", "--pid", &run.pid().to_string(), &format!("--nofile={descriptors}:")]);
}

/// As low as what it holds, and a few above; from some step on. It ends in as before, or out and said aloud.
fn assert_safe_from(steps: &[&str]) {
    let scene = Scene::new(builder());
    // The app has a limit of its own, for it is not what is tried here.
    let start = format!("start = [{:?}", scene.world.apps[0].start_command()[0]);
    scene.world.pitstop.replace(&start, &start.replace('[', "[\"prlimit\", \"--nofile=1024:\", "));
    for step in steps {
        for descriptors in [16, 24, 40] {
            assert_safe_end(&scene, step, descriptors);
        }
    }
    scene.assert_nothing_failed();
}

#[test]
fn row_18_a_run_without_descriptors_before_the_stop_is_undone_or_finished() {
    assert_safe_from(&["soften", "take_out", "drain"]);
}

#[test]
fn row_18_a_run_without_descriptors_after_the_stop_is_undone_or_finished() {
    assert_safe_from(&["restart", "ready", "await_in"]);
}

fn assert_safe_end(scene: &Scene, step: &str, descriptors: usize) {
    let old = scene.pid();
    let alerts = scene.alerts();
    scene.world.apps[0].at_next_start(&["--ready-after=500"]);
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(1), Some("SERVER=A"));
    let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step(step);
    limit(&run, descriptors);
    let outcome = run.wait();
    request.assert_answered();
    let what = format!("{descriptors} from {step} on: {outcome:?}");
    match outcome.code {
        Some(0) => assert_ne!(scene.pid(), old, "{what}"),
        Some(5) => assert_eq!(scene.pid(), old, "{what}"),
        Some(6) => assert_ne!(scene.alerts(), alerts, "{what}"),
        _ => panic!("{what}"),
    }
    // What stays out for want of descriptors may have been stopped, and is as good as new once there are some.
    let mended_by = if outcome.code == Some(6) { "restart" } else { "in" };
    if mended_by == "in" {
        scene.assert_in();
    }
    scene.run(&[mended_by, "webA"]).assert_code(0);
    scene.assert_in();
}

/// With too few from the beginning nothing is begun.
#[test]
fn row_18_with_too_few_descriptors_to_undo_nothing_is_begun() {
    let scene = Scene::new(builder());
    let before = Touchables::of(&scene.world);
    for command in ["restart", "out", "in"] {
        let outcome = with_limit(&scene, 20, &[command, "webA"]);
        outcome.assert_code(1).assert_says(&["could not start", "Too many open files", "ulimit -n"]);
        before.assert_untouched(&scene.world);
    }
    // Looking needs few.
    with_limit(&scene, 20, &["status", "webA"]).assert_code(0).assert_says(&["srvs/webA UP"]);
    scene.assert_nothing_failed();
}

fn with_limit(scene: &Scene, descriptors: usize, arguments: &[&str]) -> Outcome {
    let inner = scene.world.pitstop.command(arguments);
    let mut command = std::process::Command::new("prlimit");
    command.arg(format!("--nofile={descriptors}")).arg(inner.get_program()).args(inner.get_args());
    Run::start(command).wait()
}

/// An `iptables` that can be made to end with 127, as a program does whose libraries can't be opened.
struct Faulty {
    folder: TempDir,
}

impl Faulty {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faulty = Self { folder };
        let real = binaries::tool("iptables", "demo");
        // Three descriptors are open already, so not even its first library can be.
        let script = format!(
            "#!/bin/sh\nfor word; do\n    if grep -qsxFe \"$word\" {flag}; then\n        echo >>{tries}\n        \
             exec prlimit --nofile=3 {real} \"$@\"\n    fi\ndone\nexec {real} \"$@\"\n",
            flag = faulty.flag().display(),
            tries = faulty.tries().display(),
            real = real.display()
        );
        let program = faulty.folder.path().join("iptables");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        faulty
    }

    fn flag(&self) -> PathBuf {
        self.folder.path().join("faulty")
    }

    /// Has a line for each time that it failed.
    fn tries(&self) -> PathBuf {
        self.folder.path().join("tries")
    }

    /// From now on it fails where one of its words is this, such as `-D`.
    fn fail(&self, word: &str) {
        fs::write(self.flag(), format!("{word}\n")).unwrap();
    }

    fn mend(&self) {
        fs::remove_file(self.flag()).unwrap();
    }

    fn start(&self, scene: &Scene, arguments: &[&str]) -> Run {
        let mut command = scene.world.pitstop.command(arguments);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", Path::display(self.folder.path())));
        Run::start(command)
    }
}

#[test]
fn row_18_an_iptables_that_ends_with_127_says_neither_yes_nor_no_and_nothing_is_begun() {
    let scene = Scene::new(builder());
    let faulty = Faulty::new();
    let before = Touchables::of(&scene.world);
    faulty.fail("-S");
    for command in ["restart", "out", "in"] {
        let outcome = faulty.start(&scene, &[command, "webA"]).wait();
        outcome.assert_code(3).assert_says(&["iptables", "127", "nothing was touched"]);
        before.assert_untouched(&scene.world);
    }
    scene.assert_nothing_failed();
}

#[test]
fn row_18_a_redirect_that_can_not_be_removed_for_127_makes_the_run_undo() {
    let scene = Scene::new(builder());
    let faulty = Faulty::new();
    let before = Touchables::of(&scene.world);
    faulty.fail("-D");
    faulty.start(&scene, &["restart", "webA"]).wait().assert_code(5).assert_says(&["127", "webA was not stopped"]);
    before.assert_untouched(&scene.world);
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// The rule is not taken to be there because a tool did not say no: it is tried again until it is.
#[test]
fn row_18_a_redirect_that_can_not_be_added_for_127_is_tried_again() {
    let scene = Scene::new(builder());
    let faulty = Faulty::new();
    let before = Touchables::of(&scene.world);
    let old = scene.pid();
    scene.world.apps[0].at_next_start(&["--ready-after=500"]);
    let mut run = faulty.start(&scene, &["--output", "json", "restart", "webA"]);
    wait_for_new_process(&scene.world, old);
    faulty.fail("-A");
    run.wait_for_step("put_back");
    let tries = || fs::read_to_string(faulty.tries()).unwrap_or_default().lines().count();
    wait::until("a second try", SOON, || (tries() > 1).then_some(()));
    faulty.mend();
    run.wait().assert_code(0);
    assert_eq!(Touchables::of(&scene.world).settings(), before.settings());
    scene.assert_in();
    scene.assert_nothing_failed();
}
