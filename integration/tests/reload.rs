//! A HAProxy reload in the middle of the drain forgets drain and maintenance; nothing is lost all the same.

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
use integration::world::{Redirects, World};

const SOON: Duration = Duration::from_secs(30);

fn nothing_is_dropped(version: &'static str, redirects: Redirects) {
    let world = World::builder()
        .version(Version::Bed(version))
        .redirects(redirects)
        // Without it a worker that ends closes idle connections of clients, on which a request may be on its way.
        .default_line("option idle-close-on-response")
        .start();
    let old = world.apps[0].pid().unwrap();
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    let request = Pending::work(world.frontend(), Duration::from_secs(5), Some("SERVER=A"));
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    world.haproxy.reload();
    // The request is in the old worker now.
    world.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
    assert!(!request.has_ended());
    let outcome = run.wait();
    outcome.assert_code(0);
    assert_eq!(request.assert_answered().pid, old);
    assert_ne!(world.apps[0].pid(), Some(old));
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
}

#[test]
fn on_2_6() {
    nothing_is_dropped("2.6", Redirects::None);
}

#[test]
fn on_3_2() {
    nothing_is_dropped("3.2", Redirects::None);
}

#[test]
fn on_2_6_with_a_redirect() {
    nothing_is_dropped("2.6", Redirects::ByPitstop);
}

#[test]
fn on_3_2_with_a_redirect() {
    nothing_is_dropped("3.2", Redirects::ByPitstop);
}
