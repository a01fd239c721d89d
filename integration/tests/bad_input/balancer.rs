//! A balancer that is not there, not open, not answering, or not as configured.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::wait;
use integration::world::{Redirects, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, chown};

use crate::scene::{Touchables, assert_refused, assert_says, builder, replace, run_by, world};

const LONG: Duration = Duration::from_secs(5);

#[test]
fn a_wrong_socket_path_is_named() {
    let world = world();
    let socket = world.haproxy.socket().display().to_string();
    replace(&world.pitstop, &socket, "/nowhere/admin.sock");
    assert_refused(
        &world,
        "webA",
        &["lb1", "/nowhere/admin.sock: no such socket", "stats socket /nowhere/admin.sock level admin"],
    );
    assert_says(&world.pitstop.run(&["status", "webA"]), 0, &["unknown", "no such socket", "hint: "]);
    assert_says(&world.pitstop.run(&["out", "webA"]), 3, &["no such socket"]);
    assert_says(&world.pitstop.run(&["in", "webA"]), 3, &["no such socket"]);
}

#[test]
fn a_wrong_server_or_backend_name_is_named_and_nothing_else_is_said() {
    let world = world();
    replace(&world.pitstop, "\"srvs/webA\"", "\"srvs/wepA\"");
    assert_refused(&world, "webA", &["there is no server srvs/wepA", "did you mean \"srvs/webA\"?"]);
    let outcome = world.pitstop.run(&["restart", "webA"]);
    assert_eq!(outcome.stderr.lines().count(), 2, "an error and a hint: {}", outcome.stderr);
    replace(&world.pitstop, "\"srvs/wepA\"", "\"servers/webA\"");
    assert_refused(&world, "webA", &["no backend servers", "echo 'show backend' | socat - UNIX-CONNECT:/"]);
}

#[test]
fn a_socket_closed_to_us_is_told_from_one_that_is_not_there() {
    let world = world();
    let folder = world.pitstop.config().parent().unwrap().to_owned();
    for path in [folder, world.pitstop.config(), world.pitstop.state()] {
        chown(&path, Some(Uid::from_raw(65534)), None).unwrap();
    }
    fs::set_permissions(world.haproxy.socket(), Permissions::from_mode(0o600)).unwrap();
    let before = Touchables::of(&world);
    let outcome = run_by(&world, &["setpriv", "--reuid=65534", "--clear-groups"], &["restart", "webA"]);
    let socket = world.haproxy.socket().display().to_string();
    assert_says(&outcome, 3, &["permission denied on the socket", &format!("ls -l {socket}"), "run as root"]);
    before.assert_untouched(&world);
}

#[test]
fn a_socket_of_a_lower_level_is_refused_with_the_line_to_set() {
    for level in ["operator", "user"] {
        let mut world = world();
        let socket = world.haproxy.folder().with_extension("lower.sock").display().to_string();
        let stats = format!("stats socket {socket} mode 600 level {level}");
        balance_by(&mut world, Config::new(Mode::Http).global(&stats).backend(backend()));
        let admin = world.haproxy.socket().display().to_string();
        replace(&world.pitstop, &admin, &socket);
        assert_refused(&world, "webA", &["lb1", level, "level admin"]);
        fs::remove_file(socket).ok();
    }
}

/// Another HAProxy instead of the world's.
fn balance_by(world: &mut World, config: Config) {
    let config = config.frontend("www", "127.0.0.1:8001".parse().unwrap(), "srvs");
    let before = world.haproxy.folder().display().to_string();
    world.haproxy = Haproxy::start(Version::System, config);
    replace(&world.pitstop, &before, &world.haproxy.folder().display().to_string());
    for server in ["srvs/webA", "srvs/webB"] {
        world.haproxy.wait_for_status(server, "UP", LONG);
    }
}

fn backend() -> Backend {
    let server = |name: &str, port: u16| {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        Server::new(name, address).check(Some(port), Duration::from_millis(100))
    };
    let main = Backend::new("srvs").server(server("webA", 1001)).server(server("webB", 1002));
    main.server(server("bkpA", 1001).backup()).server(server("bkpB", 1002).backup())
}

#[test]
fn a_haproxy_that_hangs_is_refused_in_time_and_untouched() {
    let world = world();
    let before = Touchables::of(&world);
    let worker = Pid::from_raw(world.haproxy.pid().unwrap());
    kill(worker, Signal::SIGSTOP).unwrap();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    let checked = world.pitstop.run(&["check", "webA"]);
    let shown = world.pitstop.run(&["status", "webA"]);
    kill(worker, Signal::SIGCONT).unwrap();
    assert_says(&outcome, 3, &["lb1", "no answer in time", "suspended"]);
    assert_says(&checked, 3, &["no answer in time"]);
    assert_says(&shown, 0, &["lb1: unknown", "no answer in time"]);
    assert!(outcome.duration < Duration::from_secs(10), "{:?}", outcome.duration);
    before.assert_untouched(&world);
}

