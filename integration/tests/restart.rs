//! The main job: `pitstop restart` under load, and nothing is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::haproxy::Version;
use integration::world::{Builder, Redirects, World};

const LONG: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(30);

/// Restarts every app once under load.
fn nothing_is_dropped(builder: Builder) {
    let world = builder.start();
    let load = world.load(LONG);
    for app in &world.apps {
        load.wait_for_requests(100, SOON);
        let before = app.pid();
        let outcome = world.pitstop.run(&["restart", app.name()]);
        outcome.assert_code(0);
        assert_ne!(app.pid(), before);
    }
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    for app in 0..world.apps.len() {
        for server in world.servers(app) {
            assert!(world.haproxy.status(&server).starts_with("UP"), "{server}: {}", world.haproxy.status(&server));
        }
    }
}

#[test]
fn socket_alone_drops_nothing_on_2_2() {
    nothing_is_dropped(World::builder().version(Version::Bed("2.2")));
}

#[test]
fn socket_alone_drops_nothing_on_2_6() {
    nothing_is_dropped(World::builder().version(Version::Bed("2.6")));
}

#[test]
fn socket_alone_drops_nothing_on_3_0() {
    nothing_is_dropped(World::builder().version(Version::Bed("3.0")));
}

#[test]
fn socket_alone_drops_nothing_on_3_2() {
    nothing_is_dropped(World::builder().version(Version::Bed("3.2")));
}

#[test]
fn socket_and_redirect_together_drop_nothing() {
    nothing_is_dropped(World::builder().redirects(Redirects::ByPitstop));
}
