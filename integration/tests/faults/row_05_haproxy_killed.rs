//! Row 05: a HAProxy is killed while an app drains, restarts, or goes in again. A refused connection is not "drained": it is waited
//! for, then `unreachable` decides. The clients of a HAProxy that dies lose their requests with it; those of the other one none.

use std::time::Duration;

use integration::haproxy::Haproxy;
use integration::pitstop::{Outcome, Run};
use integration::request::Held;
use integration::world::{Builder, Redirects, World};
use nix::sys::signal::Signal;

use crate::scene::{SOON, Scene, wait_for_new_process};

/// Two balancers: the load is on the first, and the second is killed.
struct Killed {
    scene: Scene,
    old: i32,
}

impl Killed {
    fn new(builder: Builder) -> Self {
        let scene = Scene::new(builder.balancers(2));
        let old = scene.pid();
        Self { scene, old }
    }

    fn start(&self) -> Run {
        self.scene.world.pitstop.start(&["--output", "json", "restart", "webA"])
    }

    /// A restart that drains until the conversation is let go of.
    fn start_and_drain(&self) -> (Run, Held) {
        let sticky = Held::conversation(self.scene.world.frontend(), "SERVER=A");
        let mut run = self.start();
        run.wait_for_step("drain");
        (run, sticky)
    }

    /// A restart whose new process is there, and does not listen yet.
    fn start_and_restart(&self, delay: Duration) -> Run {
        self.scene.world.apps[0].at_next_start(&[&format!("--start-delay={}", delay.as_millis())]);
        let run = self.start();
        wait_for_new_process(&self.scene.world, self.old);
        run
    }

    fn victim(&mut self) -> &mut Haproxy {
        &mut self.scene.world.others[0]
    }

    /// The state that nothing may leave: up on the first, and said aloud that it is not known to be so on the second.
    fn assert_owing(&self, outcome: &Outcome) {
        outcome.assert_code(6).assert_says(&["webA is NOT known to be back on lb2"]);
        assert!(self.scene.alerts().contains("webA is not back on lb2"), "{}", self.scene.alerts());
        assert_up(&self.scene.world.haproxy, &self.scene.world);
        self.scene.run(&["status", "webA"]).assert_says(&["lb2"]);
        // Nothing has changed yet, and it is said again.
        self.scene.run(&["recover", "webA"]).assert_code(6).assert_says(&["NOT known to be back on lb2"]);
    }

    /// The killed HAProxy is back, and what is owing is paid.
    fn assert_recovers(mut self) {
        self.victim().start_again();
        self.scene.run(&["recover", "webA"]).assert_code(0);
        self.scene.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
        self.assert_in_and_nothing_lost();
    }

    fn assert_in_and_nothing_lost(self) {
        assert_up(&self.scene.world.others[0], &self.scene.world);
        assert_in_by_the_redirect(&self.scene.world);
        self.scene.assert_in();
        self.scene.assert_nothing_failed();
    }

    fn assert_restarted(&self) {
        assert_ne!(self.scene.pid(), self.old);
    }

    fn assert_not_restarted(&self) {
        assert_eq!(self.scene.pid(), self.old);
    }
}

fn assert_up(haproxy: &Haproxy, world: &World) {
    for server in world.servers(0) {
        haproxy.wait_for_status(&server, "UP", SOON);
    }
}

fn assert_in_by_the_redirect(world: &World) {
    let check = world.pitstop.run(&["check", "webA"]);
    check.assert_code(0).assert_says(&["redirect: in place"]);
}

/// What a run with `--output json` says is on standard output.
fn has_waited(outcome: &Outcome) {
    outcome.assert_says(&["lb2", "connection refused", "it is asked again"]);
}

fn redirect() -> Builder {
    World::builder().redirects(Redirects::ByPitstop)
}

#[test]
fn row_05_killed_in_the_drain_it_is_waited_for_then_undone_and_owing_until_recover() {
    let mut killed = Killed::new(redirect());
    let (run, _sticky) = killed.start_and_drain();
    killed.victim().kill();
    let outcome = run.wait();
    has_waited(&outcome);
    killed.assert_owing(&outcome);
    killed.assert_not_restarted();
    killed.assert_recovers();
}

