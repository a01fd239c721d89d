//! Row 9: something else answers the check port. Before a run it is looked for; in a run, a connect tells.

use std::net::TcpListener;

use integration::pitstop::Outcome;
use integration::world::{Builder, Redirects, World};

use crate::firewall::{first_redirect_is_there, private_locks, run};
use crate::moment::{SOON, before_the_redirect_is_removed, first_app_is_in, load, resting};

const DUPLICATE: &str = "OUTPUT -p tcp -m tcp --dport 2001 -j REDIRECT --to-ports 1001";

fn scene() -> Builder {
    private_locks();
    resting(World::builder().redirects(Redirects::ByPitstop))
}

fn three_identical_rules() {
    for _ in 0..3 {
        run(&format!("iptables -w 5 -t nat -A {DUPLICATE}"));
    }
}

fn a_legacy_rule() {
    run(&format!("iptables-legacy -w 5 -t nat -A {DUPLICATE}"));
}

/// It names no port, so that no search can find it.
fn a_rule_in_disguise() {
    run("iptables -w 5 -t mangle -A OUTPUT -p tcp -d 127.0.0.1 --dport 2001 -j MARK --set-mark 7");
    run("iptables -w 5 -t nat -A OUTPUT -p tcp -m mark --mark 7 -j REDIRECT --to-ports 1001");
}

fn a_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:2001").unwrap()
}

fn assert_refused(world: &World, said: &[&str]) -> Outcome {
    let old = world.apps[0].pid();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(3).assert_says(said).assert_says(&["nothing was touched"]);
    world.pitstop.run(&["check", "webA"]).assert_code(3).assert_says(said);
    assert!(first_app_is_in(world) && first_redirect_is_there());
    assert_eq!(world.apps[0].pid(), old);
    outcome
}

#[test]
fn row_09_duplicate_rules_are_refused_and_named_one_by_one() {
    let world = scene().start();
    three_identical_rules();
    let deletion = format!("iptables -t nat -w 5 -D {DUPLICATE}");
    let refused = assert_refused(&world, &["check port 2001", "--adopt-rules", &deletion]);
    assert_eq!(refused.stderr.matches(&format!("-A {DUPLICATE}")).count(), 1, "{}", refused.stderr);
    for _ in 0..3 {
        run(&deletion);
    }
    world.pitstop.run(&["check", "webA"]).assert_code(0);
}

#[test]
fn row_09_a_legacy_rule_beside_ours_is_refused() {
    let world = scene().start();
    a_legacy_rule();
    assert_refused(&world, &[&format!("iptables-legacy -t nat -w 5 -D {DUPLICATE}")]);
}

#[test]
fn row_09_a_listener_on_the_check_port_is_refused() {
    let world = scene().start();
    let _rival = a_listener();
    assert_refused(&world, &["listens on the check port itself, 127.0.0.1:2001", "ss -ltnp"]);
}

/// It comes while those who stick are left their time: after all that can be looked at was looked at.
fn assert_undone<T>(world: &World, harm: impl FnOnce() -> T, said: &[&str]) {
    let load = load(world);
    let old = world.apps[0].pid();
    let (restart, harm) = before_the_redirect_is_removed(world, harm);
    let outcome = restart.wait();
    outcome.assert_code(5).assert_says(&["still answers without our rule", "webA was not stopped"]).assert_says(said);
    assert!(first_app_is_in(world) && first_redirect_is_there());
    assert_eq!(world.apps[0].pid(), old);
    drop(harm);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn row_09_duplicate_rules_that_come_in_a_run_make_it_undo() {
    let world = scene().start();
    assert_undone(&world, three_identical_rules, &[&format!("iptables -t nat -A {DUPLICATE}"), "--adopt-rules"]);
}

#[test]
fn row_09_a_legacy_rule_that_comes_in_a_run_makes_it_undo() {
    let world = scene().start();
    assert_undone(&world, a_legacy_rule, &[&format!("iptables-legacy -t nat -A {DUPLICATE}")]);
}

#[test]
fn row_09_a_rule_that_no_search_finds_makes_the_run_undo() {
    let world = scene().start();
    a_rule_in_disguise();
    world.pitstop.run(&["check", "webA"]).assert_code(0);
    assert_undone(&world, || (), &[]);
}

#[test]
fn row_09_a_listener_that_comes_in_a_run_makes_it_undo() {
    let world = scene().start();
    assert_undone(&world, a_listener, &["a process that listens on 127.0.0.1:2001"]);
}

/// A connect from the app's own host does not meet it.
#[test]
fn row_09_a_rule_for_a_balancer_elsewhere_that_comes_in_a_run_makes_it_undo() {
    let world = scene().balancer_elsewhere().start();
    let rule = "PREROUTING -p tcp -m tcp --dport 2001 -j REDIRECT --to-ports 1001";
    let (restart, _) = before_the_redirect_is_removed(&world, || run(&format!("iptables -w 5 -t nat -A {rule}")));
    let named = format!("iptables -t nat -A {rule}");
    restart.wait().assert_code(5).assert_says(&["still answers without our rule", &named]);
    assert!(first_app_is_in(&world));
}
