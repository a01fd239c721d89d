//! Nothing broken is put back: apps that die, never become ready, or take their time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use integration::load::{Load, Summary};
use integration::relay::Relay;
use integration::wait;
use integration::world::{Builder, World};

const LONG: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(30);

/// A world whose alerts are written to a file, with load on it.
struct Scene {
    world: World,
    load: Load,
    alerts: PathBuf,
    old: i32,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(builder: Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alerts = folder.path().join("alerts");
        let on_alert = format!("on_alert = [\"sh\", \"-c\", 'printf %s \"$1\" >{}', \"alert\"]", alerts.display());
        let world = builder.pitstop_line(&on_alert).start();
        let load = world.load(LONG);
        load.wait_for_requests(100, SOON);
        let old = world.apps[0].pid().unwrap();
        Self { world, load, alerts, old, _folder: folder }
    }

    fn is_out(&self) -> bool {
        self.world.servers(0).iter().all(|server| self.world.haproxy.status(server) == "MAINT")
    }

    /// Stays out, says so, raises the alert, and no client ever met the new process.
    fn assert_stays_out(self, why: &str) {
        let outcome = self.world.pitstop.run(&["restart", "webA"]);
        outcome.assert_code(6).assert_says(&["webA is OUT of rotation", why]);
        assert!(self.is_out());
        let alert = std::fs::read_to_string(&self.alerts).expect("the alert command has run");
        assert!(alert.contains("webA is out of rotation") && alert.contains(why), "{alert}");
        let summary = self.finish();
        summary.assert_nothing_failed();
    }

    /// Ends the load; only the old process of the app may have been asked.
    fn finish(self) -> Summary {
        self.load.wait_for_requests(100, SOON);
        assert!(self.is_out());
        let summary = self.load.stop();
        let asked: Vec<_> = summary.by_process.keys().filter(|process| process.starts_with("webA:")).collect();
        assert_eq!(asked, [&format!("webA:{}", self.old)], "HAProxy never sent anything to the new process");
        summary
    }
}

#[test]
fn an_app_that_dies_at_start_stays_out() {
    let scene = Scene::new(World::builder());
    scene.world.apps[0].at_next_start(&["--crash-at-start"]);
    let begun = Instant::now();
    scene.assert_stays_out("has ended");
    // Not only at the deadline of a minute.
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn an_app_that_dies_while_it_is_proven_stays_out() {
    let scene = Scene::new(World::builder().table_line("ready", "rise = 1000"));
    scene.world.apps[0].at_next_start(&["--crash-after=1500"]);
    scene.assert_stays_out("died");
}

#[test]
fn an_app_that_never_becomes_healthy_stays_out() {
    let scene = Scene::new(World::builder().table_line("ready", "timeout = \"1s\""));
    scene.world.apps[0].at_next_start(&["--health-only-broken"]);
    scene.assert_stays_out("503");
}

#[test]
fn an_app_that_dies_soon_after_its_put_back_is_taken_out_again() {
    let scene = Scene::new(World::builder().pitstop_line("hold = \"5s\""));
    scene.world.apps[0].at_next_start(&["--crash-after=2000"]);
    let outcome = scene.world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["webA is OUT of rotation", "died"]);
    assert!(scene.is_out());
    assert!(scene.alerts.exists());
}

/// Its checks go to a port that nobody serves, and HAProxy takes it down before pitstop could see it UP.
#[test]
fn an_app_that_a_check_takes_down_at_once_is_taken_out_again_at_once() {
    let world = World::builder().server_words("fall 1").check_interval(Duration::from_millis(100)).start();
    world.pitstop.run(&["out", "webA"]).assert_code(0);
    for server in world.servers(0) {
        world.haproxy.command(&format!("set server {server} check-port 9"));
    }
    let ready = AtomicBool::new(false);
    let next_poll = Relay::holding(&world, move |line| {
        ready.fetch_or(line.contains("state ready"), Ordering::Relaxed) && line.contains("show stat")
    });
    let begun = Instant::now();
    let run = world.pitstop.start(&["in", "webA"]);
    next_poll.wait();
    for server in world.servers(0) {
        world.haproxy.wait_for_status(&server, "DOWN", SOON);
    }
    next_poll.hand_on();
    run.wait().assert_code(6).assert_says(&["HAProxy's own check of srvs/webA on lb1 fails (L4CON)"]);
    // What has never been up is given a minute to earn it.
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_revert_is_run_once_and_the_app_restarted_once_more() {
    let revert = "revert = [\"sh\", \"-c\", \": >REVERTED\"]";
    let world = World::builder().table_line("service", revert).start();
    let app = &world.apps[0];
    world.pitstop.replace("REVERTED", &app.more().display().to_string());
    let load = world.load(LONG);
    load.wait_for_requests(100, SOON);
    let old = app.pid();
    app.at_next_start(&["--crash-at-start"]);
    let outcome = world.pitstop.run(&["--output", "json", "restart", app.name()]);
    outcome.assert_code(0);
    outcome.time_of("revert");
    assert_ne!(app.pid(), old);
    assert_eq!(app.log().matches("crashing at start").count(), 1);
    assert!(world.servers(0).iter().all(|server| world.haproxy.status(server).starts_with("UP")));
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn a_revert_that_does_not_help_leaves_it_out() {
    let scene = Scene::new(World::builder().table_line("service", "revert = [\"true\"]"));
    scene.world.apps[0].at_next_start(&["--crash-at-start"]);
    let app = scene.world.apps[0].log();
    assert_eq!(app.matches("crashing").count(), 0);
    scene.assert_stays_out("127.0.0.1:1001");
}

#[test]
fn a_second_attempt_may_succeed() {
    let world = World::builder().table_line("service", "attempts = 2").start();
    let app = &world.apps[0];
    let old = app.pid();
    let load = world.load(LONG);
    app.at_next_start(&["--start-delay=500", "--crash-at-start"]);
    let run = world.pitstop.start(&["restart", app.name()]);
    wait::until("a first try", SOON * 2, || (app.pid() != old).then_some(()));
    app.at_next_start(&[]);
    run.wait().assert_code(0);
    assert_eq!(app.log().matches("crashing at start").count(), 1);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn attempts_are_bounded() {
    let scene = Scene::new(World::builder().table_line("service", "attempts = 2"));
    scene.world.apps[0].at_next_start(&["--crash-at-start"]);
    let outcome = scene.world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(6);
    assert_eq!(scene.world.apps[0].log().matches("crashing at start").count(), 2);
    scene.finish().assert_nothing_failed();
}

#[test]
fn an_app_that_takes_a_second_to_become_ready_is_waited_for() {
    let world = World::builder().start();
    let app = &world.apps[0];
    let load = world.load(LONG);
    load.wait_for_requests(100, SOON);
    // Longer than a restart on a busy machine, so that it is not ready when that is over.
    app.at_next_start(&["--ready-after=5000"]);
    let outcome = world.pitstop.run(&["--output", "json", "restart", app.name()]);
    outcome.assert_code(0);
    assert!(outcome.events().iter().any(|event| event["event"] == "proving"), "{}", outcome.stdout);
    load.wait_for_requests(100, SOON);
    let summary = load.stop();
    summary.assert_nothing_failed();
    assert!(summary.by_process.contains_key(&format!("webA:{}", app.pid().unwrap())));
}
