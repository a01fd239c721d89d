//! Without D-Bus systemd can't be asked to restart anything, and without polkit only root is heard: said before the take-out, and undone
//! where it comes later.

use integration::wait;

use crate::scene::{SLOW, SOON, Scene};

const BUS: [&str; 2] = ["dbus.socket", "dbus.service"];

impl Scene {
    fn stop_bus(&self) {
        self.systemctl(&[&["stop"][..], &BUS].concat());
    }

    fn start_bus(&self) {
        self.systemctl(&["start", "dbus.socket"]);
    }
}

#[test]
fn row_25_a_dead_bus_is_said_before_the_app_is_taken_out() {
    let scene = Scene::new("", "");
    let before = scene.main_pid();
    scene.stop_bus();
    scene.pitstop(&["restart", "webA"]).assert_code(3).assert_says(&["D-Bus", "systemctl status dbus.socket"]);
    scene.pitstop(&["check"]).assert_says(&["D-Bus"]);
    assert!(scene.is_in());
    scene.start_bus();
    assert_eq!(scene.main_pid(), before);
    scene.pitstop(&["restart", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_25_a_dead_polkit_is_said_before_the_app_is_taken_out() {
    let scene = Scene::new("", "");
    let before = scene.main_pid();
    // It is started when it is asked for.
    scene.systemctl(&["mask", "--runtime", "--now", "polkit.service"]);
    // Firewall and the kernel's sockets are within its rights; units are polkit's to allow.
    let deploy = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "--inh-caps=+net_admin,+net_raw",
        "--ambient-caps=+net_admin,+net_raw",
    ];
    scene.machine.run(&["chown", "-R", "65534", "/var/lib/pitstop", "/etc/pitstop"]).assert_code(0);
    let outcome = scene.machine.run(&[&deploy[..], &["pitstop", "restart", "webA"]].concat());
    outcome.assert_code(3).assert_says(&["polkit does not answer", "systemctl status polkit.service"]);
    assert!(scene.is_in());
    assert_eq!(scene.main_pid(), before);
    scene.assert_nothing_failed();
}

#[test]
fn row_25_a_bus_that_dies_before_the_restart_undoes_it() {
    let scene = Scene::new("", "");
    let before = scene.main_pid();
    let (run, sticky) = scene.draining();
    scene.stop_bus();
    drop(sticky);
    run.wait().assert_code(5).assert_says(&["D-Bus", "webA was not stopped"]);
    scene.assert_in();
    scene.start_bus();
    assert_eq!(scene.main_pid(), before);
    scene.assert_nothing_failed();
}

#[test]
fn row_25_a_bus_that_dies_during_the_restart_leaves_the_app_out_and_says_so_until_it_is_back() {
    let scene = Scene::new("", "");
    let before = scene.main_pid();
    let run = scene.restarting();
    scene.stop_bus();
    run.wait().assert_code(6).assert_says(&["the bus hung up before the job's end"]);
    scene.assert_out();
    assert!(scene.alerts().contains("webA"), "{:?}", scene.alerts());
    // systemd goes on by itself.
    scene.machine.remove(SLOW);
    scene.start_bus();
    wait::until("the app", SOON, || (!matches!(scene.main_pid(), 0) && scene.main_pid() != before).then_some(()));
    scene.pitstop(&["recover", "webA"]).assert_code(0);
    scene.assert_in();
    scene.assert_nothing_failed();
}
