//! HAProxy's admin state: `drain`, `maint` and `ready` over an app's main and backup entries on one balancer.
//!
//! Here is what is looked at; `ownership` knows whose maintenance is whose, `moves` how entries are moved.

mod moves;
mod ownership;
mod poll;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

pub use self::poll::Poll;
use super::guard::Count;
use super::{Move, RotationError};
use crate::config::settings::{App, Balancer, PutBack};
use crate::drain::Pace;
use crate::haproxy::{
    self, Client, ErrorKind, Kinds, Name, OperationalState, ServerId, ServerState, StatRow, StatScope, Status, Weight,
};
use crate::journal::Found;

/// How long a dying worker or a busy socket is tried again.
const PATIENCE: Duration = Duration::from_secs(2);

/// An app's entries on one balancer.
#[derive(Debug)]
pub struct Admin {
    name: String,
    client: Client,
    entries: Vec<Entry>,
    put_back: PutBack,
    /// Percent of the full weight at put-back.
    ramp_from: Option<u8>,
    /// Only looks, never writes: the redirect alone takes the app out.
    read_only: bool,
    /// What a reload would have to be told again.
    asserted: Option<Move>,
    /// Whether anything was sent that undo has to restore.
    touched: bool,
    /// The process that answered the last poll, and the status of each entry then.
    last: Option<(u32, Vec<Status>)>,
    /// The process that answered the last read of the states; `None` where several did.
    stated_by: Option<u32>,
}

#[derive(Debug, Clone)]
struct Entry {
    server: ServerId,
    backup: bool,
    /// Proxy id and server id for targeted `show stat`; they may change at a reload.
    ids: (u32, u32),
    found: Option<Found>,
    /// Whether a run that died has put it in maintenance already: `drain` would let those who stick come back.
    out_already: bool,
    /// How often checks had taken it down when it was put back, by the count of the process with this id.
    downs: Option<(u32, u64)>,
}

impl Admin {
    /// The app's entries on `balancer`; `None` where it has no socket.
    pub fn new(app: &App, balancer: &Balancer) -> Option<Self> {
        let client = Client::new(balancer.socket.clone()?);
        let entry = |backup| {
            move |server: &ServerId| Entry {
                server: server.clone(),
                backup,
                ids: (0, 0),
                found: None,
                out_already: false,
                downs: None,
            }
        };
        let mains = app.servers.iter().map(entry(false));
        let entries = mains.chain(app.backups.iter().map(entry(true))).collect();
        Some(Self {
            name: balancer.name.to_string(),
            client,
            entries,
            put_back: app.put_back,
            ramp_from: app.ramp.as_ref().map(|ramp| ramp.from),
            read_only: app.redirect.as_ref().is_some_and(|redirect| redirect.alone),
            asserted: None,
            touched: false,
            last: None,
            stated_by: None,
        })
    }

    /// The balancer's name in `pitstop.toml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is only looked at.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Goes on without the backup entries of which this is so, and says which these are.
    pub fn leave_aside(&mut self, is_so: impl Fn(&ServerId) -> bool) -> Vec<ServerId> {
        let aside = |entry: &mut Entry| entry.backup && is_so(&entry.server);
        self.entries.extract_if(.., aside).map(|entry| entry.server).collect()
    }

    /// How every entry is now: the main entries, then the backups.
    pub async fn states(&mut self) -> Result<Vec<ServerState>, RotationError> {
        let backends: BTreeSet<Name> = self.entries.iter().map(|entry| entry.server.backend.clone()).collect();
        let mut known = Vec::new();
        let mut processes = BTreeSet::new();
        for backend in &backends {
            let (info, states) = self.patiently(|| self.client.servers_state(Some(backend))).await?;
            processes.insert(info.pid);
            known.extend(states);
        }
        self.stated_by = processes.pop_first().filter(|_| processes.is_empty());
        let mut states = Vec::new();
        for entry in &mut self.entries {
            let Some(state) = known.iter().find(|state| state.id == entry.server) else {
                return Err(RotationError::NoSuchServer {
                    balancer: self.name.clone(),
                    server: entry.server.clone(),
                    known: known.into_iter().map(|state| state.id).collect(),
                });
            };
            entry.ids = (state.backend_id, state.server_id);
            states.push(state.clone());
        }
        Ok(states)
    }

    /// Asks for every entry's row in one line, at the same cost for 3 servers and for 10,000.
    pub async fn poll(&mut self) -> Result<Poll, RotationError> {
        let polled = self.patiently(|| self.poll_once()).await;
        let poll = match polled {
            Ok(poll) if self.are_ours(&poll.rows) => poll,
            // The ids are those of another process.
            Ok(_)
            | Err(RotationError::HaProxy {
                source: haproxy::Error { kind: ErrorKind::NoSuchRow { .. } | ErrorKind::NoSuchBackend(_), .. },
                ..
            }) => {
                self.states().await?;
                self.patiently(|| self.poll_once()).await?
            }
            Err(error) => return Err(error),
        };
        let status: Vec<_> = poll.rows.iter().map(|row| row.status.clone()).collect();
        let before = self.last.replace((poll.info.pid, status.clone()));
        let reloaded = before.as_ref().is_some_and(|(pid, _)| *pid != poll.info.pid);
        let changed = before.is_some_and(|(_, before)| reloaded || before != status);
        Ok(Poll { info: poll.info, reloaded, changed, rows: poll.rows })
    }

