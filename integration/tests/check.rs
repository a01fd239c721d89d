//! `pitstop check` tells beforehand what a restart would find out too late.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::world::World;

#[test]
fn an_app_that_is_healthy_passes_and_one_that_is_not_is_named() {
    let world = World::builder().apps(2).start();
    let probe = format!("GET http://{}/health → 200", world.apps[0].listen());
    world.pitstop.run(&["check", "webA"]).assert_code(0).assert_says(&[&format!("ok: ready: {probe}")]);

    world.apps[0].stop();
    let stopped = world.pitstop.run(&["check", "webA"]);
    stopped.assert_code(0).assert_says(&[
        &format!("warning: the app does not pass now: {probe}: "),
        "Connection refused",
        "[[apps.webA.ready]]",
    ]);
    // What a restart may mend is no reason to warn before it.
    let dry = world.pitstop.run(&["restart", "webA", "--dry-run"]);
    assert!(!dry.stdout.contains("does not pass"), "{}", dry.stdout);
}

#[test]
fn a_probe_that_hangs_does_not_hold_up_the_check() {
    let hangs = "\n[[apps.webA.ready]]\ncommand = [\"sleep\", \"300\"]";
    let world = World::builder().apps(2).start();
    world.pitstop.replace("[apps.webA.service]", &format!("{}\n[apps.webA.service]", hangs.trim_start()));
    let checked = world.pitstop.run(&["check", "webA"]);
    checked.assert_code(0).assert_says(&["ok: ready: GET http://", "the app does not pass now: ", "sleep 300"]);
    assert!(checked.duration < Duration::from_secs(60), "{:?}", checked.duration);
}

#[test]
fn a_haproxy_cfg_that_can_not_be_read_is_named_with_the_reason() {
    let world = World::builder().apps(2).start();
    let real = format!("config = {:?}", world.haproxy.config_file());
    let folder = world.haproxy.folder();
    let latin = folder.join("latin.cfg");
    std::fs::write(&latin, b"# caf\xe9\n").unwrap();
    for (path, why, hint) in [
        (folder.join("none.cfg"), "No such file", "correct `config` in [balancers.lb1]"),
        (folder.to_owned(), "directory", "name one file as `config` in [balancers.lb1]"),
        (latin, "UTF-8", "`config` in [balancers.lb1]"),
    ] {
        let other = format!("config = {path:?}");
        world.pitstop.replace(&real, &other);
        let named = format!("warning: balancer lb1: its configuration {} can't be read: ", path.display());
        world.pitstop.run(&["check", "webA"]).assert_code(0).assert_says(&[&named, why, hint]);
        world.pitstop.replace(&other, &real);
    }
}
