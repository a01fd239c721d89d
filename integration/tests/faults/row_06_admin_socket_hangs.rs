//! Row 06: HAProxy hangs with a command of ours in its socket, which runs when it goes on.
//!
//! Pitstop talks through a relay that suspends HAProxy's worker right before it hands a certain command on.

use std::sync::mpsc;
use std::time::Duration;

use integration::haproxy::Version;
use integration::load::Load;
use integration::pitstop::{Outcome, Run};
use integration::relay::Relay;
use integration::request::Held;
use integration::wait;
use integration::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SOON: Duration = Duration::from_secs(30);

/// Longer than an answer is waited for, and shorter than an act is waited for after that.
const HANG: Duration = Duration::from_secs(3);

/// A HAProxy that hangs at the first command that contains a certain text.
struct Scene {
    world: World,
    worker: Pid,
    hung: mpsc::Receiver<()>,
}

impl Scene {
    fn new(hangs_at: &'static str) -> Self {
        let world = World::builder().version(Version::Bed("3.2")).pitstop_line("hold = \"0s\"").start();
        let worker = Pid::from_raw(world.haproxy.pid().unwrap());
        let (hangs, hung) = mpsc::channel();
        let hang = move || {
            suspend(worker);
            hangs.send(()).ok();
        };
        Relay::at_first(&world, move |line| line.contains(hangs_at), hang);
        Self { world, worker, hung }
    }

    fn load(&self) -> Load {
        let load = self.world.load(Duration::from_millis(200));
        load.wait_for_requests(100, SOON);
        load
    }

    fn start(&self, command: &str) -> Run {
        self.world.pitstop.start(&["--output", "json", command, "webA"])
    }

    /// Hangs for some seconds, in which the run must not give up.
    fn hang(&self, run: &mut Run) {
        self.hung.recv_timeout(SOON).unwrap();
        let ended = wait::within(HANG, || run.has_ended().then_some(()));
        self.go_on();
        assert_eq!(ended, None, "{}", run.stderr());
    }

    /// Hangs until the run has ended.
    fn restart_throughout(&self) -> Outcome {
        let outcome = self.world.pitstop.run(&["restart", "webA"]);
        self.go_on();
        self.hung.try_recv().unwrap();
        outcome
    }

    fn go_on(&self) {
        kill(self.worker, Signal::SIGCONT).unwrap();
    }

    fn assert_all(&self, status: &str) {
        for server in self.world.servers(0) {
            self.world.haproxy.wait_for_status(&server, status, SOON);
        }
    }

    /// What a person is told to type brings the app back.
    fn assert_comes_back(&self) {
        self.world.pitstop.run(&["in", "webA"]).assert_code(0);
        self.assert_all("UP");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What is suspended does not hear a TERM.
        kill(self.worker, Signal::SIGCONT).ok();
    }
}

/// Returns once none of its threads runs any more.
fn suspend(pid: Pid) {
    kill(pid, Signal::SIGSTOP).unwrap();
    wait::until("HAProxy is suspended", SOON, || {
        let mut tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let suspended = tasks
            .all(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap().contains("State:\tT"));
        suspended.then_some(())
    });
}

fn a_restart_is_finished(hangs_at: &'static str) {
    let scene = Scene::new(hangs_at);
    let old = scene.world.apps[0].pid();
    let load = scene.load();
    let mut run = scene.start("restart");
    scene.hang(&mut run);
    run.wait().assert_code(0);
    scene.assert_all("UP");
    assert_ne!(scene.world.apps[0].pid(), old);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn a_restart_is_finished_after_a_hang_at_drain() {
    a_restart_is_finished("srvs/webA state drain");
}

#[test]
fn a_restart_is_finished_after_a_hang_at_the_last_drain() {
    a_restart_is_finished("srvs/bkpA state drain");
}

#[test]
fn a_restart_is_finished_after_a_hang_at_maint() {
    a_restart_is_finished("srvs/webA state maint");
}

#[test]
fn a_restart_is_finished_after_a_hang_at_ready() {
    a_restart_is_finished("srvs/webA state ready");
}

#[test]
fn out_is_out_after_a_hang_at_maint() {
    let scene = Scene::new("srvs/webA state maint");
    let load = scene.load();
    let mut run = scene.start("out");
    scene.hang(&mut run);
    run.wait().assert_code(0);
    scene.assert_all("MAINT");
    load.stop().assert_nothing_failed();
    scene.assert_comes_back();
}

#[test]
fn undo_restores_what_was_found_after_a_hang() {
    let scene = Scene::new("srvs/webA state ready");
    let old = scene.world.apps[0].pid();
    let mut held = Held::conversation(scene.world.frontend(), "SERVER=A");
    let mut run = scene.start("restart");
    run.wait_for_step("drain");
    run.signal(Signal::SIGINT);
    scene.hang(&mut run);
    run.wait().assert_code(5);
    scene.assert_all("UP");
    assert_eq!(scene.world.apps[0].pid(), old);
    assert!(held.is_alive());
}

/// A hang that outlasts the run: the opposite is not sent, so what was sent is what holds.
#[test]
fn what_a_hang_at_drain_leaves_is_said_and_holds() {
    let scene = Scene::new("srvs/webA state drain");
    let old = scene.world.apps[0].pid();
    let load = scene.load();
    let outcome = scene.restart_throughout();
    outcome.assert_code(6).assert_says(&[
        "an earlier command",
        "nothing more was sent",
        "NOT known to be back on lb1",
        "pitstop in webA",
    ]);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    assert_eq!(scene.world.apps[0].pid(), old);
    scene.assert_comes_back();
}

#[test]
fn what_a_hang_at_maint_leaves_is_said_and_holds() {
    let scene = Scene::new("srvs/webA state maint");
    let old = scene.world.apps[0].pid();
    let load = scene.load();
    let outcome = scene.restart_throughout();
    outcome.assert_code(6).assert_says(&[
        "an earlier command",
        "nothing more was sent",
        "NOT known to be back on lb1",
        "pitstop in webA",
    ]);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    assert_eq!(scene.world.apps[0].pid(), old);
    scene.assert_comes_back();
}

#[test]
fn what_a_hang_at_ready_leaves_is_owing() {
    let scene = Scene::new("srvs/webA state ready");
    let old = scene.world.apps[0].pid();
    let load = scene.load();
    let outcome = scene.restart_throughout();
    outcome.assert_code(6).assert_says(&["NOT known to be back on lb1", "pitstop in webA"]);
    assert_ne!(scene.world.apps[0].pid(), old);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    scene.assert_comes_back();
}
