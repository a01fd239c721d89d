//! What goes to programs, pipes and terminals.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration::binaries;
use integration::pitstop::{Outcome, Pitstop, Run};
use integration::wait;
use integration::world::World;
use serde_json::Value;

use crate::scene::{assert_says, builder, replace, world};

/// The lines as JSON; the last has the exit code.
fn lines(outcome: &Outcome, code: i32) -> Vec<Value> {
    outcome.assert_code(code);
    let lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["event"].is_string()), "{}", outcome.stdout);
    assert_eq!(lines.last().unwrap()["exit_code"], code, "{}", outcome.stdout);
    lines
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

fn json(world: &World, arguments: &[&str], code: i32) -> Vec<Value> {
    lines(&world.pitstop.run(&[arguments, &["--output", "json"]].concat()), code)
}

#[test]
fn every_outcome_is_lines_of_json_and_the_last_has_the_exit_code() {
    let world = world();
    let done = json(&world, &["restart", "webA"], 0);
    assert_eq!(done[0]["event"], "run_started");
    assert_eq!(done.last().unwrap()["ending"], "done");
    for (number, line) in (1..).zip(&done) {
        assert_eq!(line["seq"], number);
    }
    let steps = done.iter().filter(|line| line["event"] == "step_started").map(|line| line["step"].as_str().unwrap());
    let steps: Vec<_> = steps.collect();
    assert!(
        ["preflight", "claim", "settle", "last_look", "release"].iter().all(|step| steps.contains(step)),
        "{steps:?}"
    );

    assert_eq!(events(&json(&world, &["restart", "wepA"], 2)), ["error"]);
    assert_eq!(events(&json(&world, &["restrat", "webA"], 2)), ["error"]);
    assert_eq!(events(&json(&world, &["check"], 0)), ["check", "check", "checked"]);
    assert_eq!(events(&json(&world, &["restart", "webA", "--dry-run"], 0)), ["dry_run"]);
    let status = world.pitstop.run(&["status", "--output", "json"]);
    assert!(status.stdout.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["event"] == "status"));

    world.haproxy.set_state("srvs/webB", "maint");
    let refused = json(&world, &["restart", "webA"], 3);
    let error = &refused.iter().find(|line| line["event"] == "step_ended").unwrap()["error"];
    assert!(error["what"].is_string() && error["hint"].is_string(), "{error}");
    assert_eq!(events(&json(&world, &["restart", "webA", "--dry-run"], 3)), ["dry_run"]);
    assert_eq!(events(&json(&world, &["check", "webA"], 3)), ["check", "checked"]);
    world.haproxy.set_state("srvs/webB", "ready");

    replace(&world.pitstop, "[[apps.webA.ready]]", "[[apps.webA.ready]]\ntimeout = \"300ms\"");
    world.apps[0].at_next_start(&["--health-only-broken"]);
    assert_eq!(json(&world, &["restart", "webA"], 6).last().unwrap()["ending"], "stays_out");
}

#[test]
fn a_run_that_finds_the_app_held_says_by_whom() {
    let world = world();
    world.apps[0].at_next_start(&["--ready-after=2000"]);
    let first = world.pitstop.start(&["restart", "webA", "--reason", "release 7"]);
    let journal = world.pitstop.state().join("apps/webA/journal");
    let started = || std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("step_intent")).then_some(());
    wait::until("the first run has its claim", Duration::from_secs(20), started);
    let second = world.pitstop.run(&["restart", "webA", "--force"]);
    assert_says(&second, 4, &["another run holds this app", "release 7", "hint: wait for it to end"]);
    assert_says(&world.pitstop.run(&["status", "webA"]), 0, &["release 7"]);
    let third = world.pitstop.run(&["restart", "webA", "--force", "--output", "json"]);
    assert_eq!(lines(&third, 4).last().unwrap()["ending"], "held");
    first.wait().assert_code(0);
}

#[test]
fn an_interrupted_drain_is_undone() {
    let world = builder().drain_line("timeout = \"30s\"").start();
    let load = integration::load::Load::start(&integration::load::Options {
        long: 1,
        long_max: 3000,
        long_exactly: true,
        think: 0,
        ..integration::load::Options::nobody(world.frontend())
    });
    load.wait_for_requests(1, Duration::from_secs(10));
    let busy = || world.servers(0).iter().any(|server| world.haproxy.in_flight(server) > 0).then_some(());
    wait::until("a request in flight on webA", Duration::from_secs(20), busy);
    let run = world.pitstop.start(&["restart", "webA"]);
    wait::until("webA is out", Duration::from_secs(5), || (world.haproxy.status("srvs/webA") != "UP").then_some(()));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.pid()), nix::sys::signal::Signal::SIGINT).unwrap();
    let outcome = run.wait();
    assert_says(&outcome, 5, &["interrupted", "✓ undone", "webA was not stopped, and everything is as it was found"]);
    world.haproxy.wait_for_status("srvs/webA", "UP", Duration::from_secs(5));
    load.stop().assert_nothing_failed();
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let world = world();
    for format in ["human", "json"] {
        let before = world.apps[0].pid();
        let mut command = world.pitstop.command(&["restart", "webA", "--output", format]);
        // Both streams go to pipes whose reading ends are closed at once.
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let status = wait::exit_within(&mut child, Duration::from_secs(30)).unwrap();
        assert_eq!(status.code(), Some(0), "{format}");
        assert_ne!(before, world.apps[0].pid());
    }
    for arguments in [&["completions", "bash"][..], &["status"], &["check"], &["--help"]] {
        let mut child = world.pitstop.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{arguments:?}: {output:?}");
    }
}

