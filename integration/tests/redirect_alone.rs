//! The redirect alone takes the app out: admin sockets are read at most, and those who stick come by the backup entry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::load::{Load, Options};
use integration::netns;
use integration::world::{Builder, Redirects, World};

const LONG: Duration = Duration::from_secs(1);

/// Checks so frequent that the test is short; pitstop is told how frequent they are.
fn scene() -> Builder {
    World::builder()
        .redirects(Redirects::ByPitstop)
        .check_interval(Duration::from_millis(100))
        .default_line("timeout check 200ms")
        .table_line("redirect", "alone = true")
        .table_line("redirect", "inter = \"100ms\"")
        .table_line("redirect", "fall = 3")
        .table_line("redirect", "rise = 2")
        .table_line("redirect", "check_timeout = \"200ms\"")
        .table_line("drain", "kills_on_down = false")
        .table_line("drain", "idle_after = \"1s\"")
}

/// More of those who stick than of all others.
fn sticky_load(world: &World) -> Load {
    Load::start(&Options { sticky: 9, sticky_per_request: 6, ..Options::mix(world.frontend(), LONG) })
}

fn nothing_is_dropped(world: &World) {
    let load = sticky_load(world);
    load.wait_for_requests(200, LONG * 20);
    let app = &world.apps[0];
    let before = app.pid();
    let outcome = world.pitstop.run(&["restart", app.name()]);
    outcome.assert_code(0);
    assert_ne!(app.pid(), before);
    load.wait_for_requests(200, LONG * 20);
    let summary = load.stop();
    summary.assert_nothing_failed();
    assert!(summary.by_process.contains_key(&format!("webA:{}", app.pid().unwrap())), "{:?}", summary.by_process);
    for server in world.servers(0) {
        world.haproxy.wait_for_status(&server, "UP", LONG * 20);
    }
    let filter = netns::run(&["iptables-save", "-t", "filter"]);
    assert!(!filter.contains("-j REJECT"), "the gate is open and nothing is counted any more:\n{filter}");
}

#[test]
fn a_socket_of_level_admin_is_read_and_nothing_is_dropped() {
    nothing_is_dropped(&scene().start());
}

#[test]
fn a_socket_of_level_user_is_enough() {
    let world = scene().global_line("stats socket ipv4@127.0.0.1:9998 level user").start();
    world.tell_of_balancers("[balancers.lb1]\nsocket = \"tcp:127.0.0.1:9998\"");
    nothing_is_dropped(&world);
}

#[test]
fn a_socket_of_level_operator_is_enough() {
    let world = scene().global_line("stats socket ipv4@127.0.0.1:9998 level operator").start();
    world.tell_of_balancers("[balancers.lb1]\nsocket = \"tcp:127.0.0.1:9998\"");
    nothing_is_dropped(&world);
}

#[test]
fn without_a_socket_refused_checks_are_counted_by_source() {
    let world = scene().start();
    world.tell_of_balancers("[balancers.lb1]\naddresses = [\"127.0.0.1\"]");
    nothing_is_dropped(&world);
}

#[test]
fn without_socket_and_addresses_the_worst_case_is_waited_for() {
    let world = scene().start();
    world.tell_of_balancers("[balancers.lb1]");
    nothing_is_dropped(&world);
}
