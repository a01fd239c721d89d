//! `on-marked-down shutdown-sessions`: `maint` would kill what is in flight, so it comes only when nothing is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use integration::load::{Load, Options};
use integration::request::Pending;
use integration::world::{Builder, Redirects, World};

const SOON: Duration = Duration::from_secs(30);

/// A request of five seconds and a client that sticks, both on the app that is restarted.
fn nothing_is_dropped(builder: Builder, tell: impl Fn(&World)) {
    let world = builder.server_words("on-marked-down shutdown-sessions").start();
    tell(&world);
    let load = Load::start(&Options { sticky: 1, ..Options::nobody(world.frontend()) });
    load.wait_for_requests(5, SOON);
    let sticks_to = load.progress().by_app.into_keys().next().unwrap();
    let app = world.apps.iter().find(|app| app.name() == sticks_to).unwrap();
    let cookie = format!("SERVER={}", sticks_to.trim_start_matches("web"));
    let old = app.pid().unwrap();
    let request = Pending::work(world.frontend(), Duration::from_secs(5), Some(&cookie));
    let outcome = world.pitstop.run(&["restart", app.name()]);
    outcome.assert_code(0);
    assert_eq!(request.assert_answered().pid, old);
    assert_ne!(app.pid(), Some(old));
    load.wait_for_requests(20, SOON);
    load.stop().assert_nothing_failed();
}

fn know_only_the_socket(world: &World) {
    world.tell_of_balancers(&format!("[balancers.lb1]\nsocket = {:?}", world.haproxy.socket()));
}

#[test]
fn nothing_is_killed_where_the_configuration_says_that_going_down_kills() {
    nothing_is_dropped(World::builder(), |_| ());
}

#[test]
fn nothing_is_killed_where_it_is_not_known() {
    nothing_is_dropped(World::builder(), know_only_the_socket);
}

#[test]
fn nothing_is_killed_with_a_redirect_as_well() {
    nothing_is_dropped(World::builder().redirects(Redirects::ByPitstop), know_only_the_socket);
}
