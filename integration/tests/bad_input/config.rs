//! What is typed and configured: exit code 2, before anything is looked at.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use integration::pitstop::Pitstop;

use crate::scene::{assert_says, world};

const CONFIG: &str = r#"
[balancers.lb1]
socket = "/nowhere/admin.sock"

[apps.web]
servers = ["srvs/webA"]
listen = "127.0.0.1:1001"
service = { pidfile = "/nowhere/web.pid", start = ["/bin/true"] }
ready = [{ http = "http://127.0.0.1:1001/health" }]
"#;

#[test]
fn a_typo_in_the_configuration_is_shown_with_its_line_and_the_nearest_key() {
    let pitstop = Pitstop::new(&CONFIG.replace("socket", "sokcet"));
    for command in ["restart", "out", "in", "check", "status"] {
        let outcome = pitstop.run(&[command, "web"]);
        assert_says(&outcome, 2, &["pitstop.toml:3:1: unknown key `sokcet`", "hint: did you mean `socket`?"]);
        assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    }
}

#[test]
fn a_configuration_that_others_may_write_is_not_believed() {
    let pitstop = Pitstop::new(CONFIG);
    fs::set_permissions(pitstop.config(), Permissions::from_mode(0o666)).unwrap();
    let chmod = format!("chmod go-w {}", pitstop.config().display());
    assert_says(&pitstop.run(&["restart", "web"]), 2, &["group or others may write", &chmod]);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let pitstop = Pitstop::new(CONFIG);
    fs::remove_file(pitstop.config()).unwrap();
    let outcome = pitstop.run(&["restart", "web"]);
    assert_says(
        &outcome,
        2,
        &["pitstop.toml: there is no such file", "hint: `pitstop init", "copy the example", "--config"],
    );
    assert!(outcome.stderr.trim_end().ends_with("--config"), "{}", outcome.stderr);
}

#[test]
fn an_unknown_app_has_a_nearest_name() {
    let pitstop = Pitstop::new(CONFIG);
    for command in ["restart", "out", "in", "check", "status"] {
        assert_says(&pitstop.run(&[command, "wep"]), 2, &["there is no app \"wep\"", "hint: did you mean `web`?"]);
    }
}

#[test]
fn wrong_usage_is_told_with_what_is_right() {
    let pitstop = Pitstop::new(CONFIG);
    assert_says(&pitstop.run(&["restart"]), 2, &["<APP>", "Usage: pitstop restart"]);
    assert_says(&pitstop.run(&["restrat", "web"]), 2, &["restrat", "'restart'"]);
    assert_says(&pitstop.run(&["restart", "web", "--adopt-rules"]), 2, &["--adopt-rules"]);
}

#[test]
fn a_state_directory_that_can_not_be_used_refuses_the_run() {
    let world = world();
    fs::remove_dir(world.pitstop.state()).unwrap();
    fs::write(world.pitstop.state(), "").unwrap();
    let named = world.pitstop.state().display().to_string();
    let states = world.haproxy.command("show servers state");
    for command in ["restart", "out", "in", "check"] {
        let outcome = world.pitstop.run(&[command, "webA"]);
        assert_says(&outcome, 3, &["the state directory can't be used", &named, "--state-dir"]);
    }
    assert_says(&world.pitstop.run(&["status", "webA"]), 0, &["srvs/webA UP"]);
    assert_eq!(bits(&states), bits(&world.haproxy.command("show servers state")));
    assert!(world.apps[0].is_running());
}

fn bits(states: &str) -> Vec<String> {
    states.lines().skip(2).filter_map(|line| line.split(' ').nth(6).map(str::to_owned)).collect()
}
