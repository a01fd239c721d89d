//! `pitstop.toml` as `init` writes it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use integration::haproxy::{Backend, Config, Mode, Server, Version};

use crate::scene::Scene;

fn scene(words: &str) -> Scene {
    scene_at([1001, 1002], words)
}

fn scene_at(ports: [u16; 2], words: &str) -> Scene {
    let server = |name, port: u16| Server::new(name, ([127, 0, 0, 1], port).into()).word(words);
    let backend = Backend::new("srvs").server(server("webA", ports[0])).server(server("webB", ports[1]));
    Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend))
}

#[test]
fn what_is_missing_is_said_by_check_with_its_line() {
    // Where nobody listens no unit is found, not even where the tests themselves run as a service.
    let scene = scene_at([1003, 1004], "check");
    scene.init(&[]).assert_code(0);
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    let line = written.lines().position(|line| line == "[apps.webA.service]").unwrap() + 1;
    let place = format!("pitstop.toml:{line}:1");
    scene.pitstop.run(&["check"]).assert_code(2).assert_says(&[&place, "who restarts the app", "systemd = "]);
    scene.init(&[]).assert_code(2).assert_says(&[&place]);
}

#[test]
fn one_that_is_there_is_never_touched() {
    let scene = scene("check");
    let theirs = "[balancers.lb]\nsocket = \"/run/x\"\n[apps.mine]\nservers = [\"other/x\"]\nlisten = \"127.0.0.1:1\"\n\
                  [apps.mine.service]\nsystemd = \"x\"\n[[apps.mine.ready]]\ntcp = \"127.0.0.1:1\"\n";
    scene.pitstop.configure(theirs);
    let before = scene.file();
    scene.init(&["--write"]).assert_code(2).assert_says(&["srvs/webA", "nothing was written", ".new init"]);
    assert_eq!(std::fs::read_to_string(scene.pitstop.config()).unwrap(), theirs);
    assert_eq!(scene.file(), before);
}

/// The mode of `pitstop.toml` that is made for a file of this mode with this line in its backend.
fn mode_for(mode: u32, line: &str) -> u32 {
    let server = Server::new("webA", ([127, 0, 0, 1], 1001).into()).word("check");
    let backend = Backend::new("srvs").line("option httpchk GET /health").line(line).server(server);
    let scene = Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend));
    std::fs::set_permissions(scene.haproxy.config_file(), Permissions::from_mode(mode)).unwrap();
    scene.init(&[]).assert_code(0);
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    assert_eq!(line.contains("hdr"), written.contains("request_headers"), "{written}");
    std::fs::metadata(scene.pitstop.config()).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_is_no_more_readable_than_what_it_comes_from() {
    let secret = "http-check send hdr Authorization c2VjcmV0";
    let plain = "http-check expect status 200";
    assert_eq!(mode_for(0o600, secret), 0o600);
    assert_eq!(mode_for(0o644, secret), 0o600);
    assert_eq!(mode_for(0o640, plain), 0o600);
    assert_eq!(mode_for(0o644, plain), 0o644);
}

#[test]
fn the_headers_of_the_checks_are_the_probes() {
    let server = Server::new("webA", ([127, 0, 0, 1], 1001).into()).word("check");
    let backend = Backend::new("srvs")
        .line("option httpchk GET /health")
        .line("http-check send hdr Host www.example.org")
        .server(server);
    let scene = Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend));
    scene.init(&[]).assert_code(0);
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    assert!(written.contains("request_headers = { \"Host\" = \"www.example.org\" }"), "{written}");
}

#[test]
fn names_and_check_ports_of_one_that_is_there_are_kept() {
    let scene = scene("check");
    scene.init(&["--check-port", "3000"]).assert_code(0);
    scene.fill_in();
    scene.pitstop.replace("check_port = 3000", "check_port = 3456");
    scene.init(&["--write"]).assert_code(0).assert_says(&["check port 3456", "check port 3001"]);
}

#[test]
fn a_port_that_is_answered_on_is_the_apps_own_page_for_checks() {
    let scene = scene("check port 1002");
    let outcome = scene.init(&[]);
    outcome.assert_code(0).assert_says(&["on which something answers here", "by the admin socket alone"]);
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    assert!(!written.contains("[apps.webA.redirect]"), "{written}");
}

#[test]
fn by_the_socket_alone_nothing_but_the_socket_is_asked_for() {
    let scene = scene("check");
    let before = scene.file();
    scene.init(&["--socket-only", "--write"]).assert_code(0).assert_says(&["lack nothing"]);
    assert_eq!(scene.file(), before);
    scene.fill_in();
    let load = scene.load();
    scene.pitstop.run(&["restart", "webA"]).assert_code(0);
    load.wait_for_requests(50, Duration::from_secs(30));
    load.stop().assert_nothing_failed();
}

