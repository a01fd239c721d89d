//! The restart fails, or systemd will not start the app again: it stays out, that is said aloud, and it is tried no oftener than told.

use crate::scene::{BROKEN, Scene};

#[test]
fn row_10_an_app_that_does_not_start_is_tried_as_often_as_told_and_stays_out() {
    let scene = Scene::new("", "attempts = 2");
    scene.machine.write(BROKEN, "");
    scene.starts();
    let outcome = scene.pitstop(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["the restart of web.service failed", "journalctl -u web.service"]);
    assert_eq!(scene.starts(), 2);
    scene.assert_out();
    assert!(scene.alerts().contains("webA"), "{:?}", scene.alerts());
    // Without a proof nothing changes, however often it is asked.
    scene.pitstop(&["recover", "webA"]).assert_code(6);
    scene.assert_out();
    scene.machine.remove(BROKEN);
    scene.systemctl(&["start", "web.service"]);
    scene.pitstop(&["recover", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_10_a_start_limit_is_named_with_what_lifts_it() {
    // The boot was the first start.
    let scene = Scene::new("StartLimitBurst=2\nStartLimitIntervalSec=1h", "attempts = 3");
    scene.pitstop(&["restart", "webA"]).assert_code(0);
    scene.starts();
    let outcome = scene.pitstop(&["restart", "webA"]);
    outcome.assert_code(6).assert_says(&["start-limit-hit", "systemctl reset-failed web.service"]);
    assert_eq!(scene.starts(), 0);
    scene.assert_out();
    assert!(scene.alerts().contains("start-limit-hit"), "{:?}", scene.alerts());
    // As it says.
    scene.systemctl(&["reset-failed", "web.service"]);
    scene.pitstop(&["restart", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_10_an_app_that_was_mended_by_hand_is_put_back_by_in() {
    let scene = Scene::new("", "");
    scene.machine.write(BROKEN, "");
    scene.pitstop(&["restart", "webA"]).assert_code(6);
    scene.assert_out();
    scene.machine.remove(BROKEN);
    scene.systemctl(&["start", "web.service"]);
    scene.pitstop(&["in", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}