/// Runs it on a terminal of this width, and returns what came to its screen.
fn on_terminal(world: &World, columns: u16, environment: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let inner = world.pitstop.command(arguments);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut command = Command::new(binaries::tool("script", "tests"));
    let line = format!("stty cols {columns} rows 24; exec {}", quoted.join(" "));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
    command.env_remove("NO_COLOR").envs(environment.iter().copied()).stdin(Stdio::null()).process_group(0);
    Run::start(command).wait()
}

#[test]
fn on_a_terminal_there_are_colours_unless_they_are_refused() {
    let world = world();
    let shown = on_terminal(&world, 80, &[], &["restart", "webA"]);
    assert_says(&shown, 0, &["\x1b[32m✓\x1b[0m restarted", "0 requests failed"]);
    let plain = on_terminal(&world, 80, &[("NO_COLOR", "1")], &["restart", "webA"]);
    assert_says(&plain, 0, &["✓ restarted", "0 requests failed"]);
    assert!(!plain.stdout.contains("[32m") && !plain.stdout.contains("[1;"), "{:?}", plain.stdout);
}

#[test]
fn on_a_narrow_terminal_the_living_line_keeps_to_its_width() {
    let world = world();
    world.apps[0].at_next_start(&["--ready-after=700"]);
    let shown = on_terminal(&world, 40, &[("NO_COLOR", "1")], &["restart", "webA"]);
    assert_says(&shown, 0, &["proving: GET http", "✓ proven healthy"]);
    let living = shown.stdout.split(['\r', '\n']).filter(|line| line.contains("proving:"));
    for line in living {
        let visible = line.replace("\x1b[2K", "").replace("\x1b[1B", "").replace("\x1b[1A", "");
        assert!(visible.trim_end().chars().count() <= 40, "{visible:?}");
    }
}

#[test]
fn in_a_log_there_is_a_line_a_phase_and_nothing_of_a_terminal() {
    let world = world();
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(0);
    let phases: Vec<&str> = outcome.stderr.lines().map(|line| line.split(" (").next().unwrap()).collect();
    assert_eq!(phases, ["✓ out", "✓ drained", "✓ restarted", "✓ proven healthy", "✓ in", "✓ held"]);
    assert!(!crate::scene::said(&outcome).contains('\x1b'));
    assert!(outcome.stdout.ends_with("0 requests failed\n"), "{}", outcome.stdout);
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let pitstop = Pitstop::new("");
    let help = pitstop.run(&["--help"]);
    assert_says(&help, 0, &["restart", "out", "in", "status", "check", "Exit codes:", "7  stuck"]);
    let help = pitstop.run(&["restart", "--help"]);
    assert_says(&help, 0, &["<APP>", "--dry-run", "--reason", "--force", "Exit codes:"]);
    assert!(!help.stdout.contains("--adopt-rules"), "{}", help.stdout);
    assert_says(&pitstop.run(&["in", "--help"]), 0, &["--adopt-rules"]);
}

#[test]
fn completions_are_scripts_that_their_shells_can_read() {
    let pitstop = Pitstop::new("");
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let outcome = pitstop.run(&["completions", shell]);
        assert_says(&outcome, 0, &["pitstop", "restart", "dry-run"]);
        let script = pitstop.state().join(shell);
        std::fs::write(&script, &outcome.stdout).unwrap();
        // Not every host has every shell.
        if let Ok(status) = Command::new(shell).arg(check).arg(&script).status() {
            assert!(status.success(), "{shell}");
        }
    }
}

#[test]
fn the_man_pages_can_be_rendered() {
    let pitstop = Pitstop::new("");
    let folder = pitstop.state();
    pitstop.run(&["man", folder.to_str().unwrap()]).assert_code(0);
    for page in
        ["pitstop.1", "pitstop-restart.1", "pitstop-out.1", "pitstop-in.1", "pitstop-status.1", "pitstop-check.1"]
    {
        let page = folder.join(page);
        assert!(page.exists(), "{}", page.display());
        if let Ok(output) = Command::new("man").arg("-l").arg(&page).env("MANPAGER", "cat").env("LC_ALL", "C").output()
        {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.to_lowercase().contains("pitstop"), "{}: {text}", page.display());
        }
    }
    let missing = pitstop.run(&["man", "/nowhere/man"]);
    assert_says(&missing, 1, &["could not write to /nowhere/man"]);
}

#[test]
fn a_haproxy_that_hangs_in_the_drain_is_owing_with_the_app_running_and_the_way_back_told() {
    let world = world();
    let load = integration::load::Load::start(&integration::load::Options {
        long: 1,
        long_max: 3000,
        long_exactly: true,
        think: 0,
        ..integration::load::Options::nobody(world.frontend())
    });
    let busy = || world.servers(0).iter().any(|server| world.haproxy.in_flight(server) > 0).then_some(());
    wait::until("a request in flight on webA", Duration::from_secs(20), busy);
    let pid = world.apps[0].pid();
    let run = world.pitstop.start(&["restart", "webA"]);
    wait::until("webA is out", Duration::from_secs(5), || (world.haproxy.status("srvs/webA") != "UP").then_some(()));
    let worker = nix::unistd::Pid::from_raw(world.haproxy.pid().unwrap());
    nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let outcome = run.wait();
    nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGCONT).unwrap();
    let wanted =
        ["✗ not undone", "`pitstop in webA`", "webA is NOT known to be back on lb1", "at least 0 requests failed"];
    assert_says(&outcome, 6, &wanted);
    assert_eq!(world.apps[0].pid(), pid);
    world.pitstop.run(&["in", "webA"]).assert_code(0);
    world.haproxy.wait_for_status("srvs/webA", "UP", Duration::from_secs(5));
    load.stop();
}
