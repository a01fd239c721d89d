//! Command probes.

use std::path::Path;
use std::time::{Duration, Instant};

use pitstop::config::settings::ProbeKind;

use crate::support::*;

fn shell(script: &str) -> ProbeKind {
    ProbeKind::Command(["sh", "-c", script].map(str::to_owned).to_vec())
}

/// Whether the process whose pid the file holds is there and no zombie.
fn lives(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// Waits until the process is gone: a kill takes its effect a moment after the call.
async fn gone(pid_file: &Path) {
    let start = Instant::now();
    while lives(pid_file) {
        assert!(start.elapsed() < Duration::from_secs(2), "it still lives");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn exit_0_passes_and_any_other_is_explained_by_the_last_line() {
    in_own_namespace(|| async {
        assert_eq!(once(shell("exit 0")).await, Ok(()));
        assert_eq!(failure(shell("exit 3")).await, "exit 3");
        let script = "echo one; printf 'database is \\033[31mdown\\n\\n' >&2; exit 1";
        assert_eq!(failure(shell(script)).await, r"exit 1: database is \u{1b}[31mdown");
        assert_eq!(failure(shell("kill -9 $$")).await, "ended by SIGKILL");
        let missing = ProbeKind::Command(vec!["/nonexistent".to_owned()]);
        assert_eq!(failure(missing).await, "can't run /nonexistent: No such file or directory");
    });
}

#[test]
fn it_has_no_input_to_wait_for() {
    in_own_namespace(|| async {
        assert_eq!(once(shell("! read line")).await, Ok(()));
    });
}

#[test]
fn a_command_that_hangs_and_ignores_term_is_killed_with_its_children() {
    in_own_namespace(|| async {
        let dir = tempfile::tempdir().unwrap();
        let (parent, child) = (dir.path().join("parent"), dir.path().join("child"));
        let script = format!(
            "trap '' TERM; sleep 1000 & echo $! >{}; echo $$ >{}; echo salvaging; while :; do wait; sleep 1; done",
            child.display(),
            parent.display()
        );
        let start = Instant::now();
        assert_eq!(failure(shell(&script)).await, "no exit within 2 s: salvaging");
        assert!(start.elapsed() < Duration::from_millis(2500));
        gone(&parent).await;
        gone(&child).await;
    });
}

#[test]
fn a_try_that_is_dropped_leaves_nothing_running() {
    in_own_namespace(|| async {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("echo $$ >{}.new; mv {0}.new {0}; sleep 1000", pid.display());
        let probe = shell(&script);
        tokio::select! {
            _ = once(probe) => panic!("it ended"),
            () = async { while !pid.exists() { tokio::time::sleep(Duration::from_millis(1)).await; } } => {}
        }
        gone(&pid).await;
    });
}

#[test]
fn a_child_left_behind_neither_delays_the_pass_nor_stays() {
    in_own_namespace(|| async {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! >{}", pid.display());
        let start = Instant::now();
        assert_eq!(once(shell(&script)).await, Ok(()));
        assert!(start.elapsed() < Duration::from_secs(1));
        gone(&pid).await;
    });
}

#[test]
fn a_child_in_a_session_of_its_own_does_not_delay_the_answer() {
    in_own_namespace(|| async {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!(
            "setsid sh -c 'echo $$ >{}; exec sleep 30' & while ! [ -s {0} ]; do :; done; echo no; exit 1",
            pid.display()
        );
        let start = Instant::now();
        assert_eq!(failure(shell(&script)).await, "exit 1: no");
        assert!(start.elapsed() < Duration::from_secs(1));
        let left = std::fs::read_to_string(&pid).unwrap();
        run("kill", &["-KILL", left.trim()]);
    });
}

#[test]
fn output_without_end_neither_blocks_nor_fills_memory() {
    in_own_namespace(|| async {
        let script = "head -c 200000000 /dev/zero; echo; echo the end; exit 1";
        assert_eq!(failure(shell(script)).await, "exit 1: the end");
        assert_eq!(once(shell("head -c 1000000 /dev/zero")).await, Ok(()));
    });
}
