//! Never below the guard, and never two runs at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::netns;
use integration::request::Pending;
use integration::world::{Redirects, World};

#[test]
fn the_last_server_is_refused_naming_the_numbers() {
    let world = World::builder().apps(1).start();
    let old = world.apps[0].pid();
    let refused = world.pitstop.run(&["restart", "webA"]);
    refused.assert_code(3).assert_says(&["0 of 1 servers of backend srvs", "asks for 1", "nothing was touched"]);
    assert_eq!(world.apps[0].pid(), old);
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
    world.pitstop.run(&["restart", "webA", "--force"]).assert_code(0);
    assert_ne!(world.apps[0].pid(), old);
}

#[test]
fn a_single_server_goes_where_the_guard_asks_for_none() {
    let world = World::builder().apps(1).table_line("guard", "min_up = 0").start();
    let old = world.apps[0].pid();
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert_ne!(world.apps[0].pid(), old);
}

#[test]
fn a_percentage_is_of_the_configured_servers_and_only_those_that_are_up_count() {
    let world = World::builder().table_line("guard", "min_up = \"50%\"").start();
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    world.haproxy.set_state("srvs/webB", "drain");
    let refused = world.pitstop.run(&["restart", "webA"]);
    refused.assert_code(3).assert_says(&["1 of 3 servers", "asks for 2"]);
    world.haproxy.set_state("srvs/webB", "ready");
    world.haproxy.command("set server srvs/webB weight 0");
    world.pitstop.run(&["restart", "webA"]).assert_code(3);
}

#[test]
fn a_server_that_falls_between_the_looks_makes_the_run_undo() {
    let world = World::builder().start();
    let old = world.apps[0].pid();
    let request = Pending::work(world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    for server in ["srvs/webB", "srvs/webC"] {
        world.haproxy.set_state(server, "maint");
    }
    run.wait().assert_code(5).assert_says(&["0 of 3 servers", "webA was not stopped"]);
    assert_eq!(world.apps[0].pid(), old);
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
    request.assert_answered();
}

#[test]
fn a_second_run_is_told_who_has_the_app() {
    let world = World::builder().start();
    let request = Pending::work(world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
    let mut first = world.pitstop.start(&["--output", "json", "restart", "webA", "--reason", "release 7"]);
    first.wait_for_step("drain");
    let pid = format!("pid {}", first.pid());
    for goal in ["restart", "out", "in"] {
        let second = world.pitstop.run(&[goal, "webA"]);
        second.assert_code(4).assert_says(&["another run", &pid, "by root", "since 20", "step \"drain\"", "release 7"]);
    }
    // The app beside it is free.
    world.pitstop.run(&["restart", "webB"]).assert_code(0);
    first.wait().assert_code(0);
    request.assert_answered();
}

#[test]
fn all_apps_of_a_host_restarted_at_once_leave_one_of_them_up() {
    let world = World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"100ms\"").start();
    let load = world.load(Duration::from_millis(300));
    for _ in 0..3 {
        load.wait_for_requests(50, Duration::from_secs(10));
        let runs: Vec<_> = world.apps.iter().map(|app| world.pitstop.start(&["restart", app.name()])).collect();
        let codes: Vec<_> = runs.into_iter().map(|run| run.wait().code).collect();
        assert!(codes.contains(&Some(0)) && codes.iter().all(|code| matches!(code, Some(0 | 3 | 5))), "{codes:?}");
    }
    load.stop().assert_nothing_failed();
}

/// The standby of an app that is down: a backup entry, and the only one that serves.
#[test]
fn an_app_that_serves_by_its_backup_alone_is_refused() {
    let world =
        World::builder().apps(2).redirects(Redirects::ByPitstop).check_interval(Duration::from_millis(100)).start();
    netns::run(&["iptables", "-w", "5", "-t", "nat", "-F", "PITSTOP"]);
    world.haproxy.wait_for_status("srvs/webA", "DOWN", Duration::from_secs(30));
    world.apps[1].stop();
    world.haproxy.wait_for_status("srvs/bkpB", "DOWN", Duration::from_secs(30));
    world.pitstop.run(&["restart", "webA"]).assert_code(3).assert_says(&["servers of backend srvs would be up"]);
    assert!(world.haproxy.status("srvs/bkpA").starts_with("UP"));
}

#[test]
fn a_backup_that_serves_alone_is_refused() {
    let world = World::builder().apps(2).check_interval(Duration::from_millis(100)).start();
    world.pitstop.replace(
        "servers = [\"srvs/webB\"]\nbackups = [\"srvs/bkpB\"]",
        "servers = [\"srvs/bkpB\"]\nunlisted = \"ignore\"",
    );
    world.haproxy.set_state("srvs/webB", "maint");
    world.haproxy.set_state("srvs/bkpA", "maint");
    world.pitstop.run(&["restart", "webB"]).assert_code(0);
    world.haproxy.set_state("srvs/webA", "maint");
    world.pitstop.run(&["restart", "webB"]).assert_code(3).assert_says(&["servers of backend srvs would be up"]);
}
