//! HAProxy's files are changed only where it accepts the result, and nothing of them is lost.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::Duration;

use integration::haproxy::{Backend, Config, Mode, Server, Version};
use integration::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scene::{SOON, Scene, assert_taken, assert_untouched, text};

pub(crate) fn scene() -> Scene {
    Scene::start(Version::Bed("2.6"), plain())
}

fn plain() -> Config {
    let server =
        |name, port: u16| Server::new(name, ([127, 0, 0, 1], port).into()).check(None, Duration::from_millis(200));
    let backend = Backend::new("srvs").server(server("webA", 1001)).server(server("webB", 1002));
    Config::new(Mode::Http).without_redispatch().backend(backend)
}

fn rewrite(scene: &Scene, change: impl Fn(String) -> String) {
    let written = String::from_utf8(scene.file()).unwrap();
    std::fs::write(scene.haproxy.config_file(), change(written)).unwrap();
}

#[test]
fn without_write_only_the_diff_is_shown() {
    let scene = scene();
    let before = scene.file();
    let outcome = scene.init(&[]);
    outcome.assert_code(0).assert_says(&["+    option redispatch", "check port 2001", "webA-backup", "--write"]);
    assert_untouched(&scene, &before);
    assert!(scene.pitstop.config().exists());
}

#[test]
fn the_diff_is_one_that_patch_takes() {
    let scene = scene();
    let outcome = scene.init(&["--output", "json"]);
    let events = outcome.events();
    let diff =
        events.iter().find(|event| event["event"] == "diff").expect("a diff")["diff"].as_str().unwrap().to_owned();
    scene.init(&["--write"]).assert_code(2);
    scene.fill_in();
    let patched = scene.haproxy.folder().join("patched");
    std::fs::write(&patched, scene.file()).unwrap();
    let patch = scene.haproxy.folder().join("patch");
    std::fs::write(&patch, diff).unwrap();
    let status = std::process::Command::new("patch").arg(&patched).arg(&patch).status().unwrap();
    assert!(status.success());
    scene.init(&["--write"]).assert_code(0);
    assert_eq!(std::fs::read(&patched).unwrap(), scene.file());
}

#[test]
fn what_haproxy_refuses_is_not_written() {
    let scene = scene();
    rewrite(&scene, |written| format!("{written}\nbackend other\n    blance roundrobin\n"));
    let before = scene.file();
    let outcome = scene.init(&["--write"]);
    outcome.assert_code(2).assert_says(&["blance", "HAProxy's files are as they were", "haproxy.cfg:"]);
    assert_untouched(&scene, &before);
    assert!(!scene.pitstop.config().exists(), "nothing at all was written");
}

#[test]
fn without_a_haproxy_that_checks_nothing_is_written() {
    let scene = scene();
    let before = scene.file();
    let from = scene.haproxy.config_file();
    let arguments = ["init", "--from", text(&from), "--host", "127.0.0.1", "--haproxy", "/nowhere/haproxy", "--write"];
    scene.pitstop.run(&arguments).assert_code(2).assert_says(&["/nowhere/haproxy", "--haproxy"]);
    assert_untouched(&scene, &before);
}

#[test]
fn a_copy_is_never_written_over() {
    let scene = scene();
    let older = scene.haproxy.folder().join("haproxy.cfg.before-pitstop");
    std::fs::write(&older, "older").unwrap();
    let before = scene.file();
    scene.init(&["--write"]).assert_code(0).assert_says(&["haproxy.cfg.before-pitstop.2"]);
    assert_eq!(scene.copy("").unwrap(), b"older");
    assert_eq!(scene.copy(".2").unwrap(), before);
}

#[test]
fn owner_and_mode_stay_and_a_link_stays_a_link() {
    let scene = scene();
    let (link, real) = (scene.haproxy.config_file(), scene.haproxy.folder().join("real.cfg"));
    std::fs::rename(&link, &real).unwrap();
    symlink("real.cfg", &link).unwrap();
    std::os::unix::fs::chown(&real, Some(1), Some(2)).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    scene.init(&["--write"]).assert_code(0);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    for path in [&real, &scene.haproxy.folder().join("real.cfg.before-pitstop")] {
        let metadata = std::fs::metadata(path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (1, 2, 0o640), "{path:?}");
    }
    assert!(std::fs::read_to_string(&real).unwrap().contains("check port 2001"));
}

#[test]
fn a_file_with_carriage_returns_keeps_them_on_every_line() {
    let scene = scene();
    rewrite(&scene, |written| written.replace('\n', "\r\n"));
    scene.init(&["--write"]).assert_code(0);
    let written = String::from_utf8(scene.file()).unwrap();
    assert!(written.contains("check port 2001"), "{written}");
    assert_eq!(written.matches('\n').count(), written.matches("\r\n").count(), "{written:?}");
    assert_taken(scene.version, &scene.haproxy.config_file());
}

#[test]
fn of_several_files_only_those_that_lack_something_change() {
    let scene = scene();
    let folder = scene.haproxy.folder().join("conf.d");
    std::fs::create_dir(&folder).unwrap();
    let written = String::from_utf8(scene.file()).unwrap();
    let (first, second) = written.rsplit_once("backend srvs").unwrap();
    std::fs::write(folder.join("10.cfg"), first).unwrap();
    std::fs::write(folder.join("20.cfg"), format!("backend srvs{second}")).unwrap();
    let program = scene.version.program();
    let arguments = ["init", "--from", text(&folder), "--host", "127.0.0.1", "--haproxy", text(&program), "--write"];
    scene.pitstop.run(&arguments).assert_code(0);
    assert_eq!(std::fs::read_to_string(folder.join("10.cfg")).unwrap(), first);
    assert!(std::fs::read_to_string(folder.join("20.cfg")).unwrap().contains("check port 2001"));
}

/// HAProxy without any `stats socket`, until it is reloaded.
#[test]
fn where_there_is_no_admin_socket_one_is_added_and_the_steps_still_drop_nothing() {
    let scene = scene();
    let socket = scene.haproxy.socket();
    let has_socket = |line: &&str| !line.contains("stats ");
    rewrite(&scene, |written| written.lines().filter(has_socket).map(|line| format!("{line}\n")).collect());
    kill(Pid::from_raw(scene.haproxy.master_pid()), Signal::SIGUSR2).unwrap();
    wait::until("the worker that has the socket is gone", SOON, || scene.haproxy.pid().is_none().then_some(()));
    std::fs::remove_file(&socket).unwrap();
    let load = scene.load();
    let outcome = scene.init(&["--socket", text(&socket), "--write", "--output", "json"]);
    outcome.assert_code(0);
    scene.follow(&outcome);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}
