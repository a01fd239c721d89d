//! Row 16, in the middle of a run: somebody flushes the firewall. However the run ends, the redirect is there when it has put
//! the app in again.

use std::time::Duration;

use integration::load::Load;
use integration::wait;
use integration::world::{Builder, Redirects, World};

use crate::firewall::{first_redirect_is_there, private_locks, run, use_legacy};
use crate::moment::{SOON, before_the_redirect_is_removed, load, resting};

/// Checks so frequent that HAProxy notices soon.
fn scene() -> Builder {
    World::builder().redirects(Redirects::ByPitstop).check_interval(Duration::from_millis(100))
}

/// On a host where address translation is in use elsewhere, too. With its last user the kernel forgets all translations, and resets
/// connections whose port it had changed because a check had the same: whoever flushes everything does that, not we.
fn start(builder: Builder) -> World {
    let world = builder.start();
    run("iptables-legacy -w 5 -t nat -S");
    world
}

fn assert_in_and_nothing_lost(world: &World, load: Load) {
    assert!(first_redirect_is_there());
    world.haproxy.wait_for_status("srvs/webA", "UP", SOON);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    for app in &world.apps[1..] {
        world.pitstop.run(&["in", app.name()]).assert_code(0);
    }
    world.pitstop.run(&["check", "webA"]).assert_code(0).assert_says(&["redirect: in place"]);
}

/// The other apps' redirects are gone as well, so that HAProxy has them down and the guard says no.
fn flushed_while_draining(flush: &[&str]) {
    let world = start(resting(scene()));
    let load = load(&world);
    let old = world.apps[0].pid();
    let (restart, ()) = before_the_redirect_is_removed(&world, || {
        flush.iter().for_each(|line| drop(run(line)));
        for server in ["srvs/webB", "srvs/webC"] {
            world.haproxy.wait_for_status(server, "DOWN", SOON);
        }
    });
    restart.wait().assert_code(5).assert_says(&["0 of 3 servers", "webA was not stopped"]);
    assert_eq!(world.apps[0].pid(), old);
    assert_in_and_nothing_lost(&world, load);
}

fn flushed_while_restarting(flush: &[&str]) {
    let world = start(scene());
    let load = load(&world);
    let old = world.apps[0].pid();
    world.apps[0].at_next_start(&["--start-delay=2000"]);
    let restart = world.pitstop.start(&["restart", "webA"]);
    wait::until("the new process", SOON, || (world.apps[0].pid() != old).then_some(()));
    flush.iter().for_each(|line| drop(run(line)));
    restart.wait().assert_code(0);
    assert_in_and_nothing_lost(&world, load);
}

/// HAProxy's own checks fail then, of a healthy app.
fn flushed_while_holding(flush: &[&str]) {
    let world = start(scene().pitstop_line("hold = \"5s\""));
    let load = load(&world);
    let mut restart = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    restart.wait_for_step("await_in");
    world.haproxy.wait_for_status("srvs/webA", "UP", SOON);
    flush.iter().for_each(|line| drop(run(line)));
    restart.wait().assert_code(0);
    assert_in_and_nothing_lost(&world, load);
}

#[test]
fn row_16_a_ruleset_flushed_by_nft_in_the_drain_is_there_again_after_the_undo() {
    private_locks();
    flushed_while_draining(&["nft flush ruleset"]);
}

#[test]
fn row_16_a_nat_table_flushed_by_legacy_in_the_drain_is_there_again_after_the_undo() {
    private_locks();
    use_legacy();
    flushed_while_draining(&["iptables -w 5 -F", "iptables -w 5 -t nat -F", "iptables -w 5 -t nat -X"]);
}

#[test]
fn row_16_a_ruleset_flushed_by_nft_during_the_restart_is_there_again_at_the_end() {
    private_locks();
    flushed_while_restarting(&["nft flush ruleset"]);
}

#[test]
fn row_16_a_nat_table_flushed_during_the_restart_is_there_again_at_the_end() {
    private_locks();
    flushed_while_restarting(&["iptables -w 5 -F", "iptables -w 5 -t nat -F"]);
}

#[test]
fn row_16_a_ruleset_flushed_after_the_put_back_is_there_again_at_the_end() {
    private_locks();
    flushed_while_holding(&["nft flush ruleset"]);
}
