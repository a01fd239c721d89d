//! The app itself: its pid file, its start command, its port, its health.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use integration::world::World;

use crate::scene::{Touchables, assert_refused, assert_says, builder, replace, world};

const LONG: Duration = Duration::from_secs(5);

fn with_pid_file(content: &str, wanted: impl Fn(&World) -> Vec<String>) {
    let world = world();
    let pidfile = world.apps[0].pidfile();
    let before = fs::read_to_string(&pidfile).unwrap();
    let pid = world.apps[0].pid().unwrap();
    fs::write(&pidfile, content).unwrap();
    let wanted = wanted(&world);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let states = Touchables::of(&world);
    assert_says(&world.pitstop.run(&["restart", "webA"]), 3, &wanted);
    assert_says(&world.pitstop.run(&["check", "webA"]), 3, &wanted);
    world.pitstop.run(&["status", "webA"]).assert_code(0);
    assert_eq!(states, Touchables::of(&world));
    assert!(integration::wait::is_running(pid));
    fs::write(&pidfile, before).unwrap();
    assert!(world.apps[0].is_running());
}

/// What holds the port is named, and what to type if that is the app.
fn holder(world: &World) -> Vec<String> {
    let file = world.apps[0].pidfile().display().to_string();
    vec![
        "127.0.0.1:1001 is held by process".to_owned(),
        format!("but {file} names another one, which is dead"),
        format!("> {file}"),
    ]
}

#[test]
fn without_a_pid_file_the_app_is_known_by_its_port() {
    let world = world();
    fs::remove_file(world.apps[0].pidfile()).unwrap();
    assert_says(&world.pitstop.run(&["restart", "webA"]), 0, &["0 requests failed"]);
}

#[test]
fn with_the_pid_file_of_a_dead_process_nobody_is_ended_for_holding_the_port() {
    with_pid_file("99999999\n", holder);
}

#[test]
fn a_pid_file_with_garbage_is_named() {
    with_pid_file("garbage\n", |world| {
        let file = world.apps[0].pidfile().display().to_string();
        vec![format!("the pid file {file} does not hold a process id"), format!("hint: cat {file}")]
    });
}

#[test]
fn a_pid_file_of_somebody_else_is_not_believed() {
    let us = std::process::id();
    with_pid_file(&format!("{us}\n"), |_| {
        vec![
            format!("names process {us}, but 127.0.0.1:1001 is held by process"),
            "ss -ltnp 'sport = :1001'".to_owned(),
        ]
    });
}

#[test]
fn a_start_command_that_is_not_there_is_found_before_the_stop() {
    for missing in ["/no/such/program", "no-such-program"] {
        let world = world();
        let program = format!("{:?}", world.apps[0].start_command()[0]);
        replace(&world.pitstop, &program, &format!("{missing:?}"));
        assert_refused(&world, "webA", &[missing, "no such executable", "command -v"]);
    }
}

#[test]
fn an_app_that_never_becomes_ready_stays_out_until_a_restart_heals_it() {
    let world = world();
    replace(&world.pitstop, "[[apps.webA.ready]]", "[[apps.webA.ready]]\ntimeout = \"500ms\"");
    world.apps[0].at_next_start(&["--health-only-broken"]);
    let outcome = world.pitstop.run(&["restart", "webA"]);
    let wanted =
        ["✗ not proven healthy", "503, wanted 200", "webA is OUT of rotation", "pitstop in webA", "0 requests failed"];
    assert_says(&outcome, 6, &wanted);
    assert!(world.apps[0].is_running());
    for server in world.servers(0) {
        assert_eq!(world.haproxy.status(&server), "MAINT");
    }
    assert_says(&world.pitstop.run(&["status", "webA"]), 0, &["lb1: out", "the app stays out"]);
    // Still broken: neither is it put in, nor called somebody else's.
    for command in ["in", "restart"] {
        let outcome = world.pitstop.run(&[command, "webA"]);
        assert_says(&outcome, 6, &["503, wanted 200"]);
        assert!(!outcome.stderr.contains("somebody else"), "{}", outcome.stderr);
    }
    world.apps[0].at_next_start(&[]);
    let outcome = world.pitstop.run(&["restart", "webA"]);
    assert_says(&outcome, 0, &["webA is restarted, proven and back"]);
    for server in world.servers(0) {
        world.haproxy.wait_for_status(&server, "UP", LONG);
    }
}

#[test]
fn an_app_that_stayed_out_is_put_in_once_it_is_healthy() {
    let world = world();
    replace(&world.pitstop, "[[apps.webA.ready]]", "[[apps.webA.ready]]\ntimeout = \"500ms\"");
    world.apps[0].at_next_start(&["--health-only-broken"]);
    world.pitstop.run(&["restart", "webA"]).assert_code(6);
    world.apps[0].at_next_start(&[]);
    world.apps[0].restart_plainly();
    let outcome = world.pitstop.run(&["in", "webA"]);
    assert_says(&outcome, 0, &["state: webA is proven and in rotation\n"]);
    for server in world.servers(0) {
        world.haproxy.wait_for_status(&server, "UP", LONG);
    }
}

#[test]
fn a_port_that_somebody_else_takes_after_the_stop_is_named_and_nobody_is_ended() {
    let world = builder().start();
    replace(&world.pitstop, "[apps.webA.service]", "[apps.webA.service]\ntimeout = \"1500ms\"");
    // The app does not come up, and its port is ours from then on.
    world.apps[0].at_next_start(&["--crash-at-start"]);
    world.pitstop.run(&["restart", "webA"]).assert_code(6);
    assert!(!world.apps[0].is_running());
    let _stranger = TcpListener::bind(world.apps[0].listen()).unwrap();
    let us = std::process::id();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    assert_says(&outcome, 3, &[&format!("127.0.0.1:1001 is held by process {us}"), &format!("ps -fp {us}")]);
}

#[test]
fn an_app_that_dies_at_its_start_stays_out_and_its_log_is_named() {
    let world = world();
    replace(&world.pitstop, "[apps.webA.service]", "[apps.webA.service]\ntimeout = \"1500ms\"");
    world.apps[0].at_next_start(&["--crash-at-start"]);
    let outcome = world.pitstop.run(&["restart", "webA"]);
    assert_says(
        &outcome,
        6,
        &["✗ not restarted", "no new process holds 127.0.0.1:1001", "hint: tail ", "OUT of rotation"],
    );
}

#[test]
fn a_unit_on_a_host_without_systemd_is_refused() {
    let world = world();
    let config = fs::read_to_string(world.pitstop.config()).unwrap();
    let lines = config.lines().filter(|line| !line.starts_with("pidfile =") && !line.starts_with("start ="));
    let config: Vec<_> = lines.collect();
    let unit = "service]\nsystemd = \"pitstop-test-no-such.service\"";
    world.pitstop.configure(&config.join("\n").replace("service]", unit));
    assert_refused(&world, "webA", &["systemd can't be reached over D-Bus", "hint: systemctl status"]);
}
