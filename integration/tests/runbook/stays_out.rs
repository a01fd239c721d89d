//! Runs that died or were broken off, and apps that stay out.

use std::time::Duration;

use integration::wait;
use nix::sys::signal::Signal;

use crate::page::Section;
use crate::scene::{SOON, Scene};

#[test]
fn a_run_that_was_killed_is_recovered() {
    let mut page = Section::of("The run was killed, or the power went");
    let scene = Scene::new();
    let run = scene.restart_with("pitstop restart web", || ());
    run.signal(Signal::SIGKILL);
    assert_eq!(run.wait().code, None);
    scene.assert_out();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_run_that_was_stopped_at_once_is_recovered() {
    let mut page = Section::of("Ctrl-C was pressed twice");
    let scene = Scene::new();
    let restart = page.next();
    let run = scene.restart_with(&restart.command, || ());
    run.signal(Signal::SIGINT);
    wait::until("the first is heard", SOON, || run.stdout().contains("once more: stop at once").then_some(()));
    run.signal(Signal::SIGINT);
    restart.check(run.wait());
    scene.assert_out();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn an_app_that_did_not_become_ready_is_mended_and_put_back() {
    let mut page = Section::of("The app did not become ready");
    let scene = Scene::new();
    scene.app().at_next_start(&["--health-only-broken"]);
    page.run(&scene);
    scene.assert_out();
    page.run(&scene);
    page.run(&scene);
    scene.mend_app();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_service_that_does_not_start_is_mended_started_and_put_back() {
    let mut page = Section::of("The service does not start, or dies again and again");
    let scene = Scene::new();
    scene.app().at_next_start(&["--crash-at-start"]);
    page.run(&scene);
    scene.assert_out();
    assert!(!scene.app().is_running());
    page.run(&scene);
    scene.app().at_next_start(&[]);
    page.run(&scene);
    scene.app().wait_until_healthy();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn recover_restores_what_was_found_and_in_puts_every_entry_in() {
    let mut page = Section::of("recover or in?");
    let scene = Scene::new();
    scene.haproxy().set_state("srvs/bkpA", "maint");
    scene.app().at_next_start(&["--health-only-broken"]);
    scene.run("pitstop restart web").assert_code(6);
    scene.mend_app();
    page.run(&scene);
    assert_eq!(scene.haproxy().status("srvs/bkpA"), "MAINT");
    scene.haproxy().wait_for_status("srvs/webA", "UP", Duration::from_secs(30));
    page.run_rest(&scene);
    scene.assert_in();
}
