//! An app that dies again and again after it became ready, and is started anew each time: its health is good whenever it is
//! asked, and it is not left in.

use integration::wait;
use integration::world::{Builder, Redirects, World};

use crate::scene::{SOON, Scene};

/// Its start command is a supervisor that starts it again whenever it ends; ended by the guardian of the namespace.
fn supervised(builder: Builder) -> Scene {
    let scene = Scene::new(builder);
    let app = &scene.world.apps[0];
    let direct = app.start_command();
    // In the foreground, for the supervisor to see its end; in no session of ours.
    let words: Vec<String> =
        direct.iter().filter(|word| *word != "--daemon").map(|word| format!("\"{word}\"")).collect();
    let script = format!("(while :; do {}; done) </dev/null >/dev/null 2>&1 &", words.join(" "));
    let config = std::fs::read_to_string(scene.world.pitstop.config()).unwrap();
    let plain = format!("start = {direct:?}");
    assert!(config.contains(&plain));
    scene.world.pitstop.configure(&config.replacen(&plain, &format!("start = ['sh', '-c', '{script}']"), 1));
    scene
}

fn builder() -> Builder {
    World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"5s\"")
}

#[test]
fn row_12_an_app_that_dies_after_ready_again_and_again_is_taken_out_again() {
    let scene = supervised(builder());
    scene.world.apps[0].at_next_start(&["--crash-after=1500"]);
    let outcome = scene.run(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["webA is OUT of rotation", "died"]);
    scene.assert_out();
    assert!(scene.alerts().contains("webA is out of rotation"), "{}", scene.alerts());
    // It goes on crashing, and answers well in between: nobody is fooled.
    let mut last = scene.world.apps[0].pid();
    for _ in 0..2 {
        last =
            Some(wait::until("another process", SOON, || scene.world.apps[0].pid().filter(|pid| Some(*pid) != last)));
        scene.assert_out();
    }
    let outcome = scene.run(&["in", "webA"]);
    outcome.assert_code(6);
    scene.assert_out();
}

/// The loop is faster than the probes' rise.
#[test]
fn row_12_an_app_that_dies_while_it_is_proven_again_and_again_stays_out() {
    let scene = supervised(builder().table_line("ready", "rise = 200").table_line("ready", "timeout = \"5s\""));
    scene.world.apps[0].at_next_start(&["--crash-after=300"]);
    let outcome = scene.run(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["webA is OUT of rotation"]);
    scene.assert_out();
    assert!(!scene.alerts().is_empty());
    scene.assert_nothing_failed();
}

#[test]
fn row_12_an_app_whose_supervisor_starts_it_once_is_put_back() {
    let scene = supervised(builder());
    let old = scene.pid();
    scene.run(&["restart", "webA"]).assert_code(0);
    assert_ne!(scene.pid(), old);
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// The weight rises meanwhile: an app that dies in its ramp was never met by all clients.
#[test]
fn row_12_an_app_that_dies_in_its_ramp_is_taken_out_with_its_weight_as_before() {
    let ramp = World::builder().server_words("weight 100").pitstop_line("hold = \"1s\"");
    let scene = supervised(ramp.table_line("ramp", "from = \"10%\"\nover = \"20s\""));
    scene.world.apps[0].at_next_start(&["--crash-after=2000"]);
    scene.run(&["restart", "webA"]).assert_code(6).assert_says(&["webA is OUT of rotation"]);
    scene.assert_out();
    assert_eq!(scene.world.haproxy.command("get weight srvs/webA").trim(), "100 (initial 100)");
    assert!(!scene.alerts().is_empty());
}
