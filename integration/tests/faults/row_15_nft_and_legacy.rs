//! Row 15: rules by iptables-nft and iptables-legacy, each of which is blind to the other's.

use integration::netns;
use integration::world::{Redirects, World};

use crate::firewall::{first_redirect_is_there, private_locks, run, use_legacy};

const RULE: &str = "OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 2001 -j REDIRECT --to-ports 1001";

/// Refused by all that looks, and mended by the very line of the hint.
fn assert_refused_until_deleted_by(world: &World, program: &str) {
    run(&format!("{program} -w 5 -t nat -A {RULE}"));
    let deletion = format!("{program} -t nat -w 5 -D {RULE}");
    let old = world.apps[0].pid();
    for command in ["check", "restart", "out"] {
        let refused = world.pitstop.run(&[command, "webA"]);
        refused.assert_code(3).assert_says(&["a rule that is not ours", "check port 2001", &deletion]);
    }
    assert!(first_redirect_is_there());
    assert_eq!(world.apps[0].pid(), old);
    run(&deletion);
    world.pitstop.run(&["check", "webA"]).assert_code(0);
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
}

#[test]
fn row_15_a_legacy_rule_is_refused_where_iptables_is_nft() {
    private_locks();
    let world = World::builder().redirects(Redirects::ByPitstop).start();
    assert_refused_until_deleted_by(&world, "iptables-legacy");
}

#[test]
fn row_15_an_nft_rule_is_refused_where_iptables_is_legacy() {
    private_locks();
    use_legacy();
    let world = World::builder().redirects(Redirects::ByPitstop).start();
    assert_refused_until_deleted_by(&world, "iptables-nft");
}

/// Our own rules stay behind where iptables never looks again.
#[test]
fn row_15_a_host_that_was_switched_to_legacy_is_refused_and_mended_by_adoption() {
    private_locks();
    let world = World::builder().redirects(Redirects::ByPitstop).start();
    use_legacy();
    let refused = world.pitstop.run(&["restart", "webA"]);
    refused.assert_code(3).assert_says(&["iptables-nft -t nat -w 5 -D PITSTOP", "pitstop in webA --adopt-rules"]);
    world.pitstop.run(&["in", "webA", "--adopt-rules"]).assert_code(0);
    assert!(first_redirect_is_there());
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
}

#[test]
fn row_15_rules_of_the_other_kind_that_do_not_concern_the_app_are_only_said() {
    private_locks();
    let world = World::builder().redirects(Redirects::ByPitstop).start();
    netns::run(&["iptables-legacy", "-w", "5", "-t", "nat", "-A", "POSTROUTING", "-p", "udp", "-j", "MASQUERADE"]);
    world
        .pitstop
        .run(&["check", "webA"])
        .assert_code(0)
        .assert_says(&["set by iptables-legacy", "iptables-legacy -t nat -S"]);
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
}
