//! Maintenance that somebody else set, before us, beside us or after us, is left so and named, under load.

use integration::haproxy::Version;
use integration::pitstop::Outcome;
use integration::request::Held;
use integration::world::{Builder, Redirects, World};

use crate::scene::{SOON, Scene, Touchables};

const MAIN: &str = "srvs/webA";
const BACKUP: &str = "srvs/bkpA";

fn builder() -> Builder {
    World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"2s\"")
}

fn assert_named(outcome: &Outcome, entries: &str) {
    outcome.assert_code(0).assert_says(&["restarted, proven and back as it was"]);
    outcome.assert_says(&[&format!("left in somebody else's maintenance: {entries}")]);
}

#[test]
fn row_20_maintenance_before_a_run_is_left_so_and_named_on_every_version() {
    for version in Version::ALL {
        let scene = Scene::new(builder().version(version));
        scene.world.haproxy.set_state(MAIN, "maint");
        let before = Touchables::of(&scene.world);
        let old = scene.pid();
        assert_named(&scene.run(&["restart", "webA"]), "srvs/webA on lb1");
        assert_ne!(scene.pid(), old);
        assert_eq!(Touchables::of(&scene.world).settings(), before.settings());
        assert!(scene.world.haproxy.status(BACKUP).starts_with("UP"));
        scene.assert_nothing_failed();
    }
}

#[test]
fn row_20_strict_refuses_naming_it_and_touches_nothing() {
    for (entry, state) in [(MAIN, "maint"), (BACKUP, "maint")] {
        let scene = Scene::new(builder());
        scene.world.haproxy.set_state(entry, state);
        let before = Touchables::of(&scene.world);
        for command in ["restart", "out"] {
            let outcome = scene.run(&[command, "webA", "--strict"]);
            outcome.assert_code(3).assert_says(&[&format!("{entry} on lb1"), "nothing was touched"]);
        }
        before.assert_untouched(&scene.world);
        assert_eq!(scene.world.haproxy.status(entry), "MAINT");
        scene.assert_nothing_failed();
    }
}

/// While our own bit is DRAIN, somebody's MAINT shows; the client that sticks meanwhile keeps its server.
#[test]
fn row_20_maintenance_set_while_the_app_drains_is_left_so_and_named_on_every_version() {
    for version in Version::ALL {
        let scene = Scene::new(builder().version(version).drain_line("sticky_grace = \"60s\""));
        let mut conversation = Held::conversation(scene.world.frontend(), "SERVER=A");
        let run = scene.world.pitstop.start(&["restart", "webA"]);
        scene.world.haproxy.wait_for_status(MAIN, "DRAIN", SOON);
        scene.world.haproxy.set_state(MAIN, "maint");
        assert!(conversation.is_alive());
        drop(conversation);
        let outcome = run.wait();
        assert_named(&outcome, "srvs/webA on lb1");
        outcome.assert_says(&["while it was draining"]);
        assert_eq!(scene.world.haproxy.status(MAIN), "MAINT");
        assert!(scene.world.haproxy.status(BACKUP).starts_with("UP"));
        scene.assert_nothing_failed();
    }
}

#[test]
fn row_20_maintenance_set_after_put_back_is_left_so_and_named_on_every_version() {
    for version in Version::ALL {
        let scene = Scene::new(builder().version(version));
        let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
        run.wait_for_step("await_in");
        scene.world.haproxy.set_state(MAIN, "maint");
        let outcome = run.wait();
        assert_named(&outcome, "srvs/webA on lb1");
        outcome.assert_says(&["after it was put back"]);
        assert_eq!(scene.world.haproxy.status(MAIN), "MAINT");
        scene.assert_nothing_failed();
    }
}

/// What we leave alone in one run is not ours in the next.
#[test]
fn row_20_it_stays_so_through_undo_and_the_next_run() {
    let scene = Scene::new(builder().drain_line("timeout = \"1s\""));
    scene.world.haproxy.set_state(MAIN, "maint");
    let before = Touchables::of(&scene.world);
    let conversation = Held::conversation(scene.world.frontend(), "SERVER=A");
    scene.run(&["restart", "webA"]).assert_code(5).assert_says(&["everything is as it was found"]);
    before.assert_untouched(&scene.world);
    drop(conversation);
    assert_named(&scene.run(&["restart", "webA"]), "srvs/webA on lb1");
    assert_eq!(scene.world.haproxy.status(MAIN), "MAINT");
    // Only who asks for it by name gets it in.
    scene.run(&["in", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}
