//! One run of iptables that never outlives its owner: whoever gives it up, by a time limit or by being dropped, has it killed and
//! gone. What was not carried out by then never is.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::process::Output;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use iptables::IPTables;
use nix::unistd::{Pid, gettid};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::task::JoinHandle;

/// How long the kernel may take to end a killed program: it finishes the change that it is at.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Between two looks for a child that the thread may be about to start.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A run that was begun. Its child belongs to a thread of its own, which waits for it.
#[derive(Debug)]
pub(super) struct Invocation {
    output: JoinHandle<io::Result<Output>>,
    thread: Arc<OnceLock<Pid>>,
    /// Disconnected once the thread is done with the child, or never comes to start it.
    done: mpsc::Receiver<Infallible>,
}

impl Invocation {
    /// Starts `program` on `table`.
    pub(super) fn begin(program: &'static str, table: &'static str, command: String) -> Self {
        // The crate's own `--wait` waits for ever; `-w SECONDS` is part of the command.
        let runner = IPTables { cmd: program, has_check: true, has_wait: false, is_numeric: true };
        let thread = Arc::new(OnceLock::new());
        let (held, done) = mpsc::channel();
        let announced = Arc::clone(&thread);
        let output = tokio::task::spawn_blocking(move || {
            let _held = held;
            announced.get_or_init(gettid);
            runner.execute(table, &command).map_err(|error| match error.downcast::<io::Error>() {
                Ok(error) => *error,
                Err(other) => io::Error::other(other.to_string()),
            })
        });
        Self { output, thread, done }
    }

    /// What it printed, and how it ended; `None` when it has not by the end of `limit`.
    pub(super) async fn output(&mut self, limit: Duration) -> Option<io::Result<Output>> {
        let joined = tokio::time::timeout(limit, &mut self.output).await.ok()?;
        Some(joined.unwrap_or_else(|error| Err(io::Error::other(error))))
    }

    /// Kills it, and waits until it is gone; `false` when the kernel does not let go of it.
    pub(super) async fn end(self) -> bool {
        tokio::task::spawn_blocking(move || self.kill()).await.unwrap_or(false)
    }

    fn kill(&self) -> bool {
        self.output.abort();
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            match self.done.recv_timeout(LOOK_AGAIN) {
                Ok(never) => match never {},
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return false,
                Err(RecvTimeoutError::Timeout) => {
                    self.thread.get().into_iter().for_each(|thread| kill_children(*thread))
                }
            }
        }
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A child that is still listed after the hold on its pid was taken is the one held.
fn kill_children(thread: Pid) {
    for child in children(thread) {
        let Some(pid) = rustix::process::Pid::from_raw(child) else { continue };
        let Ok(hold) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if children(thread).contains(&child) {
            // That it is gone by itself shows in the thread.
            let _ = pidfd_send_signal(hold, Signal::KILL);
        }
    }
}

/// The children that a thread of ours has started and not waited for: `/proc/PID/task/TID/children`, proc(5).
fn children(thread: Pid) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/self/task/{thread}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A program that takes `-t`, and then does not end.
    fn hang() -> Invocation {
        Invocation::begin("nsenter", "1", "sleep 600".into())
    }

    async fn child_of(hung: &Invocation) -> i32 {
        loop {
            if let Some(child) = hung.thread.get().and_then(|thread| children(*thread).first().copied()) {
                return child;
            }
            tokio::task::yield_now().await;
        }
    }

    fn is_gone(child: i32) -> bool {
        !std::path::Path::new(&format!("/proc/{child}")).exists()
    }

    #[tokio::test]
    async fn what_is_not_done_in_time_is_gone_when_that_is_said() {
        let mut hung = hang();
        let child = child_of(&hung).await;
        assert!(hung.output(Duration::from_millis(20)).await.is_none());
        assert!(!is_gone(child));
        assert!(hung.end().await);
        assert!(is_gone(child));
    }

    #[tokio::test]
    async fn what_is_given_up_is_gone_whenever_that_was() {
        let hung = hang();
        let child = child_of(&hung).await;
        drop(hung);
        assert!(is_gone(child));
        for _ in 0..20 {
            let hung = hang();
            let thread = Arc::clone(&hung.thread);
            drop(hung);
            assert_eq!(thread.get().map(|thread| children(*thread)).unwrap_or_default(), [0; 0]);
        }
    }

    #[tokio::test]
    async fn what_ends_by_itself_tells_how() {
        let mut run = Invocation::begin("echo", "nat", "-S".into());
        let output = run.output(Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(output.stdout, b"-t nat -S\n");
        let mut missing = Invocation::begin("no-such-program", "nat", "-S".into());
        let error = missing.output(Duration::from_secs(60)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
