//! Where logind ends all that a login has started (`KillUserProcesses=yes`), the app that pitstop started in it goes on.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;

use integration::machine::Machine;
use integration::ssh::Key;
use integration::wait;

use crate::scene::{PIDFILE, SOON, Scene};

/// Not even root is spared.
const LOGIND: &str = "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n";
/// Options for a start to come.
const MORE: &str = "/run/more-options";

fn furnish(machine: &Machine, key: &Key) {
    machine.write("/etc/systemd/logind.conf.d/kill.conf", LOGIND);
    machine.write("/root/.ssh/authorized_keys", &key.public());
    let unit = machine.path("/etc/systemd/system/multi-user.target.wants/ssh.service");
    symlink("/lib/systemd/system/ssh.service", unit).unwrap();
}

/// The app is started by a command of ours, which leaves its session to its starter; and someone may log in.
fn scene() -> (Scene, Key) {
    let key = Key::new();
    let start = format!("testapp --name=webA --listen=LISTEN --pidfile={PIDFILE} --more={MORE} &");
    let service = format!("pidfile = {PIDFILE:?}\nstart = {:?}", ["sh", "-c", &start]);
    let scene = Scene::furnished("", &service, |machine| furnish(machine, &key));
    (scene, key)
}

fn sshd(scene: &Scene) -> SocketAddr {
    SocketAddr::new(scene.machine.host.far(), 22)
}

fn wait_until_nobody_is_logged_in(scene: &Scene) {
    wait::until("no login", SOON, || {
        scene.machine.run(&["loginctl", "list-sessions", "--no-legend"]).stdout.trim().is_empty().then_some(())
    });
}

/// The app's process, as the host counts.
fn pid(scene: &Scene) -> String {
    scene.machine.read(PIDFILE).trim().to_owned()
}

fn assert_runs_in_a_scope_of_its_own(scene: &Scene) {
    let group = scene.machine.run(&["cat", &format!("/proc/{}/cgroup", pid(scene))]);
    group.assert_code(0).assert_says(&["/pitstop-webA-"]);
}

#[test]
fn an_app_outlives_the_login_from_which_it_was_restarted() {
    let (scene, key) = scene();
    for terminal in [true, false] {
        let old = pid(&scene);
        let status = key.command(sshd(&scene), terminal, "pitstop restart webA").status().unwrap();
        assert_eq!(status.code(), Some(0));
        wait_until_nobody_is_logged_in(&scene);
        assert_ne!(pid(&scene), old);
        assert_runs_in_a_scope_of_its_own(&scene);
        scene.assert_in();
    }
    scene.assert_nothing_failed();
}

#[test]
fn an_app_outlives_the_login_that_is_cut_off_while_it_is_restarted() {
    let (scene, key) = scene();
    for terminal in [true, false] {
        let old = pid(&scene);
        scene.machine.write(MORE, "--ready-after=4000");
        let mut caller = key.command(sshd(&scene), terminal, "pitstop restart webA").spawn().unwrap();
        wait::until("the new process", SOON, || (pid(&scene) != old).then_some(()));
        let new = pid(&scene);
        caller.kill().unwrap();
        caller.wait().unwrap();
        wait_until_nobody_is_logged_in(&scene);
        scene.machine.write(MORE, "");
        scene.pitstop(&["recover", "webA"]).assert_code(0);
        assert_eq!(pid(&scene), new);
        assert_runs_in_a_scope_of_its_own(&scene);
        scene.assert_in();
    }
    scene.assert_nothing_failed();
}
