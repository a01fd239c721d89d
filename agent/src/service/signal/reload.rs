//! Reloads: new workers under the same main process (`HUP`), or a successor that inherits the socket (`USR2`).

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use nix::sys::signal::Signal as Number;

use super::{Signal, hold, hold_all, note_gone, send, short};
use crate::drain::Pace;
use crate::process::{Handle, Process};
use crate::service::arrival::SETTLE;
use crate::service::family::{self, Family, Holder};
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

    /// Has the main process start a successor, and ends it once the successor is ready: it and the same worker of it have held the
    /// socket, at rest, for [`SETTLE`]; one without workers counts when a pid file names it.
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
        let mut search = Search::new(&before);
        let successor = match self.successor(&mut search, &main, signal, deadline).await {
            Ok(successor) => successor,
            Err(error) => {
                end_failed(search.candidate, old_signal, notify);
                return Err(error);
            }
        };
        send(&main, old_signal, notify).map_err(ServiceError::after_a_touch)?;
        for handle in [&main].into_iter().chain(&workers) {
            self.await_end(handle, old_signal, deadline).await.map_err(|mut error| {
                error.what = format!("process {} serves, but {}", successor.pid, error.what);
                error
            })?;
        }
        note_gone(before.main, notify);
        Ok(Identity { main: successor, invocation: None })
    }

    async fn successor(
        &self,
        search: &mut Search<'_>,
        old: &Handle,
        signal: Number,
        deadline: Instant,
    ) -> Result<Process, ServiceError> {
        let pace = Pace::new();
        loop {
            if !is_alive(old)? {
                return Err(ended(old.process(), signal));
            }
            let holders = self.finder.holders().await;
            let holders = holders.map_err(ServiceError::after_a_touch)?;
            if let Some(ready) = search.look(holders, &self.finder.named()) {
                return Ok(ready);
            }
            let late = Instant::now() >= deadline;
            match search.candidate {
                Some(Process { pid, .. }) if search.candidate_died() => {
                    let what = format!("its successor, process {pid}, ended before it was ready");
                    return Err(kept_on(search.before, what));
                }
                Some(Process { pid, .. }) if late => {
                    let what = format!("its successor, process {pid}, did not become ready");
                    return Err(kept_on(search.before, what));
                }
                None if late => {
                    let what = format!("no successor came after {}", short(signal));
                    return Err(kept_on(search.before, what));
                }
                _ => tokio::time::sleep(pace.pause()).await,
            }
        }
    }
}

/// Processor time, in ticks of 10 ms, that an idle worker's heartbeat may use meanwhile.
const IDLE_TICKS: u64 = 3;

/// The search for a successor among those that hold the listening socket.
struct Search<'a> {
    before: &'a Family,
    /// New holders, since when they have rested, and how much processor time they had used then.
    seen: HashMap<Process, (Instant, u64)>,
    /// Those that had a worker at some time.
    masters: HashSet<Process>,
    /// The successor, ready or not.
    candidate: Option<Process>,
}

impl<'a> Search<'a> {
    fn new(before: &'a Family) -> Self {
        Self { before, seen: HashMap::new(), masters: HashSet::new(), candidate: None }
    }

    /// One look; the successor if it is ready.
    fn look(&mut self, mut holders: Vec<Holder>, named: &[Process]) -> Option<Process> {
        let before = self.before;
        holders.retain(|Holder { process, .. }| *process != before.main && !before.workers.contains(process));
        let now = Instant::now();
        self.seen.retain(|process, _| holders.iter().any(|holder| holder.process == *process));
        for holder in &holders {
            let process = holder.process;
            let rest = process.ticks_at_rest().unwrap_or_default();
            let rested = self.seen.entry(process).or_insert((now, 0));
            // One that still loads its code may yet fail, however long a busy host makes that last.
            if rest.is_none_or(|ticks| ticks > rested.1 + IDLE_TICKS) {
                *rested = (now, rest.unwrap_or(rested.1));
            }
        }
        holders.iter().find(|holder| self.is_ready(holder, named)).map(|holder| holder.process)
    }

    fn is_ready(&mut self, holder: &Holder, named: &[Process]) -> bool {
        let process = holder.process;
        if !holder.below.is_empty() {
            self.masters.insert(process);
        }
        let is_master = self.masters.contains(&process);
        if !is_master && !named.contains(&process) {
            return false;
        }
        self.candidate = Some(process);
        // A master whose workers come and go is not one that works without any.
        let serves = !is_master || holder.below.iter().any(|worker| self.settled(worker));
        serves && self.settled(&process)
    }

    fn settled(&self, process: &Process) -> bool {
        self.seen.get(process).is_some_and(|(since, _)| since.elapsed() >= SETTLE)
    }

    fn candidate_died(&self) -> bool {
        self.candidate.is_some_and(|process| !process.is_alive().unwrap_or(true))
    }
}

/// Ends a successor that did not become ready: with it there, the app would not hear the next signal for one.
fn end_failed(successor: Option<Process>, signal: Number, notify: Notify<'_>) {
    let ended = match successor.map(hold) {
        Some(Ok(Some(handle))) => send(&handle, signal, notify),
        Some(Err(error)) => Err(error),
        Some(Ok(None)) | None => Ok(()),
    };
    if let Err(error) = ended {
        tracing::warn!(%error, "a successor that did not become ready is still there");
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

fn is_alive(handle: &Handle) -> Result<bool, ServiceError> {
    handle.process().is_alive().map_err(|error| ServiceError::touched("could not read /proc").because(error))
}

fn ended(process: Process, signal: Number) -> ServiceError {
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
