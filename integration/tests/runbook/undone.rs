//! Undone: nothing has changed, and why.

use std::time::Duration;

use integration::request::Held;
use integration::world::World;

use crate::page::Section;
use crate::scene::{SOON, Scene};

#[test]
fn a_drain_that_never_ends_is_undone_until_the_client_goes() {
    let mut page = Section::of("The drain does not end");
    let scene = Scene::with(World::builder(), "drain.timeout = \"3s\"");
    let websocket = Held::conversation(scene.world.frontend(), "SERVER=A");
    page.run(&scene);
    scene.assert_in();
    page.run(&scene);
    page.run(&scene);
    drop(websocket);
    scene.haproxy().wait_until_quiet(&["srvs/webA"], Duration::from_secs(30));
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn too_few_others_at_the_second_look_undo() {
    let mut page = Section::of("Too few others at the second look");
    let scene = Scene::with(World::builder(), "drain.sticky_grace = \"60s\"");
    let old = scene.app().pid();
    let sticky = Held::conversation(scene.world.frontend(), "SERVER=A");
    let restart = page.next();
    let run = restart.start(&scene);
    scene.haproxy().wait_for_status("srvs/webA", "DRAIN", SOON);
    for server in ["srvs/webB", "srvs/webC"] {
        scene.haproxy().set_state(server, "maint");
    }
    drop(sticky);
    restart.check(run.wait());
    assert_eq!(scene.app().pid(), old);
    scene.assert_in();
    for server in ["srvs/webB", "srvs/webC"] {
        scene.haproxy().set_state(server, "ready");
    }
    page.run_rest(&scene);
    scene.assert_in();
}
