//! Signals: before the stop they undo, after it the run is finished; whoever reads our output may go away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use integration::pitstop::Outcome;
use integration::relay::Relay;
use integration::request::Pending;
use integration::wait;
use integration::world::World;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SOON: Duration = Duration::from_secs(30);

fn is_in(world: &World) -> bool {
    world.servers(0).iter().all(|server| world.haproxy.status(server).starts_with("UP"))
}

#[test]
fn an_interrupt_during_the_drain_undoes() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let world = World::builder().start();
        let old = world.apps[0].pid();
        let request = Pending::work(world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
        let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
        run.wait_for_step("drain");
        run.signal(signal);
        run.wait().assert_code(5).assert_says(&["webA was not stopped"]);
        assert!(is_in(&world) && !request.has_ended());
        assert_eq!(world.apps[0].pid(), old);
        request.assert_answered();
    }
}

#[test]
fn an_interrupt_after_the_stop_lets_the_run_finish() {
    let world = World::builder().start();
    let old = world.apps[0].pid();
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    world.apps[0].at_next_start(&["--start-delay=1000"]);
    let run = world.pitstop.start(&["restart", "webA"]);
    wait::until("the new process", SOON, || (world.apps[0].pid() != old).then_some(()));
    run.signal(Signal::SIGINT);
    run.wait().assert_code(0).assert_says(&["finished after it", "restarted, proven and back as it was"]);
    assert!(is_in(&world));
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

/// A restart that is interrupted twice while the app starts.
fn restart_stopped_at_once(world: &World) -> Outcome {
    let old = world.apps[0].pid();
    world.apps[0].at_next_start(&["--start-delay=2000"]);
    let mut run = world.pitstop.start(&["restart", "webA"]);
    wait::until("the new process", SOON, || (world.apps[0].pid() != old).then_some(()));
    run.signal(Signal::SIGINT);
    run.wait_for("stopping where it is safe");
    run.signal(Signal::SIGINT);
    run.wait()
}

#[test]
fn a_second_interrupt_stops_at_once_and_says_the_state() {
    let world = World::builder().start();
    let outcome = restart_stopped_at_once(&world);
    outcome.assert_code(7).assert_says(&["state: webA needs a person", "pitstop recover webA"]);
    assert_eq!(world.haproxy.status("srvs/webA"), "MAINT");
    // As it says.
    world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["was interrupted: its restart is finished"]);
    assert!(is_in(&world));
    world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
}

#[test]
fn a_run_that_was_stopped_at_once_is_not_finished_by_the_keeper_of_its_lease() {
    let world = World::builder().start();
    world.pitstop.run(&["out", "webA", "--for", "1h"]).assert_code(0);
    let keeper = fs::read_to_string(world.pitstop.state().join("apps/webA/keeper")).unwrap().trim().parse().unwrap();
    restart_stopped_at_once(&world).assert_code(7);
    wait::until("the keeper leaves it alone", SOON, || (!wait::is_running(keeper)).then_some(()));
    world.pitstop.run(&["status", "webA"]).assert_code(7).assert_says(&["was INTERRUPTED"]);
    // By hand it is finished, and kept out again.
    world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["was interrupted: its restart is finished"]);
    world.pitstop.run(&["status", "webA"]).assert_code(0).assert_says(&["lease: out by", "keeper: at work"]);
    assert_eq!(world.haproxy.status("srvs/webA"), "MAINT");
    world.pitstop.run(&["in", "webA"]).assert_code(0);
}

/// A run whose terminal has gone: nobody reads its output.
fn unread(world: &World) -> Child {
    let mut command = world.pitstop.command(&["restart", "webA"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child
}

#[test]
fn a_closed_pipe_does_not_end_a_run() {
    let world = World::builder().start();
    let old = world.apps[0].pid();
    let mut child = unread(&world);
    assert_eq!(wait::exit_within(&mut child, SOON).unwrap().code(), Some(0));
    assert!(is_in(&world));
    assert_ne!(world.apps[0].pid(), old);
}

#[test]
fn a_terminal_that_goes_away_during_the_drain_undoes() {
    let world = World::builder().start();
    let old = world.apps[0].pid();
    let request = Pending::work(world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
    let mut child = unread(&world);
    world.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
    for _ in 0..3 {
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGHUP).unwrap();
    }
    assert_eq!(wait::exit_within(&mut child, SOON).unwrap().code(), Some(5));
    assert!(is_in(&world));
    assert_eq!(world.apps[0].pid(), old);
    request.assert_answered();
}

/// HAProxy obeys a line also when its sender has gone, and it may be slow to do so.
#[test]
fn an_interrupt_while_an_act_is_under_way_undoes_that_act_too() {
    let world = World::builder().start();
    let (heard, drains) = mpsc::channel();
    Relay::before_haproxy(&world, move |line| {
        if line.contains("state drain") {
            heard.send(()).ok();
            std::thread::sleep(SLOW);
        }
    });
    let run = world.pitstop.start(&["restart", "webA"]);
    drains.recv_timeout(SOON).unwrap();
    run.signal(Signal::SIGINT);
    run.wait().assert_code(5).assert_says(&["everything is as it was found"]);
    std::thread::sleep(SLOW * 2);
    assert!(is_in(&world), "{:?}", world.servers(0).map(|server| world.haproxy.status(&server)));
}

const SLOW: Duration = Duration::from_millis(800);

#[test]
fn a_reader_that_stalls_does_not_hold_up_a_run() {
    let world = World::builder().start();
    let old = world.apps[0].pid();
    let mut command = world.pitstop.command(&["--output", "json", "restart", "webA"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let unread = child.stdout.take().unwrap();
    // As a longer run fills a pipe of the usual size.
    fcntl(&unread, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let ended = wait::exit_within(&mut child, SOON * 2);
    child.kill().ok();
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    assert!(is_in(&world));
    assert_ne!(world.apps[0].pid(), old);
}
