//! An app that never becomes ready stays out, and that is said aloud; where there is a revert, it runs once.

use std::time::Duration;

use integration::load::Summary;
use integration::world::{Builder, Redirects, World};

use crate::scene::Scene;

/// The probes' deadline is far below what the app needs.
fn builder() -> Builder {
    World::builder()
        .redirects(Redirects::ByPitstop)
        .table_line("ready", "timeout = \"1s\"")
        .pitstop_line("hold = \"0s\"")
}

/// Processes of `webA` that answered a client, and all requests were answered.
fn asked(summary: &Summary) -> Vec<&String> {
    summary.by_process.keys().filter(|process| process.starts_with("webA:")).collect()
}

fn assert_stays_out(builder: Builder, next_start: &[&str]) {
    let scene = Scene::new(builder);
    let old = scene.pid();
    scene.world.apps[0].at_next_start(next_start);
    let outcome = scene.run(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["webA is OUT of rotation", "pitstop in webA"]);
    assert!(outcome.duration < Duration::from_secs(60), "{:?}", outcome.duration);
    scene.assert_out();
    assert_eq!(scene.alerts().matches("webA is out of rotation").count(), 1, "{}", scene.alerts());
    scene.run(&["status", "webA"]).assert_code(0).assert_says(&["the app stays out"]);
    let summary = scene.assert_nothing_failed();
    assert_eq!(asked(&summary), [&format!("webA:{old}")], "no client met the new process");
}

#[test]
fn row_11_an_app_that_sleeps_before_it_listens_stays_out() {
    assert_stays_out(builder().table_line("service", "timeout = \"2s\""), &["--start-delay=600000"]);
}

#[test]
fn row_11_an_app_that_listens_and_never_answers_well_stays_out() {
    assert_stays_out(builder(), &["--ready-after=600000"]);
}

/// What it never answered with was only its health: clients would have been served, and are not sent there all the same.
#[test]
fn row_11_an_app_whose_health_alone_is_broken_stays_out() {
    assert_stays_out(builder(), &["--health-only-broken"]);
}

fn with_revert(script: &str) -> Scene {
    let revert = format!("revert = ['sh', '-c', '{script}; echo reverted >>REVERTS']");
    let scene = Scene::new(builder().table_line("service", "timeout = \"2s\"").table_line("service", &revert));
    let more = scene.world.apps[0].more();
    let reverts = scene.world.pitstop.state().join("reverts");
    scene.world.pitstop.replace("REVERTS", reverts.to_str().unwrap());
    if script.contains("MORE") {
        scene.world.pitstop.replace("MORE", more.to_str().unwrap());
    }
    scene
}

fn reverts(scene: &Scene) -> usize {
    let reverts = scene.world.pitstop.state().join("reverts");
    std::fs::read_to_string(reverts).unwrap_or_default().matches("reverted").count()
}

#[test]
fn row_11_the_revert_runs_once_and_the_reverted_app_is_proven_and_put_back() {
    for never in ["--start-delay=600000", "--ready-after=600000"] {
        // `: >FILE` is the old release: started without what made it never ready.
        let scene = with_revert(": >MORE");
        scene.world.apps[0].at_next_start(&[never]);
        let old = scene.pid();
        let outcome = scene.run(&["--output", "json", "restart", "webA"]);
        outcome.assert_code(0);
        outcome.time_of("revert");
        assert_eq!((reverts(&scene), scene.alerts()), (1, String::new()));
        scene.assert_in();
        let new = scene.pid();
        assert_ne!(new, old);
        let summary = scene.assert_nothing_failed();
        let known = [format!("webA:{old}"), format!("webA:{new}")];
        assert!(asked(&summary).into_iter().all(|process| known.contains(process)), "{:?}", summary.by_process);
    }
}

#[test]
fn row_11_a_revert_that_does_not_help_runs_once_and_the_app_stays_out() {
    for script in ["true", "false"] {
        let scene = with_revert(script);
        scene.world.apps[0].at_next_start(&["--ready-after=600000"]);
        scene.run(&["restart", "webA"]).assert_code(6).assert_says(&["webA is OUT of rotation"]);
        assert_eq!(reverts(&scene), 1);
        assert!(scene.alerts().contains("webA is out of rotation"), "{}", scene.alerts());
        scene.assert_out();
        scene.assert_nothing_failed();
    }
}
