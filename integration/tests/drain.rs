//! What is in flight: waited for, and beyond the deadline decided by policy; what is idle is neither.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use integration::request::{Held, Pending};
use integration::world::{Builder, World};

const SHORT: Duration = Duration::from_secs(1);

fn scene(on_timeout: &str) -> Builder {
    World::builder()
        .drain_line("timeout = \"1s\"")
        .drain_line(&format!("on_timeout = {on_timeout:?}"))
        .pitstop_line("hold = \"0s\"")
}

#[test]
fn abort_undoes_and_the_conversation_goes_on() {
    let world = scene("abort").start();
    let mut held = Held::conversation(world.frontend(), "SERVER=A");
    let old = world.apps[0].pid();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(5).assert_says(&["still in flight: 1 in srvs/webA", "webA was not stopped"]);
    assert!(outcome.duration >= SHORT);
    assert_eq!(world.apps[0].pid(), old);
    assert!(held.is_alive());
    assert!(world.servers(0).iter().all(|server| world.haproxy.status(server).starts_with("UP")));
}

#[test]
fn proceed_goes_on_once_the_deadline_has_passed() {
    let world = scene("proceed").start();
    let mut held = Held::conversation(world.frontend(), "SERVER=A");
    let old = world.apps[0].pid();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(0);
    assert!(outcome.duration >= SHORT);
    assert_ne!(world.apps[0].pid(), old);
    assert!(!held.is_alive());
    assert!(world.servers(0).iter().all(|server| world.haproxy.status(server).starts_with("UP")));
}

#[test]
fn shutdown_sessions_lets_haproxy_end_them() {
    let world = scene("shutdown-sessions").start();
    let mut held = Held::conversation(world.frontend(), "SERVER=A");
    let long = Pending::work(world.frontend(), Duration::from_secs(20), Some("SERVER=A"));
    let old = world.apps[0].pid();
    let outcome = world.pitstop.run(&["--output", "json", "restart", "webA"]);
    outcome.assert_code(0).assert_says(&["shutdown sessions server srvs/webA"]);
    assert!(outcome.time_of("shutdown_sessions") < SHORT);
    assert_ne!(world.apps[0].pid(), old);
    assert!(!held.is_alive());
    assert!(long.answer().is_none_or(|answer| answer.status == 502));
}

/// Connections that HAProxy keeps for later, and one of a client that talks to the app directly.
#[test]
fn idle_connections_neither_hold_the_drain_nor_count_as_work() {
    for reuse in ["http-reuse always", "http-reuse never"] {
        let world = World::builder().backend_line(reuse).pitstop_line("hold = \"0s\"").start();
        let load = world.load(Duration::from_millis(100));
        load.wait_for_requests(200, Duration::from_secs(5));
        load.stop().assert_nothing_failed();
        let _direct = Held::idle(world.apps[0].listen());
        let _client = Held::idle(world.frontend());
        let outcome = world.pitstop.run(&["--output", "json", "restart", "webA"]);
        outcome.assert_code(0);
        assert!(outcome.time_of("drain") < Duration::from_millis(500), "{}", outcome.stdout);
    }
}

#[test]
fn work_of_a_client_that_talks_to_the_app_directly_is_waited_for() {
    let world = World::builder().pitstop_line("hold = \"0s\"").start();
    let begun = Instant::now();
    let request = Pending::work(world.apps[0].listen(), SHORT, None);
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert!(begun.elapsed() >= SHORT);
    request.assert_answered();
}
