//! Reloads by succession: the main process starts a successor that inherits the socket (`USR2`), and is then ended.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use nix::sys::signal::Signal as Number;

use super::reload::{catches, ended, is_alive, kept_on};
use super::{Signal, hold, hold_all, note_gone, send, short};
use crate::drain::Pace;
use crate::process::{Handle, Process};
use crate::service::arrival::{Origin, SETTLE};
use crate::service::family::{Family, Holder};
use crate::service::left::Left;
use crate::service::{Identity, Notify, ServiceError};

impl Signal {
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
        send(&main, signal, notify)?;
        self.hand_over(&main, Search::new(&before, false), signal, old_signal, deadline, notify).await
    }

    /// Finishes a succession of a run that died. A successor that a pid file names is there already, and the old main process may have
    /// been told to end; otherwise it is asked for one, again perhaps: it does not hear that while one boots.
    pub(super) async fn finish_succession(
        &self,
        left: &Left,
        signal: Number,
        old_signal: Number,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        if left.before.is_none() {
            return self.succeed(signal, old_signal, deadline, notify).await;
        }
        if let Some(old) = left.old()?
            && let Some(main) = hold(old)?
        {
            let before = self.finder.of(old).await?;
            if self.finder.named().iter().all(|named| *named == old) {
                catches(old, signal)?;
                send(&main, signal, notify)?;
            }
            match self.hand_over(&main, Search::new(&before, true), signal, old_signal, deadline, notify).await {
                // It had been told to end.
                Err(_) if !is_alive(&main)? => {}
                over => return over,
            }
        }
        left.arrival(&self.finder, Origin::Any, deadline).await?.ok_or_else(|| {
            ServiceError::touched("the app does not run any more, and a reload does not start it")
                .with_hint("start it, then put it in")
        })
    }

    /// Waits for the successor, then ends the old main process.
    async fn hand_over(
        &self,
        main: &Handle,
        mut search: Search<'_>,
        signal: Number,
        old_signal: Number,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        let successor = match self.successor(&mut search, main, signal, deadline).await {
            Ok(successor) => successor,
            Err(error) => {
                // Without the old one it is all there is of the app.
                if is_alive(main)? {
                    end_failed(search.candidate, old_signal, notify);
                }
                return Err(error);
            }
        };
        let workers = self.old_workers(main.process(), successor).await.map_err(ServiceError::after_a_touch)?;
        send(main, old_signal, notify).map_err(ServiceError::after_a_touch)?;
        for handle in [main].into_iter().chain(&workers) {
            self.await_end(handle, old_signal, deadline).await.map_err(|mut error| {
                error.what = format!("process {} serves, but {}", successor.pid, error.what);
                error
            })?;
        }
        note_gone(main.process(), notify);
        Ok(Identity { main: successor, invocation: None })
    }

    /// The old main process's own workers; its successor descends from it as well.
    async fn old_workers(&self, old: Process, successor: Process) -> Result<Vec<Handle>, ServiceError> {
        let successors = self.finder.of(successor).await?.workers;
        let mut workers = self.finder.of(old).await?.workers;
        workers.retain(|worker| *worker != successor && !successors.contains(worker));
        hold_all(&workers)
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
    /// Whether only one that a pid file names counts, for who of the others was a worker before is not known.
    named_only: bool,
    /// New holders, since when they have rested, and how much processor time they had used then.
    seen: HashMap<Process, (Instant, u64)>,
    /// Those that had a worker at some time.
    masters: HashSet<Process>,
    /// The successor, ready or not.
    candidate: Option<Process>,
}

impl<'a> Search<'a> {
    fn new(before: &'a Family, named_only: bool) -> Self {
        Self { before, named_only, seen: HashMap::new(), masters: HashSet::new(), candidate: None }
    }

    /// One look; the successor if it is ready.
    fn look(&mut self, mut holders: Vec<Holder>, named: &[Process]) -> Option<Process> {
        let before = self.before;
        let known = |process: &Process| !self.named_only && before.workers.contains(process);
        holders.retain(|Holder { process, .. }| *process != before.main && !known(process));
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
        if !(named.contains(&process) || is_master && !self.named_only) {
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
