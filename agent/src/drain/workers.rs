//! The witness of old workers: after a reload, what HAProxy's former processes still have in flight, seen through the
//! master's socket.
//!
//! An old worker serves what it has to the end, and shows nothing of it in the counters of the new one. Its configuration is that
//! of before the reload, so the app's entries are looked up by name in each. HAProxy 2.4 and before show no row of an old
//! worker's servers; its streams are counted instead.
//!
//! What this can't see: a client's idle connection in an old worker, on which one more request may come. HAProxy closes those at
//! the reload; 2.2 does not, nor does a later one with `option idle-close-on-response`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Left, Sighting};
use crate::config::settings::{App, Balancer};
use crate::haproxy::{Error, ErrorKind, Limits, MasterClient, Name, ProcessKind, ServerId, ServerState, Stage};

/// How long a look counts at least. The master has ten places, and others need them as well.
const LOOK: Duration = Duration::from_millis(250);

/// After a slow look, how many times as long it counts.
const SLOW: u32 = 4;

/// How many old workers are asked at most; where there are more, reloads come faster than their clients leave.
const MOST: usize = 32;

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    write: Duration::from_millis(500),
    read: Duration::from_secs(1),
    answer: crate::haproxy::MAX_ANSWER,
};

/// Looks at the old workers of one balancer for the entries of one app.
#[derive(Debug)]
pub struct OldWorkers {
    balancer: String,
    master: MasterClient,
    entries: Vec<ServerId>,
    /// The entries that each old worker has. Its configuration does not change any more.
    known: BTreeMap<u32, Vec<ServerState>>,
    /// Old workers that did not answer. Each client that leaves one may cost the master a place, so they are not asked again.
    stuck: BTreeSet<u32>,
    last: Option<Look>,
}

/// What the old workers of one balancer have in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// One for each old worker that could be asked.
    pub sightings: Vec<Sighting>,
    /// What could not be seen, and why; a line each.
    pub unseen: Vec<String>,
}

impl Seen {
    /// Whether there is no old worker that could not be asked.
    pub fn is_complete(&self) -> bool {
        self.unseen.is_empty()
    }
}

#[derive(Debug)]
struct Look {
    worker: u32,
    until: Instant,
    seen: Seen,
}

impl OldWorkers {
    /// The old workers of `balancer`; `None` where it has no master socket.
    pub fn new(app: &App, balancer: &Balancer) -> Option<Self> {
        Some(Self {
            balancer: balancer.name.to_string(),
            master: MasterClient::new(balancer.master.clone()?).with_limits(LIMITS),
            entries: app.servers.iter().chain(&app.backups).cloned().collect(),
            known: BTreeMap::new(),
            stuck: BTreeSet::new(),
            last: None,
        })
    }

    /// The balancer's name in `pitstop.toml`.
    pub fn balancer(&self) -> &str {
        &self.balancer
    }

    /// What they have in flight, beside `worker`, the process that answers on the admin socket. Asked at most every 250 ms, and
    /// again at once when `worker` is another one: between two looks the last one is given again, for an old worker seldom
    /// gets anything new.
    ///
    /// Never fails: what can't be seen is said, and is not quiet.
    pub async fn look(&mut self, worker: u32) -> Seen {
        if let Some(last) = &self.last
            && last.worker == worker
            && Instant::now() < last.until
        {
            return last.seen.clone();
        }
        let began = Instant::now();
        let seen = self.ask(worker).await;
        let until = Instant::now() + LOOK.max(began.elapsed() * SLOW);
        self.last = Some(Look { worker, until, seen: seen.clone() });
        seen
    }

    async fn ask(&mut self, worker: u32) -> Seen {
        let mut seen = Seen::default();
        let processes = match self.master.show_proc().await {
            Ok(processes) => processes,
            Err(error) => {
                seen.unseen.push(format!("{}'s old workers: {error}", self.balancer));
                return seen;
            }
        };
        let is_worker = |kind| matches!(kind, ProcessKind::Worker | ProcessKind::OldWorker);
        if !processes.iter().any(|process| process.pid == worker && is_worker(process.kind)) {
            // Another HAProxy's master, or a reload is under way.
            seen.unseen.push(format!("{}'s old workers: its master does not list worker {worker}", self.balancer));
        }
        let old = processes.iter().filter(|process| process.kind == ProcessKind::OldWorker);
        let old: BTreeSet<u32> = old.map(|process| process.pid).filter(|pid| *pid != worker).collect();
        self.known.retain(|pid, _| old.contains(pid));
        self.stuck.retain(|pid| old.contains(pid));
        for pid in old.iter().copied().take(MOST) {
            let witness = format!("{}'s old worker {pid}", self.balancer);
            if self.stuck.contains(&pid) {
                seen.unseen.push(format!("{witness}: it did not answer"));
                continue;
            }
            match self.left_in(pid).await {
                Ok(left) => seen.sightings.push(Sighting { witness, pid: Some(pid), left }),
                Err(Error { kind: ErrorKind::NoSuchWorker(_), .. }) => {}
                Err(error) => {
                    if matches!(error.kind, ErrorKind::Timeout(Stage::Read)) {
                        self.stuck.insert(pid);
                    }
                    seen.unseen.push(format!("{witness}: {error}"));
                }
            }
        }
        if old.len() > MOST {
            seen.unseen.push(format!("{}: {} more old workers", self.balancer, old.len() - MOST));
        }
        seen
    }

    async fn left_in(&mut self, pid: u32) -> Result<Vec<Left>, Error> {
        let entries = match self.known.get(&pid) {
            Some(entries) => entries,
            None => {
                let entries = self.entries_of(pid).await?;
                self.known.entry(pid).or_insert(entries)
            }
        };
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = entries.iter().map(|entry| (entry.backend_id, entry.server_id)).collect();
        let rows = self.master.worker_rows(pid, &ids).await?;
        let row = |id: &ServerId| rows.iter().find(|row| row.is(id));
        let sessions = match entries.iter().all(|entry| row(&entry.id).is_some()) {
            true => Vec::new(),
            false => self.master.worker_sessions(pid).await?,
        };
        let left = entries.iter().map(|entry| {
            let place = entry.id.to_string();
            match row(&entry.id) {
                Some(row) => Left { place, sessions: row.scur, queued: row.qcur },
                // One that waits in the server's queue has its server already, so it is among them.
                None => {
                    let here = sessions.iter().filter(|session| session.server.as_ref() == Some(&entry.id));
                    Left { place, sessions: here.map(|_| 1).sum(), queued: 0 }
                }
            }
        });
        Ok(left.filter(|left| left.sessions + left.queued > 0).collect())
    }

    /// The app's entries in an old worker, with the ids that they have there; one that came with the reload is not among them.
    async fn entries_of(&self, pid: u32) -> Result<Vec<ServerState>, Error> {
        let backends: BTreeSet<&Name> = self.entries.iter().map(|entry| &entry.backend).collect();
        let mut entries = Vec::new();
        for backend in backends {
            match self.master.worker_servers(pid, backend).await {
                Ok(servers) => entries.extend(servers.into_iter().filter(|server| self.entries.contains(&server.id))),
                Err(Error { kind: ErrorKind::NoSuchBackend(_), .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }
}
