//! Row 1: pitstop is killed, at any moment. What `scripts/sweep` does at every call of a run is done here at a few, spread from the
//! first to the last.

use std::process::{Command, Stdio};

use integration::binaries;

/// Kills at so many points of each of these sweeps, in a sandbox of its own, and recovers; nearly all of them must be come to.
fn assert_survived(sweeps: &str, points: usize) {
    let output = Command::new(binaries::ours("sweep"))
        .args(["--sweeps", sweeps, "--lanes", "1", "--sample", &points.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{}\n{}\n{}", output.status, said[0], said[1]);
}

#[test]
fn row_01_killed_at_any_call_of_a_restart_the_app_ends_in_and_healthy() {
    assert_survived("restart", 20);
}

#[test]
fn row_01_killed_at_any_call_of_out_or_in_the_app_ends_in_or_out_as_it_was_asked() {
    assert_survived("out,in", 6);
}

#[test]
fn row_01_killed_while_an_app_that_stayed_out_is_put_in_it_ends_in_and_healthy() {
    assert_survived("in-after-stays-out", 6);
}

#[test]
fn row_01_killed_while_an_app_never_becomes_ready_it_ends_out_and_said_aloud() {
    assert_survived("never-ready", 6);
}

#[test]
fn row_01_killed_while_it_undoes_everything_is_as_it_was_found() {
    assert_survived("drain-timeout", 5);
}

#[test]
fn row_01_a_recovery_that_is_killed_is_recovered_as_well() {
    assert_survived("recover-drain,recover-restart,recover-put-back", 5);
}

#[test]
fn row_01_a_child_that_is_killed_leaves_nothing_forgotten() {
    assert_survived("children,never-ready-children", 8);
}
