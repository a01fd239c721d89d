//! A take-out that HAProxy will not do is refused before anything is touched, on no balancer and of no command.

use integration::haproxy::Version;
use integration::request::Held;
use integration::wait;
use integration::world::{Builder, Redirects, World};

use crate::scene::{SOON, Scene, Touchables};

fn two_balancers() -> Builder {
    World::builder().balancers(2).redirects(Redirects::ByPitstop)
}

/// Refused by each command that would change something, with nothing touched anywhere and no request lost.
fn assert_refused(scene: Scene, commands: &[&str], wanted: &[&str]) {
    let before = Touchables::of(&scene.world);
    for command in commands {
        scene.run(&[command, "webA"]).assert_code(3).assert_says(wanted).assert_says(&["nothing was touched"]);
        before.assert_untouched(&scene.world);
    }
    assert_eq!(scene.alerts(), "");
    scene.assert_nothing_failed();
}

#[test]
fn row_07_a_server_that_one_of_two_balancers_does_not_know_is_refused_on_both() {
    let mut scene = Scene::new(two_balancers());
    rename_on_the_other(&mut scene.world);
    let wanted = ["lb2", "there is no server srvs/webA", "hint: "];
    assert_refused(scene, &["restart", "out", "in"], &wanted);
}

/// As somebody does who renames a server and reloads.
fn rename_on_the_other(world: &mut World) {
    let other = &world.others[0];
    let file = other.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("server webA", "server renamed")).unwrap();
    other.reload();
}

#[test]
fn row_07_a_socket_of_level_operator_on_one_of_two_balancers_is_refused_on_both() {
    let scene = Scene::new(two_balancers());
    let other = &scene.world.others[0];
    let lower = other.folder().join("lower.sock");
    let file = other.config_file();
    let stats = format!("global\n    stats socket {} level operator", lower.display());
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("global", &stats, 1)).unwrap();
    other.reload();
    wait::until("the lower socket", SOON, || lower.exists().then_some(()));
    scene.world.pitstop.replace(other.socket().to_str().unwrap(), lower.to_str().unwrap());
    assert_refused(scene, &["restart", "out", "in"], &["lb2", "operator", "level admin"]);
}

/// The words of each version, for the same refusal.
#[test]
fn row_07_every_version_refuses_what_it_does_not_know_in_words_that_are_understood() {
    for version in Version::ALL {
        let scene = Scene::new(World::builder().version(version));
        scene.world.pitstop.replace("servers = [\"srvs/webA\"]", "servers = [\"srvs/webA\", \"srvs/webZ\"]");
        assert_refused(scene, &["restart"], &["there is no server srvs/webZ"]);
        let scene = Scene::new(World::builder().version(version));
        scene.world.pitstop.replace("servers = [\"srvs/webA\"]", "servers = [\"srvz/webA\"]");
        assert_refused(scene, &["restart"], &["no backend srvz"]);
    }
}

/// Looked at and found good, then gone before it is taken out: what was done elsewhere is undone.
#[test]
fn row_07_a_server_that_is_renamed_while_those_who_stick_go_on_makes_the_run_undo() {
    let mut scene = Scene::new(two_balancers().drain_line("sticky_grace = \"30s\""));
    let old = scene.pid();
    let mut conversation = Held::conversation(scene.world.frontend_of(1), "SERVER=A");
    let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("settle");
    rename_on_the_other(&mut scene.world);
    let outcome = run.wait();
    // Where it is not known any more nothing can be undone, and that needs a person.
    outcome.assert_code(7).assert_says(&["lb2", "no server srvs/webA"]);
    assert_eq!(scene.pid(), old, "not stopped");
    for server in scene.world.servers(0) {
        assert!(scene.world.haproxy.status(&server).starts_with("UP"), "{server}: {outcome:?}");
    }
    assert!(conversation.is_alive() && !scene.alerts().is_empty());
    scene.assert_nothing_failed();
}
