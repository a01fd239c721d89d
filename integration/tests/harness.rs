//! The harness keeps its own promises: it sees lost requests where there are some, and none where there are none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use integration::app::{App, status_of};
use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::load::{Load, Options};
use integration::netns::{Host, Namespace};
use integration::real_app::{RealApp, Worker};
use integration::wait;
use integration::world::{Redirects, World};
use nix::sys::signal::Signal;

const LONG: Duration = Duration::from_secs(2);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn plain_restarts_lose_and_the_recipe_does_not(version: Version) {
    let world = World::builder().version(version).start();

    let load = world.load(LONG);
    for app in &world.apps {
        load.wait_for_requests(100, LONG);
        app.restart_plainly();
    }
    let plain = load.stop();
    assert!(plain.failed > 0, "{plain:?}");

    let load = world.load(LONG);
    for app in 0..world.apps.len() {
        load.wait_for_requests(100, LONG);
        world.restart_by_hand(app);
    }
    load.wait_for_requests(100, LONG);
    let by_hand = load.stop();
    by_hand.assert_nothing_failed();
    assert_eq!(by_hand.by_process.len(), 6, "old and new: {:?}", by_hand.by_process);
    println!(
        "{version:?}: plain {} of {}, by hand {} of {}",
        plain.failed, plain.requests, by_hand.failed, by_hand.requests
    );
}

#[test]
fn on_2_2_plain_restarts_lose_requests_and_the_recipe_by_hand_does_not() {
    plain_restarts_lose_and_the_recipe_does_not(Version::Bed("2.2"));
}

#[test]
fn on_2_6_plain_restarts_lose_requests_and_the_recipe_by_hand_does_not() {
    plain_restarts_lose_and_the_recipe_does_not(Version::Bed("2.6"));
}

#[test]
fn on_3_0_plain_restarts_lose_requests_and_the_recipe_by_hand_does_not() {
    plain_restarts_lose_and_the_recipe_does_not(Version::Bed("3.0"));
}

#[test]
fn on_3_2_plain_restarts_lose_requests_and_the_recipe_by_hand_does_not() {
    plain_restarts_lose_and_the_recipe_does_not(Version::Bed("3.2"));
}

#[test]
fn a_balancer_on_another_host_checks_through_the_redirect() {
    let world = World::builder()
        .balancer_elsewhere()
        .redirects(Redirects::ByHand)
        .check_interval(Duration::from_millis(100))
        .start();
    let load = Load::start(&Options { short: 2, ..Options::nobody(world.frontend()) });
    load.wait_for_requests(50, LONG);
    load.stop().assert_nothing_failed();
    integration::netns::run(&["iptables", "-w", "5", "-t", "nat", "-F", "PREROUTING"]);
    world.haproxy.wait_for_status("srvs/webA", "DOWN", Duration::from_secs(3));
    assert_eq!(world.haproxy.status("srvs/bkpA"), "UP");
}

#[test]
fn the_scene_works_over_ipv6() {
    let world = World::builder().ipv6().redirects(Redirects::ByHand).start();
    let load = world.load(Duration::from_millis(100));
    load.wait_for_requests(50, LONG);
    load.stop().assert_nothing_failed();
}

#[test]
fn bytes_pass_in_tcp_mode() {
    let world = World::builder().mode(Mode::Tcp).start();
    let load = world.load(Duration::from_millis(100));
    load.wait_for_requests(50, LONG);
    load.stop().assert_nothing_failed();
}

#[test]
fn a_reload_leaves_a_new_worker_and_what_is_in_flight() {
    let world = World::builder().start();
    let before = world.haproxy.pid();
    let load = Load::start(&Options { per_request: 4, ..Options::nobody(world.frontend()) });
    world.haproxy.reload();
    assert_ne!(world.haproxy.pid(), before);
    assert!(world.haproxy.master_command("show proc").unwrap().contains("worker"));
    load.wait_for_requests(20, LONG);
    load.stop().assert_nothing_failed();
}

#[test]
fn an_app_that_is_told_to_end_cuts_what_is_in_flight_unless_graceful() {
    let _namespace = Namespace::new();
    for (option, failed) in [("--ready-after=0", 1), ("--graceful", 0)] {
        let app = App::new("app", address("127.0.0.1:1000")).option(option).started();
        let load = Load::start(&Options {
            long: 1,
            long_max: 600,
            long_exactly: true,
            think: 0,
            ..Options::nobody(app.listen())
        });
        wait::until("a request in flight", LONG, || (load.progress().in_flight == 1).then_some(()));
        app.signal(Signal::SIGTERM);
        wait::until("the app has ended", LONG, || (!app.is_running()).then_some(()));
        let summary = load.stop();
        let cut = summary.failures.iter().filter(|failure| failure.kind != "connect").count();
        assert_eq!(cut, failed, "{option}: {summary:?}");
    }
}

#[test]
fn an_app_takes_other_options_at_its_next_start() {
    let _namespace = Namespace::new();
    let app = App::new("app", address("127.0.0.1:1000")).started();
    app.at_next_start(&["--health-only-broken"]);
    app.stop();
    app.start();
    wait::until("the app answers", LONG, || (status_of(app.listen(), "/work") == Some(200)).then_some(()));
    assert_eq!(status_of(app.listen(), "/health"), Some(503));
    app.at_next_start(&["--crash-at-start"]);
    app.stop();
    app.start();
    wait::until("the app has crashed", LONG, || (!app.is_running()).then_some(()));
    app.at_next_start(&[]);
    app.restart_plainly();
}

#[test]
fn gunicorn_and_nginx_serve_what_the_load_expects() {
    let _namespace = Namespace::new();
    let gunicorn = RealApp::gunicorn("g", address("127.0.0.1:1001"), Worker::Gthread).started();
    let nginx = RealApp::nginx(address("127.0.0.1:1002")).started();
    let listen = address("127.0.0.1:8000");
    let static_listen = address("127.0.0.1:8001");
    let config = Config::new(Mode::Http)
        .frontend("dynamic", listen, "gunicorn")
        .frontend("static", static_listen, "nginx")
        .backend(Backend::new("gunicorn").line("http-reuse never").server(Server::new("g", gunicorn.listen())))
        .backend(Backend::new("nginx").server(Server::new("n", nginx.listen())));
    let _haproxy = Haproxy::start(Version::System, config);
    let dynamic = Load::start(&Options::mix(listen, Duration::from_millis(500)));
    let fixed = Load::start(&Options { short: 2, long: 1, static_site: true, ..Options::nobody(static_listen) });
    fixed.wait_for_requests(20, LONG);
    dynamic.wait_for_requests(50, LONG);
    let dynamic = dynamic.stop();
    dynamic.assert_nothing_failed();
    fixed.stop().assert_nothing_failed();
    assert!(gunicorn.pid().is_some() && nginx.pid().is_some());
}

#[test]
fn another_host_is_gone_with_its_processes_when_dropped() {
    let _namespace = Namespace::new();
    let host = Host::new();
    let app = host.run(|| App::new("far", SocketAddr::new(host.far(), 1000)).started());
    assert_eq!(status_of(app.listen(), "/health"), Some(200));
    let named = PathBuf::from("/run/netns").join(host.name());
    assert!(named.exists());
    drop(host);
    assert!(!named.exists());
    assert!(!app.is_running());
}