#[test]
fn a_haproxy_that_was_killed_is_refused() {
    let world = world();
    let (master, worker) = (world.haproxy.master_pid(), world.haproxy.pid().unwrap());
    for pid in [master, worker] {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        wait::until("HAProxy is gone", LONG, || (!wait::is_running(pid)).then_some(()));
    }
    for command in ["restart", "check"] {
        assert_says(&world.pitstop.run(&[command, "webA"]), 3, &["connection refused", "is HAProxy running?"]);
    }
    assert_says(&world.pitstop.run(&["status", "webA"]), 0, &["connection refused"]);
    assert!(world.apps[0].is_running());
}

/// The balancer is suspended as soon as the restart begins, until the run has ended.
#[test]
fn a_haproxy_that_hangs_after_the_stop_leaves_the_app_out_with_the_way_back_told() {
    let world = world();
    world.apps[0].at_next_start(&["--ready-after=1500"]);
    let before = world.apps[0].pid();
    let run = world.pitstop.start(&["restart", "webA"]);
    wait::until("the new process", Duration::from_secs(20), || (world.apps[0].pid() != before).then_some(()));
    let worker = Pid::from_raw(world.haproxy.pid().unwrap());
    kill(worker, Signal::SIGSTOP).unwrap();
    let outcome = run.wait();
    kill(worker, Signal::SIGCONT).unwrap();
    assert_says(&outcome, 6, &["lb1", "NOT known to be back on lb1", "hint: "]);
    assert!(world.apps[0].is_running());
    world.apps[0].wait_until_healthy();
    world.pitstop.run(&["in", "webA"]).assert_code(0);
    world.haproxy.wait_for_status("srvs/webA", "UP", LONG);
}

#[test]
fn an_unlisted_entry_for_the_same_address_refuses_and_may_be_ignored() {
    let world = with_another_backend();
    assert_refused(
        &world,
        "webA",
        &["more/webX also sends to this app's address", "add \"more/webX\" to", "unlisted = \"ignore\""],
    );
    replace(&world.pitstop, "hold = \"0s\"", "hold = \"0s\"\nunlisted = \"ignore\"");
    assert_says(&world.pitstop.run(&["check", "webA"]), 0, &["warning", "more/webX"]);
    assert_says(&world.pitstop.run(&["restart", "webA"]), 0, &["! balancer lb1: more/webX", "0 requests failed"]);
}

fn with_another_backend() -> World {
    let mut world = world();
    let other = Backend::new("more").server(Server::new("webX", "127.0.0.1:1001".parse().unwrap()));
    balance_by(&mut world, Config::new(Mode::Http).backend(backend()).backend(other));
    world
}

const SECOND: &str = "[balancers.lb2]\nsocket = \"tcp:127.0.0.1:9\"\nconfig = CONFIG\n\n[balancers.lb1]";

fn with_a_second_balancer(world: &World, unreachable: &str) {
    let config = format!("{:?}", world.haproxy.config_file());
    replace(&world.pitstop, "[balancers.lb1]", &SECOND.replace("CONFIG", &config));
    replace(&world.pitstop, "hold = \"0s\"", &format!("hold = \"0s\"\nunreachable = \"{unreachable}\""));
}

#[test]
fn a_second_balancer_that_can_not_be_reached_aborts() {
    let world = world();
    with_a_second_balancer(&world, "abort");
    assert_refused(&world, "webA", &["lb2", "tcp:127.0.0.1:9: connection refused", "ipv4@127.0.0.1:9"]);
}

#[test]
fn a_second_balancer_that_can_not_be_reached_may_be_gone_without() {
    let world = world();
    with_a_second_balancer(&world, "proceed");
    assert_says(
        &world.pitstop.run(&["restart", "webA"]),
        0,
        &["! balancer lb2", "goes on without it", "0 requests failed"],
    );
}

#[test]
fn a_second_balancer_that_can_not_be_reached_is_left_to_the_redirect_where_there_is_one() {
    let world = builder().redirects(Redirects::ByPitstop).start();
    with_a_second_balancer(&world, "ignore-if-redirect");
    assert_says(&world.pitstop.run(&["restart", "webA"]), 0, &["! balancer lb2", "goes on without it"]);
    let without = self::world();
    with_a_second_balancer(&without, "ignore-if-redirect");
    assert_says(&without.pitstop.run(&["restart", "webA"]), 2, &["`ignore-if-redirect` without a redirect"]);
}

#[test]
fn too_few_others_up_is_refused_with_the_figures() {
    let world = world();
    world.haproxy.set_state("srvs/webB", "maint");
    assert_refused(&world, "webA", &["0 of 2 servers of backend srvs would be up", "--force"]);
    assert_says(&world.pitstop.run(&["restart", "webA", "--force"]), 0, &["0 requests failed"]);
}

#[test]
fn a_haproxy_that_is_not_one_is_not_believed() {
    let world = world();
    let listener = std::net::TcpListener::bind("127.0.0.1:9").unwrap();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").ok();
        }
    });
    with_a_second_balancer(&world, "abort");
    assert_refused(&world, "webA", &["lb2", "hint: "]);
}
