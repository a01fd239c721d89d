//! Row 14: the xtables lock is held. Every wait for it ends; before the restart the run is undone, after it the redirect is tried
//! again until the lock is free.

use integration::wait;
use integration::world::{Redirects, World};

use crate::firewall::{
    first_redirect_is_there, hold_the_xtables_lock, private_locks, use_legacy, use_legacy_without_limit,
};
use crate::moment::{SOON, before_the_redirect_is_removed, first_app_is_in, load, resting};

fn scene() -> World {
    resting(World::builder().redirects(Redirects::ByPitstop)).start()
}

#[test]
fn row_14_a_lock_that_is_held_before_a_run_refuses_it() {
    private_locks();
    use_legacy();
    let world = scene();
    let old = world.apps[0].pid();
    let lock = hold_the_xtables_lock();
    let said = ["the xtables lock was still held by another process after 5 s", "fuser -v /run/xtables.lock"];
    world.pitstop.run(&["restart", "webA"]).assert_code(3).assert_says(&said).assert_says(&["nothing was touched"]);
    drop(lock);
    assert!(first_app_is_in(&world) && first_redirect_is_there());
    assert_eq!(world.apps[0].pid(), old);
}

/// The lock is taken while those who stick are left their time, and let go when the run has said that it waits for it.
fn undo(world: &World, said: &[&str]) {
    let load = load(world);
    let old = world.apps[0].pid();
    let (mut restart, lock) = before_the_redirect_is_removed(world, hold_the_xtables_lock);
    restart.wait_for("tries again");
    drop(lock);
    restart.wait().assert_code(5).assert_says(said).assert_says(&["webA was not stopped"]);
    assert!(first_app_is_in(world) && first_redirect_is_there());
    assert_eq!(world.apps[0].pid(), old);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

#[test]
fn row_14_a_lock_that_is_held_before_the_restart_makes_the_run_undo() {
    private_locks();
    use_legacy();
    undo(&scene(), &["the xtables lock was still held by another process after 5 s"]);
}

#[test]
fn row_14_an_iptables_that_waits_for_ever_is_ended_and_the_run_undone() {
    private_locks();
    use_legacy_without_limit();
    let world = scene();
    undo(&world, &["did not end within 7 s and was killed"]);
    assert!(first_redirect_is_there(), "nothing was left behind to be done later");
}

#[test]
fn row_14_a_lock_that_is_held_after_the_restart_is_waited_for_and_the_app_goes_in() {
    private_locks();
    use_legacy();
    let world = scene();
    let load = load(&world);
    let old = world.apps[0].pid();
    world.apps[0].at_next_start(&["--start-delay=3000"]);
    let mut restart = world.pitstop.start(&["restart", "webA"]);
    wait::until("the new process", SOON, || (world.apps[0].pid() != old).then_some(()));
    let lock = hold_the_xtables_lock();
    restart.wait_for("tries again");
    drop(lock);
    restart.wait().assert_code(0).assert_says(&["restarted, proven and back as it was"]);
    assert!(first_app_is_in(&world) && first_redirect_is_there());
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}
