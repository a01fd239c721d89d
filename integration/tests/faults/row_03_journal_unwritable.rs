//! No room left in the state directory while the app is stopped: it is started, proven and put back all the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::{Command, Stdio};
use std::time::Duration;

use integration::netns;
use integration::pitstop::Run;
use integration::request::Pending;
use integration::wait;
use integration::world::World;

const SOON: Duration = Duration::from_secs(10);

/// A file may not grow beyond what it has: the last record that fits only in part is torn, as on a full disk.
#[test]
fn an_app_that_was_stopped_is_started_also_where_that_cannot_be_written_down() {
    let world =
        World::builder().app_option("--graceful").drain_line("timeout = \"1s\"\non_timeout = \"proceed\"").start();
    let journal = world.pitstop.state().join("apps/webA/journal");
    // Keeps the app from ending for a while once it was told to.
    let request = Pending::work(world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    let inner = world.pitstop.command(&["restart", "webA"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    let run = Run::start({
        command.stdin(Stdio::null());
        command
    });
    wait::until("the stop signal", SOON, || {
        std::fs::read_to_string(&journal).ok().filter(|text| text.contains("TERM to")).map(drop)
    });
    let room = std::fs::metadata(&journal).unwrap().len() + 50;
    netns::run(&["prlimit", "--pid", &run.pid().to_string(), &format!("--fsize={room}")]);
    let outcome = run.wait();
    outcome.assert_code(0).assert_says(&["the journal can't be written", "restarted, proven and back as it was"]);
    request.assert_answered();
    assert!(world.apps[0].is_running());
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
    // What could be written is whole.
    let text = std::fs::read_to_string(&journal).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    world.pitstop.run(&["status", "webA"]).assert_code(0).assert_says(&["INTERRUPTED"]);
    world.pitstop.run(&["in", "webA"]).assert_code(0);
}
