//! The journal can't be written: a full disk, one that fails, one that has become read-only. Before the stop the run is refused or
//! undone; afterwards it goes on to its safe end in memory, and says so aloud.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use integration::netns;
use integration::pitstop::{Outcome, Run};
use integration::request::{Held, Pending};
use integration::world::{Builder, World};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

use crate::scene::{Scene, Touchables, wait_for_journal, wait_for_new_process};

const COMMANDS: [&str; 3] = ["restart", "out", "in"];

fn builder() -> Builder {
    World::builder().pitstop_line("hold = \"0s\"")
}

/// The state directory on a file system of its own, which only this thread and what it starts can see.
struct Mount {
    folder: PathBuf,
}

impl Mount {
    fn new(scene: &Scene, arguments: &[&str]) -> Self {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        netns::run(&["mount", "--make-rprivate", "/"]);
        let folder = scene.world.pitstop.state();
        netns::run(&[&["mount"], arguments, &[folder.to_str().unwrap()]].concat());
        Self { folder }
    }

    /// In memory, with room for some runs.
    fn small(scene: &Scene) -> Self {
        Self::new(scene, &["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
    }

    /// As on a disk; the image is beside the state directory.
    fn ext4(scene: &Scene) -> Self {
        let image = scene.world.pitstop.state().with_extension("image");
        netns::run(&["truncate", "--size=8M", image.to_str().unwrap()]);
        netns::run(&["mkfs.ext4", "-q", image.to_str().unwrap()]);
        Self::new(scene, &["-o", "loop,errors=remount-ro", image.to_str().unwrap()])
    }

    /// Not a byte more can be written, but in pages that are begun.
    fn fill(&self) {
        let filler = self.folder.join("filler");
        fs::write(&filler, vec![0; 1 << 20]).unwrap_err();
        assert!(fs::metadata(filler).unwrap().len() > 0);
    }

    fn empty(&self) {
        fs::remove_file(self.folder.join("filler")).unwrap();
    }

    fn remount(&self, option: &str) {
        netns::run(&["mount", "-o", &format!("remount,{option}"), self.folder.to_str().unwrap()]);
    }

    /// What the kernel does when it finds an error: ext4(5), `errors=remount-ro`.
    fn damage(&self) {
        let device = netns::run(&["findmnt", "--noheadings", "--output", "SOURCE", self.folder.to_str().unwrap()]);
        let device = Path::new(device.trim()).file_name().unwrap().to_str().unwrap();
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.folder).status().ok();
    }
}

/// Every `fdatasync` and `fsync` of the run fails, from the given one on or that one alone; the log tells how many did.
fn with_failing_disk(scene: &Scene, which: &str, log: &Path, arguments: &[&str]) -> Run {
    let inner = scene.world.pitstop.command(arguments);
    let mut command = Command::new("strace");
    command.arg("-o").arg(log).arg("-e").arg("trace=fsync,fdatasync");
    command.arg("-e").arg(format!("inject=fsync,fdatasync:error=EIO:when={which}"));
    command.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    Run::start(command)
}

/// In, healthy and untouched; in, healthy and restarted. Returns whether it was restarted.
fn assert_safe_end(scene: &Scene, old: i32, outcome: &Outcome) -> bool {
    scene.assert_in();
    assert!(matches!(outcome.code, Some(0 | 3 | 5)), "{outcome:?}");
    assert_eq!(scene.pid() != old, outcome.code == Some(0), "{outcome:?}");
    outcome.code == Some(0)
}

fn assert_refused(scene: &Scene) {
    let before = Touchables::of(&scene.world);
    for command in COMMANDS {
        scene.run(&[command, "webA"]).assert_code(3).assert_says(&["the state directory can't be used", "hint: "]);
        before.assert_untouched(&scene.world);
    }
    assert_eq!(scene.alerts(), "");
}

#[test]
fn row_03_on_a_full_disk_every_run_is_refused_until_there_is_room() {
    let scene = Scene::new(builder());
    let mount = Mount::small(&scene);
    mount.fill();
    assert_refused(&scene);
    scene.run(&["check", "webA"]).assert_code(3).assert_says(&["No space left on device"]);
    mount.empty();
    scene.run(&["restart", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// Whatever of a recovery can't be written, the run that died is not forgotten.
#[test]
fn row_03_a_recovery_on_a_full_disk_is_refused_and_done_when_there_is_room() {
    let scene = Scene::new(builder());
    let mount = Mount::small(&scene);
    let sticky = Held::conversation(scene.world.frontend(), "SERVER=A");
    let old = scene.pid();
    let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    run.signal(Signal::SIGKILL);
    run.wait();
    mount.fill();
    // A page that is begun may still take some of its records.
    let refused = scene.run(&["recover", "webA"]);
    assert!(matches!(refused.code, Some(0 | 3)), "{refused:?}");
    mount.empty();
    scene.run(&["recover", "webA"]).assert_code(0);
    scene.run(&["status", "webA"]).assert_code(0);
    assert_eq!(scene.pid(), old);
    drop(sticky);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_03_on_a_read_only_disk_every_run_is_refused_until_it_can_be_written() {
    let scene = Scene::new(builder());
    let mount = Mount::small(&scene);
    // The second time the app's folder, journal and claim are there.
    for _ in 0..2 {
        mount.remount("ro");
        assert_refused(&scene);
        mount.remount("rw");
        scene.run(&["restart", "webA"]).assert_code(0);
    }
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// Intent is on disk before the act: with the first that can't be, there is no act.
#[test]
fn row_03_on_a_disk_that_fails_every_run_is_refused() {
    let scene = Scene::new(builder());
    let log = scene.world.pitstop.config().with_file_name("strace");
    let before = Touchables::of(&scene.world);
    for command in COMMANDS {
        let outcome = with_failing_disk(&scene, "1+", &log, &[command, "webA"]).wait();
        outcome.assert_code(3).assert_says(&["the state directory can't be used", "Input/output error"]);
        before.assert_untouched(&scene.world);
    }
    scene.assert_nothing_failed();
}

/// From each write of a whole run on, one after the other.
#[test]
fn row_03_a_disk_that_fails_from_any_moment_on_leaves_the_app_in() {
    every_moment("+");
}

#[test]
fn row_03_a_disk_that_fails_at_any_moment_once_leaves_the_app_in() {
    every_moment("");
}

fn every_moment(from_then_on: &str) {
    let scene = Scene::new(builder());
    let log = scene.world.pitstop.config().with_file_name("strace");
    let (mut kept, mut restarted) = (0, 0);
    for moment in 1.. {
        let old = scene.pid();
        let which = format!("{moment}{from_then_on}");
        let outcome = with_failing_disk(&scene, &which, &log, &["restart", "webA"]).wait();
        let failed = fs::read_to_string(&log).unwrap().contains("INJECTED");
        match assert_safe_end(&scene, old, &outcome) {
            true => restarted += 1,
            false => kept += 1,
        }
        // The disk is well again: whatever the journal lacks, nothing is left to be done by hand.
        scene.run(&["in", "webA"]).assert_code(0);
        if !failed {
            break;
        }
    }
    assert!(kept > 0 && restarted > 1, "{kept} undone, {restarted} finished");
    scene.assert_nothing_failed();
}

/// Full from some step on; a page that is begun may still take a record or two.
#[test]
fn row_03_a_disk_that_fills_up_in_the_middle_leaves_the_app_in() {
    for step in ["drain", "restart", "ready"] {
        let scene = Scene::new(builder());
        let mount = Mount::small(&scene);
        scene.world.apps[0].at_next_start(&["--ready-after=500"]);
        let old = scene.pid();
        let request = Pending::work(scene.world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
        let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
        run.wait_for_step(step);
        mount.fill();
        assert_safe_end(&scene, old, &run.wait());
        request.assert_answered();
        mount.empty();
        scene.run(&["in", "webA"]).assert_code(0);
        scene.assert_nothing_failed();
    }
}

#[test]
fn row_03_a_disk_that_becomes_read_only_before_the_stop_makes_the_run_undo() {
    let scene = Scene::new(builder());
    let mount = Mount::ext4(&scene);
    let old = scene.pid();
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
    let mut run = scene.world.pitstop.start(&["restart", "webA"]);
    wait_for_journal(&scene.world, &mut run, "\"step\":\"drain\"");
    mount.damage();
    run.wait().assert_code(5).assert_says(&["Read-only file system", "webA was not stopped"]);
    assert_eq!(scene.pid(), old);
    request.assert_answered();
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_03_a_disk_that_becomes_read_only_after_the_stop_is_said_aloud_and_the_app_is_put_back() {
    let scene = Scene::new(builder());
    let mount = Mount::ext4(&scene);
    scene.world.apps[0].at_next_start(&["--ready-after=1000"]);
    let old = scene.pid();
    let run = scene.world.pitstop.start(&["restart", "webA"]);
    wait_for_new_process(&scene.world, old);
    mount.damage();
    run.wait().assert_code(0).assert_says(&["the journal can't be written", "restarted, proven and back as it was"]);
    scene.assert_in();
    assert!(scene.alerts().contains("webA"), "the alert was raised: {:?}", scene.alerts());
    scene.assert_nothing_failed();
}

/// A file may not grow beyond what it has: the last record that fits only in part is torn, as on a full disk.
#[test]
fn row_03_an_app_that_was_stopped_is_started_also_where_that_can_not_be_written_down() {
    let scene = Scene::new(builder().app_option("--graceful").drain_line("timeout = \"1s\"\non_timeout = \"proceed\""));
    let journal = scene.world.pitstop.state().join("apps/webA/journal");
    // Keeps the app from ending for a while once it was told to.
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(4), Some("SERVER=A"));
    let inner = scene.world.pitstop.command(&["restart", "webA"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.stdin(Stdio::null());
    let mut run = Run::start(command);
    wait_for_journal(&scene.world, &mut run, "TERM to");
    let room = fs::metadata(&journal).unwrap().len() + 50;
    netns::run(&["prlimit", "--pid", &run.pid().to_string(), &format!("--fsize={room}")]);
    let outcome = run.wait();
    outcome.assert_code(0).assert_says(&["the journal can't be written", "restarted, proven and back as it was"]);
    request.assert_answered();
    scene.assert_in();
    // What could be written is whole.
    let text = fs::read_to_string(&journal).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    scene.run(&["status", "webA"]).assert_code(7).assert_says(&["INTERRUPTED"]);
    scene.run(&["in", "webA"]).assert_code(0);
    scene.assert_nothing_failed();
}
