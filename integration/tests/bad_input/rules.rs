//! The redirect of the check port.

use std::net::TcpListener;

use integration::netns;

use crate::scene::{Touchables, assert_refused, assert_says, run_by, with_redirects};

#[test]
fn without_the_right_to_set_rules_nothing_is_touched() {
    let world = with_redirects();
    let before = Touchables::of(&world);
    let without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
    for command in ["restart", "out", "in", "check"] {
        let outcome = run_by(&world, &without, &[command, "webA"]);
        assert_says(&outcome, 3, &["may not read or change rules", "run as root, or with CAP_NET_ADMIN"]);
        let told = crate::scene::said(&outcome).matches("may not read or change rules").count();
        assert_eq!(told, 1, "told once: {}", crate::scene::said(&outcome));
    }
    assert_says(&run_by(&world, &without, &["status", "webA"]), 0, &["redirect: unknown"]);
    before.assert_untouched(&world);
}

#[test]
fn a_listener_on_the_check_port_is_refused() {
    let world = with_redirects();
    let _rival = TcpListener::bind("0.0.0.0:2001").unwrap();
    assert_refused(&world, "webA", &["listens on the check port itself, 0.0.0.0:2001", "ss -ltnp 'sport = :2001'"]);
}

#[test]
fn a_foreign_rule_on_the_check_port_is_refused_with_the_way_to_adopt_it() {
    let world = with_redirects();
    let rule = "iptables -w 5 -t nat -A OUTPUT -p tcp --dport 2001 -j REDIRECT --to-ports 1001";
    netns::run(&rule.split(' ').collect::<Vec<_>>());
    assert_refused(&world, "webA", &["a rule that is not ours", "2001", "pitstop in webA --adopt-rules"]);
    world.pitstop.run(&["in", "webA", "--adopt-rules"]).assert_code(0);
    world.pitstop.run(&["check", "webA"]).assert_code(0);
}

#[test]
fn a_redirect_that_is_gone_is_said_and_set_again() {
    let world = with_redirects();
    let rule = "iptables -w 5 -t nat -D PITSTOP -d 127.0.0.1 -p tcp --dport 2001 -m comment --comment pitstop -j REDIRECT --to-ports 1001";
    netns::run(&rule.split(' ').collect::<Vec<_>>());
    assert_says(&world.pitstop.run(&["check", "webA"]), 0, &["warning: redirect: not in place", "pitstop in webA"]);
    assert_says(&world.pitstop.run(&["status", "webA"]), 0, &["redirect: out"]);
    world.pitstop.run(&["in", "webA"]).assert_code(0);
    assert_says(&world.pitstop.run(&["check", "webA"]), 0, &["ok: redirect: in place"]);
}

#[test]
fn a_dry_run_names_every_command_and_touches_nothing() {
    let world = with_redirects();
    let before = Touchables::of(&world);
    for server in world.servers(0) {
        let acts = ["drain", "maint", "ready"].map(|state| format!("lb1: set server {server} state {state}"));
        let acts: Vec<&str> = acts.iter().map(String::as_str).collect();
        assert_says(&world.pitstop.run(&["restart", "webA", "--dry-run"]), 0, &acts);
    }
    let kill = format!("service: kill -TERM $(cat {})", world.apps[0].pidfile().display());
    let start = format!("service: {}", world.apps[0].start_command().join(" "));
    let wanted = [
        "redirect: iptables -t nat -w 5 -D PITSTOP -d 127.0.0.1 -p tcp --dport 2001",
        "redirect: iptables -t nat -w 5 -A PITSTOP -d 127.0.0.1 -p tcp --dport 2001",
        "probe: GET http://127.0.0.1:1001/health",
        &kill,
        &start,
    ];
    assert_says(&world.pitstop.run(&["restart", "webA", "--dry-run"]), 0, &wanted);
    world.pitstop.run(&["out", "webA", "--dry-run"]).assert_code(0);
    world.pitstop.run(&["in", "webA", "--dry-run"]).assert_code(0);
    before.assert_untouched(&world);
    world.haproxy.set_state("srvs/webB", "maint");
    let outcome = world.pitstop.run(&["restart", "webA", "--dry-run"]);
    assert_says(&outcome, 3, &["the guard asks for 1", "refused: nothing would be done"]);
}
