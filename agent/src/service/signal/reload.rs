//! Reloads: new workers under the same main process (`HUP`), or a successor that inherits the socket (`USR2`).

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use nix::sys::signal::Signal as Number;

use super::{Signal, hold, hold_all, note_gone, send, short};
use crate::drain::Pace;
use crate::process::{self, Handle, Process};
use crate::service::arrival::SETTLE;
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
        let mut pace = Pace::new();
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

    /// Has the main process start a successor, and ends it once the successor is ready: it and the same worker of it have held the
    /// socket for [`SETTLE`]; one without workers counts when a pid file names it.
    pub(super) async fn succeed(
        &self,
        signal: Number,
        old_signal: Number,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        let before = self.running().await?;
        catches(before.main, signal)?;
        let Some(main) = hold(before.main)? else {
            return Err(ended(before.main, signal));
        };
        let workers = hold_all(&before.workers)?;
        send(&main, signal, notify)?;
        let successor = self.successor(&before, &main, signal, deadline).await?;
        send(&main, old_signal, notify).map_err(ServiceError::after_a_touch)?;
        for handle in [&main].into_iter().chain(&workers) {
            self.await_end(handle, old_signal, deadline)
                .await
                .map_err(|mut error| {
                    error.what = format!("process {} serves, but {}", successor.pid, error.what);
                    error
                })?;
        }
        note_gone(before.main, notify);
        Ok(Identity {
            main: successor,
            invocation: None,
        })
    }

    async fn successor(
        &self,
        before: &Family,
        old: &Handle,
        signal: Number,
        deadline: Instant,
    ) -> Result<Process, ServiceError> {
        let known: HashSet<Process> = before
            .workers
            .iter()
            .copied()
            .chain([before.main])
            .collect();
        let mut seen: HashMap<Process, Instant> = HashMap::new();
        let mut candidate: Option<Process> = None;
        let mut pace = Pace::new();
        loop {
            if !is_alive(old)? {
                return Err(ended(before.main, signal));
            }
            let mut holders = self
                .finder
                .holders()
                .await
                .map_err(ServiceError::after_a_touch)?;
            holders.retain(|holder| !known.contains(holder));
            let now = Instant::now();
            seen.retain(|process, _| holders.contains(process));
            for holder in &holders {
                seen.entry(*holder).or_insert(now);
            }
            let settled = |process: &Process| {
                seen.get(process)
                    .is_some_and(|since| now - *since >= SETTLE)
            };
            let named = self.finder.named();
            for holder in &holders {
                let below = process::descendants_of(holder.pid).unwrap_or_default();
                let mut workers = holders
                    .iter()
                    .filter(|other| below.contains(other))
                    .peekable();
                let is_named = named.contains(holder);
                if is_named || workers.peek().is_some() {
                    candidate = Some(*holder);
                }
                let childless = is_named && workers.peek().is_none();
                if settled(holder) && (childless || workers.any(settled)) {
                    return Ok(*holder);
                }
            }
            let died = candidate.filter(|process| !process.is_alive().unwrap_or(true));
            if let Some(successor) = died {
                return Err(kept_on(
                    before,
                    format!(
                        "its successor, process {}, ended before it was ready",
                        successor.pid
                    ),
                ));
            }
            if now >= deadline {
                return Err(kept_on(
                    before,
                    match candidate {
                        Some(late) => format!("its successor, process {}, is not ready", late.pid),
                        None => format!("no successor came after {}", short(signal)),
                    },
                ));
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }
}

/// Refuses a signal that the process neither catches nor waits for: it would be ended by it, or not hear it.
pub(super) fn catches(process: Process, signal: Number) -> Result<(), ServiceError> {
    let pid = process.pid;
    let failed = |error: std::io::Error| {
        ServiceError::untouched(format!("could not read /proc/{pid}/status")).because(error)
    };
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
        std::fs::read(format!("/proc/{pid}/status"))
            .map(|bytes| Self(String::from_utf8_lossy(&bytes).into_owned()))
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
            ServiceError::touched(format!("could not read /proc/{}/status", now.main.pid))
                .because(error)
        })?;
        let pending = status.has("ShdPnd:", signal) || status.has("SigPnd:", signal);
        return Ok(now.listens && !pending);
    }
    let old = |worker: &Process| before.workers.contains(worker);
    Ok(!now.workers.is_empty() && !now.workers.iter().any(old))
}

fn is_alive(handle: &Handle) -> Result<bool, ServiceError> {
    handle
        .process()
        .is_alive()
        .map_err(|error| ServiceError::touched("could not read /proc").because(error))
}

fn ended(process: Process, signal: Number) -> ServiceError {
    ServiceError::touched(format!(
        "the main process {} ended instead of obeying {}",
        process.pid,
        short(signal)
    ))
    .with_hint("look into the app's log")
}

/// The reload has not happened by the deadline; when all is as before, nothing was touched.
fn not_reloaded(
    before: &Family,
    found: Result<Option<Family>, ServiceError>,
    signal: Number,
) -> ServiceError {
    let now = match found {
        Ok(Some(now)) => now,
        Ok(None) => return ServiceError::touched("the app no longer holds its port"),
        Err(error) => return error.after_a_touch(),
    };
    if now == *before {
        return kept_on(
            before,
            format!("it did not replace them after {}", short(signal)),
        );
    }
    let left: Vec<Process> = (now.workers.iter())
        .filter(|worker| before.workers.contains(worker))
        .copied()
        .collect();
    ServiceError::touched(format!(
        "the reload is not over: of the old workers, {} still hold the listening socket",
        family::show(&left)
    ))
    .with_hint("look into the app's log")
}

fn kept_on(before: &Family, what: String) -> ServiceError {
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
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
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
