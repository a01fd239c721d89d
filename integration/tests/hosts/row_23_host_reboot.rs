//! The host is rebooted: firewall and app are new, the journal is not, and HAProxy has the app as the dead run left it. The boot unit
//! proves the app and puts it back.

use integration::wait;

use crate::scene::{SOON, Scene};

/// Waits until the boot unit has ended well, and returns what it said.
fn await_boot_unit(scene: &Scene) -> String {
    let show = |property: &str| {
        scene.systemctl(&["show", &format!("--property={property}"), "--value", "pitstop-recover.service"])
    };
    wait::until("the boot unit ends", SOON, || (show("ActiveState") != "activating").then_some(()));
    let said = scene.machine.run(&["journalctl", "--boot", "--unit=pitstop-recover.service", "--output=cat"]).stdout;
    assert_eq!(show("Result"), "success", "{said}");
    said
}

/// Waits until the boot unit has put the app back.
fn assert_recovered(scene: &Scene, how: &str) {
    let said = await_boot_unit(scene);
    assert!(said.contains(how), "{said}");
    scene.assert_in();
    scene.pitstop(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
}

#[test]
fn row_23_a_power_cut_before_the_stop_ends_with_the_app_proven_and_back() {
    let mut scene = Scene::new("", "");
    let (_run, _sticky) = scene.draining();
    scene.machine.cut_power();
    assert_recovered(&scene, "was interrupted: the app is proven and put back");
    scene.assert_nothing_failed();
}

#[test]
fn row_23_a_power_cut_during_the_restart_ends_with_the_app_proven_and_back() {
    let mut scene = Scene::new("", "");
    let _run = scene.restarting();
    scene.machine.cut_power();
    assert_recovered(&scene, "was interrupted: its restart is finished");
    // The boot was its restart.
    assert_eq!(scene.starts(), 1);
    scene.assert_nothing_failed();
}

#[test]
fn row_23_a_power_cut_after_the_put_back_ends_with_the_app_proven_and_back() {
    let mut scene = Scene::new("", "");
    let before = scene.main_pid();
    let mut run = scene.start(&["restart", "webA"]);
    wait::until("a new process", SOON, || (![0, before].contains(&scene.main_pid())).then_some(()));
    wait::until("it is put back", SOON, || scene.is_in().then_some(()));
    assert!(!run.has_ended());
    scene.machine.cut_power();
    assert_recovered(&scene, "was interrupted: the app is proven and put back");
}

#[test]
fn row_23_a_reboot_before_the_stop_ends_with_the_app_proven_and_back() {
    let mut scene = Scene::new("", "");
    let (_run, _sticky) = scene.draining();
    scene.machine.reboot();
    assert_recovered(&scene, "the app is proven and put back");
    scene.assert_nothing_failed();
}

#[test]
fn row_23_a_reboot_during_the_restart_ends_with_the_app_proven_and_back() {
    let mut scene = Scene::new("", "");
    let _run = scene.restarting();
    scene.machine.reboot();
    assert_recovered(&scene, "the app is proven and put back");
    scene.assert_nothing_failed();
}

#[test]
fn row_23_an_app_that_was_in_has_its_redirect_again_after_a_power_cut() {
    let mut scene = Scene::new("", "");
    scene.machine.cut_power();
    assert_recovered(&scene, "the app is proven and put back");
}

/// What changed nothing does not make it forgotten that the app was in.
#[test]
fn row_23_an_app_whose_last_run_was_undone_has_its_redirect_again_after_a_power_cut() {
    let mut scene = Scene::new("", "");
    let (run, sticky) = scene.draining();
    scene.machine.run(&["pkill", "--exact", "pitstop"]).assert_code(0);
    run.wait().assert_code(5);
    drop(sticky);
    scene.machine.cut_power();
    assert_recovered(&scene, "the app is proven and put back");
}

/// Whoever took it out wants it out after the boot as well.
#[test]
fn row_23_an_app_that_was_taken_out_stays_out_after_a_power_cut() {
    let mut scene = Scene::new("", "");
    scene.pitstop(&["out", "webA"]).assert_code(0);
    scene.machine.cut_power();
    assert!(await_boot_unit(&scene).contains("nothing is owing"));
    scene.assert_out();
    scene.pitstop(&["in", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}
