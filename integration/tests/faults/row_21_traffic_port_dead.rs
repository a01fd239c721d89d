//! HAProxy's check passes and the traffic port is dead: our own probes see it, and the app is not put back.

use std::net::TcpListener;

use integration::netns::Namespace;
use integration::world::{Builder, World};
use nix::sys::signal::Signal;

use crate::scene::Scene;

/// Where HAProxy checks, whatever becomes of the app's traffic port.
const CHECKED: &str = "127.0.0.1:3001";

/// A namespace in which something beside the app answers each check by accepting it, as an exporter does; all that a check
/// of layer 4 asks for.
fn where_checks_always_pass() -> Namespace {
    let namespace = Namespace::new();
    let listener = TcpListener::bind(CHECKED).unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(drop));
    namespace
}

fn builder() -> Builder {
    let builder = World::builder().in_this_namespace().server_words("port 3001").pitstop_line("hold = \"1s\"");
    builder.table_line("service", "timeout = \"2s\"").table_line("ready", "timeout = \"2s\"")
}

/// Put back neither by a restart nor by an `in` that follows.
fn assert_stays_out(scene: &Scene, next_start: &str, why: &str) {
    scene.world.apps[0].at_next_start(&[next_start]);
    let outcome = scene.run(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["webA is OUT of rotation", why]);
    assert!(scene.alerts().contains("webA is out of rotation"), "{}", scene.alerts());
    scene.run(&["in", "webA"]).assert_code(6);
    scene.assert_out();
}

/// Put back once it serves where it is to serve.
fn assert_can_be_mended(scene: Scene) {
    scene.world.apps[0].at_next_start(&[]);
    scene.run(&["restart", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_21_an_app_bound_to_another_port_is_never_put_back() {
    let _namespace = where_checks_always_pass();
    let scene = Scene::new(builder());
    assert_stays_out(&scene, "--listen=127.0.0.1:3002", "no new process holds 127.0.0.1:1001");
    assert_can_be_mended(scene);
}

#[test]
fn row_21_an_app_bound_to_another_address_is_never_put_back() {
    let _namespace = where_checks_always_pass();
    let scene = Scene::new(builder());
    assert_stays_out(&scene, "--listen=127.0.0.2:1001", "no new process holds 127.0.0.1:1001");
    assert_can_be_mended(scene);
}

/// HAProxy's checks may decide as well, never alone.
#[test]
fn row_21_nor_where_the_checks_of_haproxy_are_to_decide_as_well() {
    let _namespace = where_checks_always_pass();
    let scene = Scene::new(builder().pitstop_line("put_back = \"checked\""));
    assert_stays_out(&scene, "--listen=127.0.0.1:3002", "no new process holds 127.0.0.1:1001");
    assert_can_be_mended(scene);
}

#[test]
fn row_21_an_app_that_takes_connections_and_answers_none_is_never_put_back() {
    let _namespace = where_checks_always_pass();
    let scene = Scene::new(builder());
    scene.run(&["out", "webA"]).assert_code(0);
    // The kernel goes on to accept for it.
    scene.world.apps[0].signal(Signal::SIGSTOP);
    scene.run(&["in", "webA"]).assert_code(6).assert_says(&["GET http://127.0.0.1:1001/health"]);
    scene.assert_out();
    scene.world.apps[0].signal(Signal::SIGCONT);
    scene.run(&["in", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// The probes of this configuration look at the app's administrative port alone, which answers well.
#[test]
fn row_21_an_app_whose_probes_look_elsewhere_is_not_put_back_without_its_traffic_port() {
    let _namespace = where_checks_always_pass();
    let scene = Scene::new(builder());
    scene.world.pitstop.replace("http://127.0.0.1:1001/health", "http://127.0.0.1:3002/health");
    assert_stays_out(&scene, "--listen=127.0.0.1:3002", "no new process holds 127.0.0.1:1001");
    scene.world.pitstop.replace("http://127.0.0.1:3002/health", "http://127.0.0.1:1001/health");
    assert_can_be_mended(scene);
}
