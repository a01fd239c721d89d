//! Reloads in place: new workers under the same main process (`HUP`).

use std::time::Instant;

use nix::sys::signal::Signal as Number;

use super::{Signal, hold, send, short};
use crate::drain::Pace;
use crate::process::{Handle, Process};
use crate::service::family::{self, Family};
use crate::service::{Identity, Notify, ServiceError};

impl Signal {
    /// Reloads in place.
    ///
    /// It has happened when the same main process is there, holders other than it are there, and none of them held the socket
    /// before the signal. Old workers that have given up the socket may finish their work for as long as they like.
    ///
    /// An app of one process shows nothing of the kind: there it has happened when the signal is no longer pending and the port
    /// is still held. The probes are the proof.
    pub(super) async fn reload(
        &self,
        signal: Number,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        let before = self.running().await?;
        catches(before.main, signal)?;
        let Some(main) = hold(before.main)? else {
            return Err(ended(before.main, signal));
        };
        send(&main, signal, notify)?;
        let pace = Pace::new();
        loop {
            if !is_alive(&main)? {
                return Err(ended(before.main, signal));
            }
            let found = self.finder.find().await;
            if let Ok(Some(now)) = &found
                && now.main == before.main
                && reloaded(&before, now, signal)?
            {
                return Ok(now.identity());
            }
            if Instant::now() >= deadline {
                return Err(not_reloaded(&before, found, signal));
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }
}

/// Refuses a signal that the process neither catches nor waits for: it would be ended by it, or not hear it.
pub(super) fn catches(process: Process, signal: Number) -> Result<(), ServiceError> {
    let pid = process.pid;
    let failed =
        |error: std::io::Error| ServiceError::untouched(format!("could not read /proc/{pid}/status")).because(error);
    let status = Status::read(pid).map_err(failed)?;
    if status.has("SigCgt:", signal) || status.has("SigBlk:", signal) {
        return Ok(());
    }
    Err(ServiceError::untouched(format!(
        "process {pid} does not catch {}: it would be ended by it, or ignore it",
        short(signal)
    ))
    .with_hint("set reload_signal to what the app reloads at, or use action = \"restart\""))
}

/// `/proc/PID/status` (proc(5)).
struct Status(String);

impl Status {
    fn read(pid: u32) -> std::io::Result<Self> {
        std::fs::read(format!("/proc/{pid}/status")).map(|bytes| Self(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Whether the signal is in this mask: bit 0 is signal 1.
    fn has(&self, mask: &str, signal: Number) -> bool {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(mask))
            .and_then(|hexadecimal| u64::from_str_radix(hexadecimal.trim(), 16).ok())
            .is_some_and(|bits| bits >> (signal as i32 - 1) & 1 == 1)
    }
}

fn reloaded(before: &Family, now: &Family, signal: Number) -> Result<bool, ServiceError> {
    if before.workers.is_empty() && now.workers.is_empty() {
        let status = Status::read(now.main.pid).map_err(|error| {
            ServiceError::touched(format!("could not read /proc/{}/status", now.main.pid)).because(error)
        })?;
        let pending = status.has("ShdPnd:", signal) || status.has("SigPnd:", signal);
        return Ok(now.listens && !pending);
    }
    Ok(now.has_only_new_workers(before))
}

pub(super) fn is_alive(handle: &Handle) -> Result<bool, ServiceError> {
    handle.process().is_alive().map_err(|error| ServiceError::touched("could not read /proc").because(error))
}

pub(super) fn ended(process: Process, signal: Number) -> ServiceError {
    ServiceError::touched(format!("the main process {} ended instead of obeying {}", process.pid, short(signal)))
        .with_hint("look into the app's log")
}

/// The reload has not happened by the deadline; when all is as before, nothing was touched.
fn not_reloaded(before: &Family, found: Result<Option<Family>, ServiceError>, signal: Number) -> ServiceError {
    let now = match found {
        Ok(Some(now)) => now,
        Ok(None) => return ServiceError::touched("the app no longer holds its port"),
        Err(error) => return error.after_a_touch(),
    };
    if now == *before {
        return kept_on(before, format!("it did not replace them after {}", short(signal)));
    }
    let left: Vec<Process> = (now.workers.iter()).filter(|worker| before.workers.contains(worker)).copied().collect();
    ServiceError::touched(format!(
        "the reload is not over: of the old workers, {} still hold the listening socket",
        family::show(&left)
    ))
    .with_hint("look into the app's log")
}

pub(super) fn kept_on(before: &Family, what: String) -> ServiceError {
    ServiceError::untouched(format!(
        "the app goes on as before with process {} and {} workers: {what}",
        before.main.pid,
        before.workers.len()
    ))
    .with_hint("look into the app's log: an app that does not like its new code or configuration keeps the old")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_signal_that_would_end_the_process_is_refused() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::read(child.id()).unwrap().unwrap();
        let refused = catches(process, Number::SIGHUP).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!refused.touched);
    }

    #[test]
    fn masks_count_from_signal_one() {
        let status = Status("SigCgt:\t0000000000000001\nSigBlk:\t0000000000000800\n".to_owned());
        assert!(status.has("SigCgt:", Number::SIGHUP));
        assert!(!status.has("SigCgt:", Number::SIGINT));
        assert!(status.has("SigBlk:", Number::SIGUSR2));
    }
}
