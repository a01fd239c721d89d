//! We undo only what we did: what was found in maintenance, draining or down is so afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use integration::haproxy::Haproxy;
use integration::netns;
use integration::pitstop::Outcome;
use integration::request::{Held, Pending};
use integration::world::{Redirects, World};

const SOON: Duration = Duration::from_secs(30);

/// Admin bits and weights of every server.
fn settings(haproxy: &Haproxy) -> Vec<String> {
    let text = haproxy.command("show servers state");
    let mut lines = text.lines().skip(1);
    let names: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(' ').collect();
    let columns: Vec<usize> = ["be_name", "srv_name", "srv_admin_state", "srv_uweight", "srv_iweight"]
        .iter()
        .map(|wanted| names.iter().position(|name| name == wanted).unwrap())
        .collect();
    let rows = lines.filter(|line| !line.is_empty()).map(|line| line.split(' ').collect::<Vec<_>>());
    rows.map(|row| columns.iter().map(|column| row[*column]).collect::<Vec<_>>().join(" ")).collect()
}

/// The NAT rules; their order does not matter, for each is about a port of its own.
fn nat() -> BTreeSet<String> {
    netns::run(&["iptables", "-t", "nat", "-S"]).lines().map(str::to_owned).collect()
}

#[test]
fn what_was_in_maintenance_stays_so_and_is_named() {
    let world = World::builder().start();
    for server in world.servers(0) {
        world.haproxy.set_state(&server, "maint");
    }
    let found = settings(&world.haproxy);
    let old = world.apps[0].pid();

    let refused = world.pitstop.run(&["restart", "webA", "--strict"]);
    refused.assert_code(3).assert_says(&["srvs/webA on lb1", "nothing was touched"]);
    assert_eq!((settings(&world.haproxy), world.apps[0].pid()), (found.clone(), old));

    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(0).assert_says(&[
        "left in somebody else's maintenance",
        "srvs/webA on lb1",
        "srvs/bkpA on lb1",
    ]);
    assert_eq!(settings(&world.haproxy), found);
    assert_ne!(world.apps[0].pid(), old);
}

#[test]
fn maintenance_on_one_of_two_balancers_stays_there_alone() {
    let world = World::builder().balancers(2).start();
    let other = &world.others[0];
    other.set_state("srvs/webA", "maint");
    let found = (settings(&world.haproxy), settings(other));
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(0).assert_says(&["left in somebody else's maintenance: srvs/webA on lb2"]);
    assert_eq!((settings(&world.haproxy), settings(other)), found);
    assert_eq!(other.status("srvs/webA"), "MAINT");
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
    load.stop().assert_nothing_failed();
}

#[test]
fn what_was_draining_drains_afterwards() {
    let world = World::builder().start();
    world.haproxy.set_state("srvs/webA", "drain");
    let found = settings(&world.haproxy);
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    let old = world.apps[0].pid();
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert_ne!(world.apps[0].pid(), old);
    assert_eq!(settings(&world.haproxy), found);
    assert_eq!(world.haproxy.status("srvs/webA"), "DRAIN");
    load.stop().assert_nothing_failed();
}

