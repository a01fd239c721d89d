//! The guard by share of weight, and with backups.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::haproxy::Version;
use integration::request::Pending;
use integration::world::World;

/// Three servers of weights 50, 20 and 30; the backups have weight 1 each.
fn three_of_different_size(version: Version) -> World {
    let world = World::builder()
        .version(version)
        .table_line("guard", "min_weight = \"50%\"")
        .pitstop_line("hold = \"0s\"")
        .start();
    for (server, weight) in [("webA", 50), ("webB", 20), ("webC", 30)] {
        world.haproxy.command(&format!("set server srvs/{server} weight {weight}"));
    }
    world
}

#[test]
fn a_share_of_weight_must_stay_up_in_every_version() {
    for version in [Version::Bed("2.2"), Version::Bed("3.2")] {
        let world = three_of_different_size(version);
        let old = world.apps[0].pid();
        // Half of 100 is left without webA, and more without a small one.
        world
            .pitstop
            .run(&["check", "webA"])
            .assert_says(&["2 of 3 servers (weight 50 of 100) stay up in srvs on lb1"]);
        world.pitstop.run(&["restart", "webA"]).assert_code(0);
        assert_ne!(world.apps[0].pid(), old);

        let old = world.apps[1].pid();
        world.haproxy.set_state("srvs/webA", "drain");
        let refused = world.pitstop.run(&["restart", "webB"]);
        refused.assert_code(3).assert_says(&[
            "30 of the weight 100 of backend srvs would be up",
            "asks for 50%",
            "`min_weight`",
            "nothing was touched",
        ]);
        assert_eq!(world.apps[1].pid(), old);
        assert!(world.haproxy.status("srvs/webB").starts_with("UP"));
        world.pitstop.run(&["restart", "webB", "--force"]).assert_code(0);
    }
}

#[test]
fn a_heavy_server_that_falls_between_the_looks_makes_the_run_undo() {
    let world = three_of_different_size(Version::System);
    let old = world.apps[1].pid();
    let request = Pending::work(world.frontend(), Duration::from_secs(2), Some("SERVER=B"));
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webB"]);
    run.wait_for_step("drain");
    world.haproxy.set_state("srvs/webA", "maint");
    run.wait().assert_code(5).assert_says(&["30 of the weight 100", "webB was not stopped"]);
    assert_eq!(world.apps[1].pid(), old);
    assert!(world.haproxy.status("srvs/webB").starts_with("UP"));
    request.assert_answered();
}

#[test]
fn backups_stand_in_for_main_servers_only_where_asked() {
    let world = World::builder().apps(2).start();
    world.haproxy.set_state("srvs/webB", "maint");
    world.pitstop.run(&["restart", "webA"]).assert_code(3).assert_says(&["0 of 2 servers of backend srvs"]);
    world.pitstop.replace("listen = \"127.0.0.1:1001\"", "listen = \"127.0.0.1:1001\"\nguard.count_backups = true");
    let old = world.apps[0].pid();
    let load = world.load(Duration::from_millis(300));
    load.wait_for_requests(50, Duration::from_secs(30));
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert_ne!(world.apps[0].pid(), old);
    load.stop().assert_nothing_failed();
}
