//! Refused, or held by another run.

use integration::request::Held;
use integration::wait;
use integration::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::page::Section;
use crate::scene::{SOON, Scene};

#[test]
fn too_few_others_are_brought_up_or_the_guard_is_not_asked() {
    let mut page = Section::of("Too few others are up");
    let scene = Scene::new();
    for server in ["srvs/webB", "srvs/webC"] {
        scene.haproxy().set_state(server, "maint");
    }
    page.run(&scene);
    page.run(&scene);
    scene.assert_in();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn foreign_rules_are_replaced_without_a_gap() {
    let mut page = Section::of("A rule that is not ours has to do with the check port");
    let scene = Scene::with_foreign_redirects();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn somebody_elses_maintenance_is_left_until_in() {
    let mut page = Section::of("Somebody else has it in maintenance");
    let scene = Scene::new();
    scene.haproxy().set_state("srvs/bkpA", "maint");
    page.run(&scene);
    page.run(&scene);
    assert_eq!(scene.haproxy().status("srvs/bkpA"), "MAINT");
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_run_that_is_stopped_is_woken_and_ended() {
    let mut page = Section::of("Another run holds the app");
    let scene = Scene::with(World::builder(), "drain = { sticky_grace = \"60s\", timeout = \"60s\" }");
    let sticky = Held::conversation(scene.world.frontend(), "SERVER=A");
    let mut run = scene.start_until("pitstop restart web --reason 'release 7'", "settle");
    let pid = run.pid();
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    page.run(&scene);
    page.run(&scene);
    for _ in 0..2 {
        let about = page.next();
        about.check(scene.start_about(&about.command, pid).wait());
    }
    wait::until("its end", SOON, || run.has_ended().then_some(()));
    assert_eq!(run.wait().code, Some(5));
    page.run_rest(&scene);
    scene.assert_in();
    drop(sticky);
}