#[test]
fn row_05_the_only_one_killed_in_the_drain_is_owing_until_recover() {
    let mut world = redirect().start();
    let sticky = Held::conversation(world.frontend(), "SERVER=A");
    let old = world.apps[0].pid();
    let mut run = world.pitstop.start(&["restart", "webA"]);
    world.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
    world.haproxy.kill();
    // With HAProxy its connections are gone: nothing is in flight any more, and nobody says that the app is out.
    drop(sticky);
    run.wait_for("it is asked again");
    run.wait().assert_code(6).assert_says(&["webA is NOT known to be back on lb1", "pitstop in webA"]);
    assert_eq!(world.apps[0].pid(), old);
    world.haproxy.start_again();
    world.pitstop.run(&["recover", "webA"]).assert_code(0);
    assert_up(&world.haproxy, &world);
    assert_in_by_the_redirect(&world);
}

#[test]
fn row_05_killed_and_started_again_in_the_drain_it_is_told_again_and_the_run_goes_on() {
    let mut killed = Killed::new(redirect());
    let (run, sticky) = killed.start_and_drain();
    killed.victim().kill();
    killed.victim().start_again();
    killed.victim().wait_for_status("srvs/webA", "MAINT", SOON);
    drop(sticky);
    run.wait().assert_code(0).assert_says(&["out again after at most"]);
    killed.assert_restarted();
    killed.assert_in_and_nothing_lost();
}

#[test]
fn row_05_killed_and_started_again_in_the_drain_an_undo_leaves_nothing_owing() {
    let mut killed = Killed::new(redirect());
    let (run, _sticky) = killed.start_and_drain();
    killed.victim().kill();
    killed.victim().start_again();
    killed.victim().wait_for_status("srvs/webA", "MAINT", SOON);
    run.signal(Signal::SIGINT);
    run.wait().assert_code(5).assert_says(&["everything is as it was found"]);
    killed.assert_not_restarted();
    killed.assert_in_and_nothing_lost();
}

/// The run goes on without it; in the end it is there again, or owing.
fn goes_on_without_it(builder: Builder, back_in_time: bool) {
    let mut killed = Killed::new(builder);
    let (mut run, sticky) = killed.start_and_drain();
    killed.victim().kill();
    run.wait_for_remark("goes on without it, as `unreachable` says");
    if back_in_time {
        killed.victim().start_again();
    }
    drop(sticky);
    let outcome = run.wait();
    has_waited(&outcome);
    killed.assert_restarted();
    if back_in_time {
        outcome.assert_code(0);
        killed.assert_in_and_nothing_lost();
    } else {
        killed.assert_owing(&outcome);
        killed.assert_recovers();
    }
}

#[test]
fn row_05_killed_in_the_drain_the_redirect_alone_goes_on_where_that_is_wanted() {
    goes_on_without_it(redirect().pitstop_line("unreachable = \"ignore-if-redirect\""), false);
}

#[test]
fn row_05_killed_in_the_drain_and_back_later_it_is_no_debt() {
    goes_on_without_it(redirect().pitstop_line("unreachable = \"ignore-if-redirect\""), true);
}

#[test]
fn row_05_killed_in_the_drain_the_run_proceeds_where_that_is_wanted() {
    goes_on_without_it(redirect().pitstop_line("unreachable = \"proceed\""), false);
}

#[test]
fn row_05_killed_while_the_app_restarts_the_proven_app_goes_in_on_the_other_one() {
    let mut killed = Killed::new(redirect());
    let run = killed.start_and_restart(Duration::from_secs(1));
    killed.victim().kill();
    let outcome = run.wait();
    killed.assert_owing(&outcome);
    killed.assert_restarted();
    killed.assert_recovers();
}

#[test]
fn row_05_killed_and_started_again_while_the_app_restarts_it_is_told_again() {
    let mut killed = Killed::new(redirect());
    let run = killed.start_and_restart(Duration::from_secs(8));
    killed.victim().kill();
    killed.victim().start_again();
    killed.victim().wait_for_status("srvs/webA", "MAINT", SOON);
    run.wait().assert_code(0).assert_says(&["out again after at most"]);
    killed.assert_restarted();
    killed.assert_in_and_nothing_lost();
}

/// Started again, it has the app up by its configuration.
#[test]
fn row_05_killed_after_put_back_it_owes_nothing() {
    let mut killed = Killed::new(redirect().pitstop_line("hold = \"3s\""));
    let mut run = killed.start();
    run.wait_for_step("await_in");
    killed.victim().kill();
    run.wait().assert_code(0).assert_says(&["restarted, proven and back as it was"]);
    killed.victim().start_again();
    killed.assert_restarted();
    killed.assert_in_and_nothing_lost();
}
