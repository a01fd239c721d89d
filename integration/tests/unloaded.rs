//! What HAProxy's files have and its process has not read yet: `in` does without it, and nothing else does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use integration::world::{Redirects, World};
use nix::sys::signal::Signal;

fn scene() -> World {
    World::builder().apps(2).redirects(Redirects::ByPitstop).start()
}

/// A further backup entry of the first app, in `pitstop.toml` and in the file.
fn add_entry(world: &World) {
    let path = world.haproxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    let old = text.lines().find(|line| line.contains("server bkpA")).unwrap();
    let new = old.replace("bkpA", "newA");
    std::fs::write(&path, text.replace(old, &format!("{old}\n{new}"))).unwrap();
    world.pitstop.replace("\"srvs/bkpA\"", "\"srvs/bkpA\", \"srvs/newA\"");
}

#[test]
fn an_in_that_dies_before_the_reload_is_recovered_before_it_as_well() {
    let world = scene();
    add_entry(&world);
    let mut run = world.pitstop.start(&["--output", "json", "in", "webA"]);
    run.wait_for_step("await_in");
    run.signal(Signal::SIGKILL);
    run.wait();
    let unread = "HAProxy has not read srvs/newA yet, which its files have";
    world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&[unread]);
    world.pitstop.run(&["in", "webA"]).assert_code(0).assert_says(&[unread]);
    let hint = "HAProxy's files have it: reload HAProxy";
    world.pitstop.run(&["restart", "webA"]).assert_code(3).assert_says(&["there is no server srvs/newA", hint]);

    world.haproxy.reload();
    let restarted = world.pitstop.run(&["restart", "webA"]);
    restarted.assert_code(0);
    assert!(!restarted.stderr.contains("has not read"), "{}", restarted.stderr);
}

#[test]
fn in_is_refused_where_haproxy_runs_and_only_the_file_of_its_socket_is_gone() {
    let world = scene();
    world.haproxy.set_state("srvs/webA", "maint");
    std::fs::remove_file(world.haproxy.socket()).unwrap();
    world.pitstop.run(&["in", "webA"]).assert_code(3).assert_says(&["no such socket"]);
}