#[test]
fn a_host_that_no_server_is_on_is_refused_with_those_that_there_are() {
    let scene = scene("check");
    let from = scene.haproxy.config_file();
    let from = from.to_str().unwrap();
    let outcome = scene.pitstop.run(&["init", "--from", from, "--host", "10.9.9.9"]);
    outcome.assert_code(2).assert_says(&["10.9.9.9", "127.0.0.1"]);
    assert!(!scene.pitstop.config().exists());
    let outcome = scene.pitstop.run(&["--output", "json", "init", "--from", from, "--host", "10.9.9.9"]);
    assert_eq!(outcome.assert_code(2).events()[0]["event"], "error");
}

#[test]
fn in_does_without_a_backup_entry_only_where_the_files_have_it() {
    let scene = scene("check");
    scene.init(&["--write"]).assert_code(0);
    scene.fill_in();
    let told = scene.pitstop.run(&["in", "webA"]);
    told.assert_code(0).assert_says(&["HAProxy has not read srvs/webA-backup yet"]);
    scene.pitstop.replace("\"srvs/webB-backup\"", "\"srvs/nowhere\"");
    scene.pitstop.run(&["in", "webB"]).assert_code(3).assert_says(&["srvs/nowhere"]);
    // Anything but `in` needs all of them.
    scene.pitstop.run(&["restart", "webA"]).assert_code(3).assert_says(&["srvs/webA-backup"]);
}

#[test]
fn every_app_that_something_has_to_be_filled_in_for_is_named() {
    let scene = scene_at([1003, 1004], "check");
    scene.init(&[]).assert_code(0).assert_says(&["who restarts webA", "who restarts webB"]);
}

#[test]
fn the_commands_to_type_are_of_the_same_state_directory() {
    let scene = scene("check");
    let state = format!("--state-dir {} in webA", scene.pitstop.state().display());
    scene.init(&[]).assert_code(0).assert_says(&[&state]);
}

#[test]
fn backup_entries_that_one_that_is_there_does_not_name_are_to_be_added_to_it_first() {
    let scene = scene("check");
    scene.init(&[]).assert_code(0);
    scene.fill_in();
    scene.pitstop.replace("backups = [\"srvs/webA-backup\"]\n", "");
    // Before they are in HAProxy's file, and after.
    for _ in 0..2 {
        let outcome = scene.init(&["--write"]);
        outcome.assert_code(0).assert_says(&["add \"srvs/webA-backup\" to `backups` of [apps.webA]"]);
        let place = |text: &str| outcome.stdout.find(text).unwrap();
        assert!(place("add \"srvs/webA-backup\"") < place(" in webA"), "{}", outcome.stdout);
        assert!(!outcome.stdout.contains("add \"srvs/webB"), "{}", outcome.stdout);
    }
}

#[test]
fn where_nothing_changed_a_reload_that_is_still_owed_is_not_forgotten() {
    let scene = scene("check");
    scene.init(&["--write"]).assert_code(0);
    scene.fill_in();
    let again = scene.init(&["--write"]);
    again.assert_code(0).assert_says(&["lack nothing", "systemctl reload haproxy", "if that has not been done since"]);
}

#[test]
fn a_host_with_a_port_is_refused() {
    let scene = scene("check");
    let from = scene.haproxy.config_file();
    let outcome = scene.pitstop.run(&["init", "--from", from.to_str().unwrap(), "--host", "127.0.0.1:1001"]);
    outcome.assert_code(2).assert_says(&["without the port: --host 127.0.0.1"]);
}

#[test]
fn one_whose_only_others_are_backup_entries_counts_these() {
    let server = |name, port: u16| Server::new(name, ([127, 0, 0, 1], port).into()).word("check");
    let backup = Server::new("s2", ([127, 0, 0, 2], 1002).into()).word("check").backup();
    let backend = Backend::new("srvs").server(server("s1", 1001)).server(backup);
    let scene = Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend));
    scene.init(&[]).assert_code(0);
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    assert!(written.contains("\n[apps.srvs.guard]\ncount_backups = true\n"), "{written}");
    assert!(!written.contains("min_up"), "{written}");
    // Where its only backup entry is the app itself, nobody else is up.
    let own = server("s1b", 1001).backup();
    let backend = Backend::new("srvs").server(server("s1", 1001)).server(own);
    let scene = Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend));
    scene.init(&[]).assert_code(0);
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    assert!(written.contains("# min_up = 0") && !written.contains("count_backups"), "{written}");
}