    /// Whether `pid` answered the last read of the states. During a reload the old process and the new one both answer.
    pub fn was_stated_by(&self, pid: u32) -> bool {
        self.stated_by == Some(pid)
    }

    /// Makes the next poll count as that of another process: what was just read or told may have gone to the old one.
    pub fn doubt(&mut self) {
        if let Some((pid, _)) = &mut self.last {
            *pid = 0;
        }
    }

    /// The level of the socket: `admin`, `operator` or `user`.
    pub async fn level(&self) -> Result<String, RotationError> {
        self.patiently(|| self.client.level()).await
    }

    /// How every server of this HAProxy is, in one full read.
    pub async fn all_states(&self) -> Result<Vec<ServerState>, RotationError> {
        self.patiently(|| self.client.servers_state(None)).await.map(|(_, states)| states)
    }

    /// All rows of one scope, in one full read.
    pub async fn rows(&self, scope: StatScope, kinds: Kinds) -> Result<Vec<StatRow>, RotationError> {
        self.patiently(|| self.client.stats(scope, kinds)).await.map(|(_, rows)| rows)
    }

    /// How many servers are up in each backend of the app's entries.
    pub async fn count_up(&self, states: &[ServerState]) -> Result<Vec<Count>, RotationError> {
        let own: Vec<ServerId> = states.iter().map(|state| state.id.clone()).collect();
        let rows = self.rows_of_backends(states).await?;
        Ok(rows.iter().map(|rows| Count::of(rows, &own)).collect())
    }

    /// The rows of all servers of each backend that has one of these.
    pub async fn rows_of_backends(&self, states: &[ServerState]) -> Result<Vec<Vec<StatRow>>, RotationError> {
        let backends: BTreeSet<u32> = states.iter().map(|state| state.backend_id).collect();
        let mut rows = Vec::new();
        for backend in backends {
            rows.push(self.rows(StatScope::Proxy(backend), Kinds::SERVERS).await?);
        }
        Ok(rows)
    }

    /// As [`count_up`](Self::count_up), by the states of this moment.
    pub async fn count_up_now(&mut self) -> Result<Vec<Count>, RotationError> {
        let states = self.states().await?;
        self.count_up(&states).await
    }

    /// Whether every entry (or only the main ones) takes nothing new at this moment; see [`are_out`](Self::are_out).
    pub async fn is_out(&mut self, backups_too: bool) -> Result<bool, RotationError> {
        let states = self.states().await?;
        Ok(self.are_out(&states, backups_too))
    }

    async fn poll_once(&self) -> Result<haproxy::Poll, haproxy::Error> {
        let ids: Vec<_> = self.entries.iter().map(|entry| entry.ids).collect();
        self.client.poll(&ids).await
    }

    fn are_ours(&self, rows: &[StatRow]) -> bool {
        rows.len() == self.entries.len() && rows.iter().zip(&self.entries).all(|(row, entry)| row.is(&entry.server))
    }

    /// Whether every entry (or only the main ones) takes nothing new, by HAProxy's own record; also those that are not ours, for
    /// their maintenance may be over.
    pub fn are_out(&self, states: &[ServerState], backups_too: bool) -> bool {
        let mut entries = self.entries.iter().zip(states).filter(|(entry, _)| backups_too || !entry.backup);
        entries.all(|(_, state)| {
            state.admin.in_maintenance() || (self.read_only && state.operational == OperationalState::Stopped)
        })
    }

    fn ours<'s>(&'s self, states: &'s [ServerState]) -> impl Iterator<Item = (&'s Entry, &'s ServerState)> {
        self.entries.iter().zip(states).filter(|(entry, _)| entry.is_ours())
    }

    /// Calls again while the answer is one that a new connection may well better, such as that of a dying worker.
    async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<T, RotationError>
    where
        F: Future<Output = Result<T, haproxy::Error>>,
    {
        let deadline = Instant::now() + PATIENCE;
        let pace = Pace::new();
        loop {
            match call().await {
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tracing::debug!(balancer = self.name, %error, "again");
                    tokio::time::sleep(pace.pause()).await;
                }
                Err(source) => return Err(RotationError::HaProxy { balancer: self.name.clone(), source }),
                Ok(answer) => return Ok(answer),
            }
        }
    }
}

impl Entry {
    /// Found in maintenance, it is somebody else's and left alone.
    fn is_ours(&self) -> bool {
        !self.found.as_ref().is_some_and(Found::in_maintenance)
    }

    /// How an earlier run of ours found it, if that was not in maintenance.
    fn owed<'f>(&self, owed: &'f [Found]) -> Option<&'f Found> {
        owed.iter().find(|found| found.server == self.server && !found.in_maintenance())
    }

    /// Found draining, it goes back to that.
    fn was_draining(&self) -> bool {
        self.found.as_ref().is_some_and(|found| haproxy::AdminState(found.admin).forced_drain())
    }

    fn weight(&self, percent: u8) -> Option<Weight> {
        let full = self.found.as_ref().map(|found| found.weight).filter(|full| *full > 0)?;
        Weight::try_from((full * u32::from(percent)).div_ceil(100).max(1)).ok()
    }
}
