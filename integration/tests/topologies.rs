//! Where balancers, apps and sockets can be: on other hosts, on IPv6, two of them; and how traffic comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::haproxy::Mode;
use integration::load::{Load, Options};
use integration::world::{Redirects, World};

const LONG: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(30);

/// Restarts the first app under load on every balancer.
fn nothing_is_dropped(world: &World) {
    let frontends = (0..=world.others.len()).map(|balancer| world.frontend_of(u16::try_from(balancer).unwrap()));
    nothing_is_dropped_under(world, frontends.map(|frontend| Options::mix(frontend, LONG)).collect());
}

fn nothing_is_dropped_under(world: &World, options: Vec<Options>) {
    let loads: Vec<Load> = options.iter().map(Load::start).collect();
    loads.iter().for_each(|load| load.wait_for_requests(100, SOON));
    let app = &world.apps[0];
    let before = app.pid();
    let outcome = world.pitstop.run(&["restart", app.name()]);
    outcome.assert_code(0);
    assert_ne!(app.pid(), before);
    loads.iter().for_each(|load| load.wait_for_requests(100, SOON));
    loads.into_iter().for_each(|load| load.stop().assert_nothing_failed());
    for haproxy in [&world.haproxy].into_iter().chain(&world.others) {
        for server in world.servers(0) {
            haproxy.wait_for_status(&server, "UP", SOON);
        }
    }
}

#[test]
fn ipv6_with_the_socket_alone() {
    nothing_is_dropped(&World::builder().ipv6().start());
}

#[test]
fn ipv6_with_socket_and_redirect() {
    nothing_is_dropped(&World::builder().ipv6().redirects(Redirects::ByPitstop).start());
}

#[test]
fn a_balancer_on_another_host_by_a_unix_socket() {
    nothing_is_dropped(&World::builder().balancer_elsewhere().redirects(Redirects::ByPitstop).start());
}

#[test]
fn a_balancer_on_another_host_by_an_admin_socket_over_tcp() {
    let world = World::builder()
        .balancer_elsewhere()
        .redirects(Redirects::ByPitstop)
        .global_line("stats socket ipv4@0.0.0.0:9999 level admin")
        .drain_line("kills_on_down = false")
        .start();
    let socket = format!("tcp:{}:9999", world.frontend().ip());
    world.tell_of_balancers(&format!("[balancers.lb1]\nsocket = {socket:?}"));
    nothing_is_dropped(&world);
}

#[test]
fn a_balancer_on_another_host_over_ipv6_and_tcp() {
    let world = World::builder()
        .ipv6()
        .balancer_elsewhere()
        .redirects(Redirects::ByPitstop)
        .global_line("stats socket ipv6@[::]:9999 level admin")
        .drain_line("kills_on_down = false")
        .start();
    let socket = format!("tcp:[{}]:9999", world.frontend().ip());
    world.tell_of_balancers(&format!("[balancers.lb1]\nsocket = {socket:?}"));
    nothing_is_dropped(&world);
}

#[test]
fn tcp_mode() {
    for redirects in [Redirects::None, Redirects::ByPitstop] {
        let world = World::builder().mode(Mode::Tcp).redirects(redirects).start();
        // In TCP mode a session lasts as long as its connection: clients that keep theirs are in flight all the time.
        let options = Options { per_request: 12, ..Options::nobody(world.frontend()) };
        nothing_is_dropped_under(&world, vec![options]);
    }
}

#[test]
fn two_balancers() {
    nothing_is_dropped(&World::builder().balancers(2).redirects(Redirects::ByPitstop).start());
}

#[test]
fn haproxy_checks_decide_as_well_where_put_back_is_checked() {
    let world = World::builder().pitstop_line("put_back = \"checked\"").start();
    nothing_is_dropped(&world);
    let outcome = world.pitstop.run(&["--output", "json", "restart", "webB"]);
    outcome.assert_code(0).assert_says(&["set server srvs/webB health down"]);
    // Two checks, half a second apart.
    assert!(outcome.time_of("await_in") >= Duration::from_millis(500), "{}", outcome.stdout);
}

#[test]
fn weight_rises_gradually_where_a_ramp_is_configured() {
    let world = World::builder()
        .server_words("weight 100")
        .table_line("ramp", "from = \"10%\"")
        .table_line("ramp", "over = \"2s\"")
        .start();
    let load = world.load(LONG);
    load.wait_for_requests(100, SOON);
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("await_in");
    let mut weights = Vec::new();
    while !run.has_ended() {
        weights.push(world.haproxy.stat("srvs/webA")["weight"].parse::<u32>().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    run.wait().assert_code(0);
    load.stop().assert_nothing_failed();
    weights.dedup();
    assert!(weights.is_sorted() && weights.len() >= 5, "{weights:?}");
    assert!(weights[0] <= 20, "{weights:?}");
    assert_eq!(world.haproxy.stat("srvs/webA")["weight"], "100");
    assert_eq!(world.haproxy.stat("srvs/bkpA")["weight"], "100");
}
