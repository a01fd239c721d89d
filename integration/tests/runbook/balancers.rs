//! HAProxy hangs, forgets, refuses, or was reloaded.

use std::time::Duration;

use integration::request::Pending;
use integration::wait;
use integration::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::page::Section;
use crate::scene::{SOON, Scene};

#[test]
fn a_balancer_that_does_not_answer_is_paid_by_the_keeper() {
    let mut page = Section::of("In on some balancers only");
    let scene = Scene::with(World::builder().balancers(2), "");
    let worker = Pid::from_raw(scene.world.others[0].pid().unwrap());
    let restart = page.next();
    let run = scene.restart_with(&restart.command, || kill(worker, Signal::SIGSTOP).unwrap());
    let outcome = run.wait();
    scene.haproxy().wait_for_status("srvs/webA", "UP", SOON);
    let status = page.next();
    let shown = status.start(&scene).wait();
    kill(worker, Signal::SIGCONT).unwrap();
    restart.check(outcome);
    status.check(shown);
    scene.wait_for_status(|status| status.contains("ended: done"));
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_server_that_was_renamed_while_the_app_was_out_is_named_again() {
    let mut page = Section::of("A server is gone from HAProxy");
    let scene = Scene::new();
    let restart = page.next();
    let run = scene.restart_with(&restart.command, || {
        scene.reconfigure(scene.haproxy(), "server webA", "server renamed");
    });
    restart.check(run.wait());
    page.run(&scene);
    page.run(&scene);
    scene.reconfigure(scene.haproxy(), "server renamed", "server webA");
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_socket_that_lost_its_level_is_given_it_back() {
    let mut page = Section::of("The socket has lost its level");
    let scene = Scene::new();
    let restart = page.next();
    let run = scene.restart_with(&restart.command, || {
        scene.reconfigure(scene.haproxy(), "level admin", "level operator");
    });
    restart.check(run.wait());
    page.run(&scene);
    scene.reconfigure(scene.haproxy(), "level operator", "level admin");
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_reload_is_in_the_receipt() {
    let mut page = Section::of("HAProxy was reloaded during the run");
    let scene = Scene::with(World::builder(), "drain.timeout = \"30s\"");
    let request = Pending::work(scene.world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    wait::until("it is in flight", SOON, || (scene.haproxy().in_flight("srvs/webA") == 1).then_some(()));
    let restart = page.next();
    let run = scene.start_until(&restart.command, "drain");
    scene.haproxy().reload();
    restart.check(run.wait());
    request.assert_answered();
    scene.assert_in();
}
