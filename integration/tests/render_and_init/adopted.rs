//! From a plain configuration to a pit stop, by `pitstop init` and what it says is next, all of it under load.

use std::time::Duration;

use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::load::Load;
use integration::netns::Namespace;
use integration::pitstop::Pitstop;
use integration::real_app::RealApp;

use crate::scene::{SOON, Scene, assert_lints_clean, assert_taken, text};

const OFTEN: Duration = Duration::from_millis(200);

/// A backend of the two apps, each with these words on its line.
fn backend(words: [&str; 2]) -> Backend {
    let server = |name, port: u16, words: &str| Server::new(name, ([127, 0, 0, 1], port).into()).word(words);
    Backend::new("srvs").server(server("webA", 1001, words[0])).server(server("webB", 1002, words[1]))
}

fn checked() -> [&'static str; 2] {
    ["check inter 200ms", "check inter 200ms"]
}

/// Adopts the recipe and restarts both apps, and nothing fails meanwhile.
fn adopts(version: Version, config: Config) -> Scene {
    adopts_under(version, config, Scene::load)
}

fn adopts_under(version: Version, config: Config, load: impl FnOnce(&Scene) -> Load) -> Scene {
    let scene = Scene::start(version, config);
    let plain = scene.file();
    let before: Vec<_> = scene.apps.iter().map(|app| app.pid()).collect();
    let load = load(&scene);
    let outcome = scene.init(&["--write", "--output", "json"]);
    outcome.assert_code(0);
    scene.follow(&outcome);
    scene.pitstop.run(&["restart", "webB"]).assert_code(0);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    let after: Vec<_> = scene.apps.iter().map(|app| app.pid()).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    for server in ["webA", "webB", "webA-backup", "webB-backup"] {
        scene.haproxy.wait_for_status(&format!("srvs/{server}"), "UP", SOON);
    }
    assert_eq!(scene.copy("").as_ref(), Some(&plain), "the copy is what was there");
    let written = String::from_utf8(scene.file()).unwrap();
    assert_lints_clean(&written, &[("webA", 2001), ("webB", 2002)]);
    Version::ALL.iter().for_each(|version| assert_taken(*version, &scene.haproxy.config_file()));
    // Once more, and there is nothing left to do.
    let again = scene.init(&["--write", "--output", "json"]);
    again.assert_code(0);
    assert!(again.events().iter().all(|event| event["event"] != "diff"), "{}", again.stdout);
    assert_eq!(String::from_utf8(scene.file()).unwrap(), written);
    assert_eq!(scene.copy(".2"), None);
    scene
}

#[test]
fn single_entries_checked_on_their_own_port_on_2_6() {
    adopts(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend(checked())));
}

#[test]
fn single_entries_checked_on_their_own_port_on_3_2() {
    adopts(Version::Bed("3.2"), Config::new(Mode::Http).backend(backend(checked())));
}

#[test]
fn entries_that_clients_stick_to_on_2_6() {
    let words = ["cookie A check inter 200ms", "cookie B check inter 200ms"];
    adopts(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend(words).cookie("SERVER")));
}

#[test]
fn entries_that_clients_stick_to_on_3_2() {
    let words = ["cookie A check inter 200ms", "cookie B check inter 200ms"];
    adopts(Version::Bed("3.2"), Config::new(Mode::Http).backend(backend(words).cookie("SERVER")));
}

#[test]
fn everything_in_a_default_server_with_a_http_check_on_3_0() {
    let checks = Backend::new("srvs")
        .line("option httpchk GET /health")
        .line("http-check expect status 200")
        .line("default-server check inter 200ms fall 2 rise 1");
    let server = |name, port: u16| Server::new(name, ([127, 0, 0, 1], port).into());
    let backend = checks.server(server("webA", 1001)).server(server("webB", 1002));
    let scene = adopts(Version::Bed("3.0"), Config::new(Mode::Http).without_redispatch().backend(backend));
    let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
    assert!(written.contains("http = \"http://127.0.0.1:1001/health\""), "{written}");
    assert!(written.contains("status = [200]"), "{written}");
}

#[test]
fn entries_in_tcp_mode_that_nobody_checks_on_2_2() {
    let config = Config::new(Mode::Tcp).defaults("default-server inter 200ms").backend(backend(["", "weight 1"]));
    adopts_under(Version::Bed("2.2"), config, Scene::load_on_new_connections);
}

#[test]
fn the_checks_of_a_tls_server_still_speak_tls_on_their_new_port() {
    let written = Backend::new("srvs").server(
        Server::new("webA", ([127, 0, 0, 1], 1001).into()).check(None, OFTEN).word("ssl verify none send-proxy"),
    );
    let scene = Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(written));
    scene.init(&["--write"]).assert_code(0);
    let written = String::from_utf8(scene.file()).unwrap();
    assert!(written.contains("ssl verify none send-proxy check-ssl check-send-proxy\n"), "{written}");
    Version::ALL.iter().for_each(|version| assert_taken(*version, &scene.haproxy.config_file()));
}

/// Its checks have a port of their own already, which its backup entry would not follow in TLS.
#[test]
fn the_backup_entry_of_a_tls_server_comes_up_whose_checks_had_a_port_already() {
    let _namespace = Namespace::new();
    let app = RealApp::nginx_with_tls(([127, 0, 0, 1], 1443).into());
    let server = Server::new("web", app.listen()).check(None, OFTEN).word("ssl verify none");
    let backend = Backend::new("srvs")
        .line("option httpchk GET /health")
        .line("default-server port 2443")
        .line("http-check expect status 200")
        .server(server);
    let haproxy = Haproxy::start(Version::Bed("3.0"), Config::new(Mode::Http).backend(backend));
    let pitstop = Pitstop::new("");
    std::fs::remove_file(pitstop.config()).unwrap();
    let (from, program) = (haproxy.config_file(), Version::Bed("3.0").program());
    let arguments = ["init", "--from", text(&from), "--host", "127.0.0.1", "--haproxy", text(&program), "--write"];
    pitstop.run(&arguments).assert_code(0);
    haproxy.reload();
    haproxy.wait_for_status("srvs/web-backup", "UP", SOON);
}

/// Why the steps come in the order that is printed.
#[test]
fn reloaded_before_the_redirect_is_there_main_entries_go_down_and_the_backups_serve() {
    let scene = Scene::start(Version::Bed("2.6"), Config::new(Mode::Http).backend(backend(checked())));
    let load = scene.load();
    scene.init(&["--write"]).assert_code(0);
    scene.fill_in();
    scene.haproxy.reload();
    for server in ["srvs/webA", "srvs/webB"] {
        scene.haproxy.wait_for_status(server, "DOWN", SOON);
    }
    load.wait_for_requests(100, SOON);
    for app in &scene.apps {
        scene.pitstop.run(&["in", app.name()]).assert_code(0);
    }
    for server in ["srvs/webA", "srvs/webB"] {
        scene.haproxy.wait_for_status(server, "UP", SOON);
    }
    load.stop().assert_nothing_failed();
}
