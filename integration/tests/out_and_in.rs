//! `out` and `in`: an app that is out stays out until `in`; foreign rules are adopted without a gap.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::netns;
use integration::world::{Redirects, World};

const SOON: Duration = Duration::from_secs(30);

fn statuses(world: &World) -> [String; 2] {
    world.servers(0).map(|server| world.haproxy.status(&server))
}

fn redirects_to_the_first_app() -> bool {
    netns::run(&["iptables", "-t", "nat", "-S"]).contains("--dport 2001")
}

#[test]
fn out_leaves_the_app_running_and_in_puts_it_back() {
    let world = World::builder().redirects(Redirects::ByPitstop).start();
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    let old = world.apps[0].pid();
    world.pitstop.run(&["out", "webA"]).assert_code(0);
    assert_eq!(statuses(&world), ["MAINT", "MAINT"]);
    assert!(!redirects_to_the_first_app());
    world.pitstop.run(&["status", "webA"]).assert_says(&["out"]);
    world.pitstop.run(&["out", "webA"]).assert_code(0);

    // A restart does not put in what somebody has taken out.
    let restarted = world.pitstop.run(&["restart", "webA"]);
    restarted.assert_code(0).assert_says(&["it was out of rotation by", "and is left so"]);
    assert_ne!(world.apps[0].pid(), old);
    assert_eq!(statuses(&world), ["MAINT", "MAINT"]);
    assert!(!redirects_to_the_first_app());

    let now = world.apps[0].pid();
    world.pitstop.run(&["in", "webA"]).assert_code(0);
    assert!(statuses(&world).iter().all(|status| status.starts_with("UP")));
    assert!(redirects_to_the_first_app());
    assert_eq!(world.apps[0].pid(), now);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn with_the_redirect_alone_an_app_that_is_out_stays_out_as_well() {
    let world = World::builder()
        .redirects(Redirects::ByPitstop)
        .check_interval(Duration::from_millis(100))
        .table_line("redirect", "alone = true")
        .start();
    world.pitstop.run(&["out", "webA"]).assert_code(0);
    let old = world.apps[0].pid();
    assert!(statuses(&world)[0].starts_with("DOWN"));
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert_ne!(world.apps[0].pid(), old);
    assert!(!redirects_to_the_first_app());
    assert!(statuses(&world)[0].starts_with("DOWN"));
    world.pitstop.run(&["in", "webA"]).assert_code(0);
    world.haproxy.wait_for_status("srvs/webA", "UP", SOON);
}

#[test]
fn foreign_rules_are_refused_and_adopted_without_a_gap() {
    let world = World::builder().redirects(Redirects::ByHand).start();
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    world.pitstop.run(&["restart", "webA"]).assert_code(3).assert_says(&["2001", "--adopt-rules"]);
    let adopted = world.pitstop.run(&["in", "webA", "--adopt-rules"]);
    adopted.assert_code(0);
    let rules = netns::run(&["iptables", "-t", "nat", "-S"]);
    let foreign = |rule: &&str| rule.contains("--dport 2001") && !rule.starts_with("-A PITSTOP");
    assert_eq!(rules.lines().filter(foreign).count(), 0, "{rules}");
    assert!(redirects_to_the_first_app());
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert!(statuses(&world).iter().all(|status| status.starts_with("UP")));
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}