/// An undo, forced by a request that outlives the drain.
#[test]
fn undo_restores_bits_weights_and_redirect_as_found() {
    let world = World::builder()
        .redirects(Redirects::ByPitstop)
        .server_words("weight 10")
        .drain_line("timeout = \"1s\"")
        .start();
    world.haproxy.command("set server srvs/webA weight 7");
    world.haproxy.set_state("srvs/bkpA", "drain");
    let found = (settings(&world.haproxy), nat());
    let old = world.apps[0].pid();
    let request = Pending::work(world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(5).assert_says(&["still in flight: 1 in srvs/webA", "everything is as it was found"]);
    assert_eq!((settings(&world.haproxy), nat()), found);
    assert_eq!(world.apps[0].pid(), old);
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
    assert_eq!(Some(request.assert_answered().pid), old);
}

/// As left by somebody who took the redirect away: the main entry is down, the backup serves those who stick.
#[test]
fn what_checks_had_down_is_not_up_by_our_undo() {
    let world = World::builder()
        .redirects(Redirects::ByPitstop)
        .check_interval(Duration::from_millis(200))
        .drain_line("timeout = \"1s\"")
        .start();
    for rule in nat().iter().filter(|rule| rule.contains("--dport 2001")) {
        let rule = rule.replacen("-A ", "iptables -w 5 -t nat -D ", 1).replace('"', "");
        netns::run(&rule.split(' ').collect::<Vec<_>>());
    }
    world.haproxy.wait_for_status("srvs/webA", "DOWN", SOON);
    world.haproxy.wait_for_status("srvs/bkpA", "UP", SOON);
    let found = (settings(&world.haproxy), nat());
    let request = Pending::work(world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(5).assert_says(&["still in flight: 1 in srvs/bkpA"]);
    assert!(world.haproxy.status("srvs/webA").starts_with("DOWN"), "{}", world.haproxy.status("srvs/webA"));
    assert!(world.haproxy.status("srvs/bkpA").starts_with("UP"));
    assert_eq!((settings(&world.haproxy), nat()), found);
    assert_eq!(request.assert_answered().app, "webA");
}

/// A restart that fails, and one that mends it.
fn fail_and_mend(world: &World) -> Outcome {
    world.apps[0].at_next_start(&["--crash-at-start"]);
    world.pitstop.run(&["restart", "webA"]).assert_code(6);
    world.apps[0].at_next_start(&[]);
    let mended = world.pitstop.run(&["restart", "webA"]);
    mended.assert_code(0);
    mended
}

#[test]
fn a_restart_after_a_failed_one_puts_the_app_in_redirect_included() {
    let world = World::builder()
        .redirects(Redirects::ByPitstop)
        .check_interval(Duration::from_millis(100))
        .table_line("service", "timeout = \"1s\"")
        .start();
    let found = (settings(&world.haproxy), nat());
    let mended = fail_and_mend(&world);
    assert!(!mended.stdout.contains("left so"), "{}", mended.stdout);
    assert_eq!((settings(&world.haproxy), nat()), found);
    world.haproxy.wait_for_status("srvs/webA", "UP", SOON);
}

#[test]
fn a_restart_after_a_failed_one_leaves_what_was_in_maintenance_before_both() {
    let world = World::builder().balancers(2).table_line("service", "timeout = \"1s\"").start();
    let other = &world.others[0];
    other.set_state("srvs/webA", "maint");
    let found = (settings(&world.haproxy), settings(other));
    fail_and_mend(&world).assert_says(&["left in somebody else's maintenance: srvs/webA on lb2"]);
    assert_eq!((settings(&world.haproxy), settings(other)), found);
}

#[test]
fn a_weight_of_0_is_neither_ramped_nor_reset_when_the_app_does_not_hold() {
    let world = World::builder().pitstop_line("hold = \"1s\"").table_line("ramp", "over = \"1s\"").start();
    world.haproxy.command("set server srvs/webA weight 0");
    let found = settings(&world.haproxy);
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert_eq!(settings(&world.haproxy), found);
    world.apps[0].at_next_start(&["--crash-after=500"]);
    world.pitstop.run(&["restart", "webA"]).assert_code(6);
    assert_eq!(world.haproxy.command("get weight srvs/webA").trim(), "0 (initial 1)");
}

#[test]
fn maintenance_that_somebody_sets_while_we_drain_or_hold_stays_and_is_named() {
    let world = World::builder().pitstop_line("hold = \"2s\"").drain_line("sticky_grace = \"4s\"").start();
    let conversation = Held::conversation(world.frontend(), "SERVER=A");
    let run = world.pitstop.start(&["restart", "webA"]);
    world.haproxy.wait_for_status("srvs/webA", "DRAIN", SOON);
    world.haproxy.set_state("srvs/webA", "maint");
    drop(conversation);
    world.haproxy.wait_for_status("srvs/bkpA", "MAINT", SOON);
    world.haproxy.wait_for_status("srvs/bkpA", "UP", SOON);
    world.haproxy.set_state("srvs/bkpA", "maint");
    let outcome = run.wait();
    outcome.assert_code(0).assert_says(&[
        "srvs/webA on lb1, srvs/bkpA on lb1",
        "while it was draining",
        "after it was put back",
    ]);
    for server in world.servers(0) {
        assert_eq!(world.haproxy.status(&server), "MAINT");
    }
}

#[test]
fn maintenance_of_somebody_else_survives_a_reload_in_the_drain() {
    let world = World::builder().balancers(2).start();
    let other = &world.others[0];
    other.set_state("srvs/webA", "maint");
    let request = Pending::work(world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let run = world.pitstop.start(&["restart", "webA"]);
    other.wait_for_status("srvs/bkpA", "MAINT", SOON);
    other.reload();
    other.wait_for_status("srvs/webA", "MAINT", SOON);
    run.wait().assert_code(0).assert_says(&["left in somebody else's maintenance: srvs/webA on lb2"]);
    assert_eq!(other.status("srvs/webA"), "MAINT");
    assert!(other.status("srvs/bkpA").starts_with("UP"));
    request.assert_answered();
}
