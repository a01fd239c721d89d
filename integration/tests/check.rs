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
    let unclosed = folder.join("unclosed.cfg");
    std::fs::write(&unclosed, "backend srvs\n    server webA \"127.0.0.1:1\n").unwrap();
    for (path, whats, hint) in [
        (folder.join("none.cfg"), ["none.cfg can't be read", "No such file"], "correct `config` in [balancers.lb1]"),
        (unclosed, ["unclosed.cfg:2:17", "this double quote is never closed"], "`haproxy -c -f "),
    ] {
        let other = format!("config = {path:?}");
        world.pitstop.replace(&real, &other);
        let checked = world.pitstop.run(&["check", "webA"]);
        checked.assert_code(0).assert_says(&["warning: balancer lb1: its configuration ", whats[0], whats[1], hint]);
        world.pitstop.replace(&other, &real);
    }
}

#[test]
fn a_file_that_haproxy_does_not_run_with_is_told_apart_setting_by_setting() {
    let world = World::builder().apps(2).start();
    let main = world.apps[0].listen();
    let real = std::fs::read_to_string(world.haproxy.config_file()).unwrap();
    let same = world.pitstop.run(&["check", "webA"]);
    assert!(!same.stdout.contains(" runs with ") && !same.stdout.contains(", and is not in "), "{}", same.stdout);

    let edited = real.replace(&format!("server webA {main}"), "server webA 127.0.0.9:77 weight 9");
    assert_ne!(real, edited);
    std::fs::write(world.haproxy.config_file(), edited).unwrap();
    world.pitstop.run(&["check", "webA"]).assert_code(0).assert_says(&[
        &format!("warning: balancer lb1: srvs/webA runs with address {main}, and "),
        " says 127.0.0.9:77",
        "warning: balancer lb1: srvs/webA runs with weight 1, and ",
        "reload HAProxy if the file was changed",
    ]);

    std::fs::write(world.haproxy.config_file(), real.replace("server webA ", "server webX ")).unwrap();
    world.pitstop.run(&["check", "webA"]).assert_code(0).assert_says(&["srvs/webA runs, and is not in "]);
}

#[test]
fn entries_that_mean_another_port_than_the_app_has_are_named() {
    let world = World::builder().apps(2).start();
    let listen = world.apps[0].listen();
    let other = format!("127.0.0.1:{}", listen.port() + 1);
    world.pitstop.replace(&format!("listen = \"{listen}\""), &format!("listen = \"{other}\""));
    world.pitstop.run(&["check", "webA"]).assert_says(&[
        &format!("warning: balancer lb1: srvs/webA sends to port {}, and webA listens on {other}", listen.port()),
        "correct `listen` of [apps.webA]",
    ]);
}

#[test]
fn what_costs_requests_is_told_with_its_line_unless_a_comment_allows_it() {
    let world = World::builder().apps(2).start();
    let path = world.haproxy.config_file();
    let real = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, real.replace("backend srvs\n", "backend srvs\n    option persist\n")).unwrap();
    let number = real.lines().position(|line| line == "backend srvs").unwrap() + 2;
    world.pitstop.run(&["check", "webA"]).assert_code(0).assert_says(&[
        "warning: balancer lb1: srvs: `option persist` (",
        &format!("{}:{number}): ", path.display()),
        "`# pitstop: allow persist`",
    ]);

    let allowed = "backend srvs\n    option persist # pitstop: allow persist\n";
    std::fs::write(&path, real.replace("backend srvs\n", allowed)).unwrap();
    let checked = world.pitstop.run(&["check", "webA"]);
    assert!(!checked.stdout.contains("option persist"), "{}", checked.stdout);
}
