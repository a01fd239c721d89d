//! HAProxy's admin state: `drain`, `maint` and `ready` over an app's main and backup entries on one balancer.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::guard::Count;
use super::{Move, Rotation, RotationError, Standing};
use crate::config::settings::{App, Balancer, PutBack};
use crate::drain::{Left, Pace, Sighting};
use crate::haproxy::{
    self, Act, AdminAction, Client, ErrorKind, Info, Kinds, Name, OperationalState, ServerId, ServerState, StatRow,
    StatScope, Status, Weight,
};
use crate::journal::Found;
use crate::run::Counters;

/// How long a dying worker or a busy socket is tried again.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an act that was not answered in time is waited for: what comes next can't be sent before.
const SETTLING: Duration = Duration::from_secs(5);

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
}

/// What one poll of a balancer saw.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Who answered.
    pub info: Info,
    /// Another process than the last time: a reload, which forgets `drain` and `maint`.
    pub reloaded: bool,
    /// Another process, or another status than the last time: worth a look at the admin bits.
    pub changed: bool,
    /// One row an entry: the main entries, then the backups.
    pub rows: Vec<StatRow>,
}

impl Poll {
    /// What is in flight here, as a witness.
    pub fn sighting(&self, balancer: &str) -> Sighting {
        let left = self.rows.iter().filter(|row| row.scur + row.qcur > 0).map(|row| Left {
            place: format!("{}/{}", row.proxy, row.server),
            sessions: row.scur,
            queued: row.qcur,
        });
        Sighting { witness: balancer.to_owned(), pid: Some(self.info.pid), left: left.collect() }
    }

    /// The counters of the receipt, summed over the entries.
    pub fn counters(&self) -> Counters {
        self.rows.iter().fold(Counters::default(), |sum, row| {
            sum.plus(Counters {
                sessions: row.stot,
                connect_errors: row.econ,
                response_errors: row.eresp,
                server_aborts: row.srv_abrt,
                client_aborts: row.cli_abrt,
                retries: row.wretr,
                redispatches: row.wredis,
                answers_5xx: row.hrsp_5xx,
            })
        })
    }
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

    /// What was found, entry by entry.
    pub fn found(&self) -> Vec<Found> {
        self.entries.iter().filter_map(|entry| entry.found.clone()).collect()
    }

    /// Entries that someone else had in maintenance, given what earlier runs of ours had found: they are left so.
    pub fn left_alone(&self, owed: &[Found]) -> Vec<ServerId> {
        let alone = self.entries.iter().filter(|entry| !entry.is_ours() && entry.owed(owed).is_none());
        alone.map(|entry| entry.server.clone()).collect()
    }

    /// Whether every entry was found in maintenance.
    pub fn is_left_alone(&self) -> bool {
        self.entries.iter().all(|entry| !entry.is_ours())
    }

    /// Looks how every entry is, and keeps it as what undo restores.
    pub async fn find(&mut self) -> Result<Vec<ServerState>, RotationError> {
        let states = self.states().await?;
        for (entry, state) in self.entries.iter_mut().zip(&states) {
            entry.found = Some(Found {
                server: entry.server.clone(),
                backup: entry.backup,
                admin: state.admin.0,
                up: state.operational != OperationalState::Stopped,
                weight: state.weight,
                checked: state.check.enabled(),
            });
        }
        Ok(states)
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
        let mut backends: Vec<u32> = states.iter().map(|state| state.backend_id).collect();
        backends.sort_unstable();
        backends.dedup();
        let mut counts = Vec::new();
        for backend in backends {
            let rows = self.rows(StatScope::Proxy(backend), Kinds::SERVERS).await?;
            counts.push(Count::of(&rows, &own));
        }
        Ok(counts)
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

    /// The acts of [`shutdown_sessions`](Self::shutdown_sessions).
    pub fn acts_shutdown(&self) -> Vec<String> {
        self.shutdowns().map(|act| haproxy::Command::from(act).to_string()).collect()
    }

    /// Treats every entry as ours, also one found in maintenance: `pitstop in` is the word of a person. The weight is that of
    /// before a run of ours that changed it.
    pub fn claim_all(&mut self, owed: &[Found]) {
        for entry in &mut self.entries {
            let before = owed.iter().find(|found| found.server == entry.server).map(|found| found.weight);
            if let Some(found) = &mut entry.found {
                found.admin = 0;
                found.up = true;
                found.weight = before.unwrap_or(found.weight);
            }
        }
    }

    /// Goes on for a run that died: `found` is what it found, `states` how the entries are now, where that could be asked. Entries that
    /// are in maintenance now, and that it had no hand in, are somebody else's: they are left so, and returned.
    pub fn adopt(&mut self, found: &[Found], states: Option<&[ServerState]>, took_out: bool) -> Vec<ServerId> {
        self.touched = true;
        let mut others = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let state = states.and_then(|states| states.get(index));
            let in_maintenance = state.is_some_and(|state| state.admin.in_maintenance());
            if let Some(found) = found.iter().find(|found| found.server == entry.server) {
                entry.found = Some(found.clone());
                if entry.is_ours() && in_maintenance && !took_out {
                    entry.found = Some(Found { admin: state.map_or(0, |state| state.admin.0), ..found.clone() });
                    others.push(entry.server.clone());
                }
            }
            entry.out_already = entry.is_ours() && in_maintenance;
        }
        others
    }

    /// Goes on for a run that has made this move, and is over or dead: where a reload has undone it, that shows.
    pub fn told(&mut self, step: Move) {
        self.asserted = Some(step).filter(|_| !self.read_only);
    }

    /// On the way back HAProxy's checks decide, where it has any, when an entry is up.
    pub fn leave_to_checks(&mut self) {
        for found in self.entries.iter_mut().filter_map(|entry| entry.found.as_mut()) {
            found.up &= !found.checked;
        }
    }

    /// Treats as ours what an earlier run of ours has put into maintenance, and found otherwise.
    pub fn claim_owed(&mut self, owed: &[Found]) {
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_ours()) {
            if let Some(found) = entry.owed(owed) {
                entry.found = Some(found.clone());
            }
        }
    }

    /// Whether HAProxy's checks of this row matter to us: it is ours, checked, and not left draining.
    pub fn watches(&self, row: &StatRow) -> bool {
        let entry = self.entries.iter().find(|entry| row.is(&entry.server));
        entry.is_some_and(|entry| {
            entry.is_ours() && !entry.was_draining() && entry.found.as_ref().is_some_and(|found| found.checked)
        })
    }

    /// Ends the sessions of every entry of ours; they are cut.
    pub async fn shutdown_sessions(&mut self) -> Result<(), RotationError> {
        for act in self.shutdowns() {
            self.act(act).await?;
        }
        Ok(())
    }

    fn shutdowns(&self) -> impl Iterator<Item = Act> {
        let ours = self.entries.iter().filter(|entry| entry.is_ours() && !self.read_only);
        ours.map(|entry| Act::ShutdownSessions(entry.server.clone()))
    }

    /// The acts of [`set_weight`](Self::set_weight).
    pub fn acts_weight(&self, percent: u8) -> Vec<String> {
        self.weights(percent).map(|act| haproxy::Command::from(act).to_string()).collect()
    }

    /// Sets the main entries to `percent` of the weight they were found with, at least 1; one found at 0 stays there. Without a
    /// ramp the weight is not ours to set.
    pub async fn set_weight(&mut self, percent: u8) -> Result<(), RotationError> {
        for act in self.weights(percent) {
            self.act(act).await?;
        }
        Ok(())
    }

    fn weights(&self, percent: u8) -> impl Iterator<Item = Act> {
        let ours = |entry: &&Entry| entry.is_ours() && !entry.backup && !self.read_only && self.ramp_from.is_some();
        let weight =
            move |entry: &Entry| Some(Act::SetWeight { server: entry.server.clone(), weight: entry.weight(percent)? });
        self.entries.iter().filter(ours).filter_map(weight)
    }

    /// Entries of ours that are in maintenance where we have not put them: somebody else's from now on, and left so.
    pub async fn leave_to_others(&mut self) -> Result<Vec<ServerId>, RotationError> {
        if self.read_only || self.asserted == Some(Move::TakeOut) {
            return Ok(Vec::new());
        }
        let states = self.states().await?;
        let mut taken = Vec::new();
        for (entry, state) in self.entries.iter_mut().zip(&states) {
            if entry.is_ours()
                && !entry.out_already
                && state.admin.in_maintenance()
                && let Some(found) = entry.found.as_mut()
            {
                found.admin = state.admin.0;
                taken.push(entry.server.clone());
            }
        }
        Ok(taken)
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

    /// What the acts so far want HAProxy to show; a reload forgets it.
    pub fn asserted(&self) -> Option<Move> {
        self.asserted
    }

    /// Whether every entry of ours shows what a move leads to, and the others the maintenance that they were found in.
    pub fn shows_all(&self, states: &[ServerState], step: Move) -> bool {
        self.entries.iter().zip(states).all(|(entry, state)| match entry.is_ours() {
            true => Self::shows(entry, state, step),
            false => state.admin.in_maintenance(),
        })
    }

    /// The acts that restore somebody else's maintenance where a reload has forgotten it.
    pub fn acts_remember(&self, states: &[ServerState]) -> Vec<String> {
        self.forgotten(states).map(|act| haproxy::Command::from(act).to_string()).collect()
    }

    /// Restores somebody else's maintenance where a reload has forgotten it: the app must not be stopped under clients that it
    /// was to be kept from.
    pub async fn remember(&self, states: &[ServerState]) -> Result<(), RotationError> {
        for act in self.forgotten(states) {
            self.act(act).await?;
        }
        Ok(())
    }

    fn forgotten(&self, states: &[ServerState]) -> impl Iterator<Item = Act> {
        let lost = |(entry, state): &(&Entry, &ServerState)| {
            !self.read_only && !entry.is_ours() && !state.admin.in_maintenance()
        };
        let maint = |(entry, _): (&Entry, &ServerState)| Act::SetState {
            server: entry.server.clone(),
            state: AdminAction::Maint,
        };
        self.entries.iter().zip(states).filter(lost).map(maint)
    }

    /// As [`Move::TakeOut`], but only for entries with nothing in flight at this moment, backups first; whether all are out now.
    ///
    /// Where going down kills sessions, a request that comes between the look and `maint` would be lost. HAProxy has no
    /// conditional command, so that moment can't be closed; it is the time of one command, and only those who stick can
    /// fall into it.
    pub async fn take_out_if_quiet(&mut self) -> Result<bool, RotationError> {
        for index in (0..self.entries.len()).rev() {
            let ids = self.entries.get(index).map(|entry| [entry.ids]).unwrap_or_default();
            let orders = self.entries.get(index).map(|entry| self.acts_on(entry, Move::TakeOut)).unwrap_or_default();
            if orders.is_empty() {
                continue;
            }
            let looked = self.patiently(|| self.client.poll(&ids)).await?;
            let ours =
                looked.rows.first().filter(|row| self.entries.get(index).is_some_and(|entry| row.is(&entry.server)));
            if ours.is_none_or(|row| row.scur + row.qcur > 0) {
                return Ok(false);
            }
            for order in orders {
                self.obey(&order).await?;
            }
        }
        self.make(Move::TakeOut).await?;
        Ok(true)
    }

    /// The acts of a move on one entry, each sent in a line of its own.
    fn acts_on(&self, entry: &Entry, step: Move) -> Vec<Order> {
        let Some(found) = entry.found.as_ref().filter(|_| entry.is_ours() && !self.read_only) else {
            return Vec::new();
        };
        let state = |state| Order::Act(Act::SetState { server: entry.server.clone(), state });
        let weight = |percent| {
            entry.weight(percent).map(|weight| Order::Act(Act::SetWeight { server: entry.server.clone(), weight }))
        };
        let was_draining = entry.was_draining();
        match step {
            Move::Soften if was_draining || entry.out_already => Vec::new(),
            Move::Soften => vec![state(AdminAction::Drain)],
            Move::TakeOut => vec![state(AdminAction::Maint)],
            Move::PutBack | Move::Restore if was_draining => vec![state(AdminAction::Drain)],
            Move::PutBack => {
                let checked = self.put_back == PutBack::Checked && found.checked;
                let ready =
                    if checked { Order::ReadyThenDown(entry.server.clone()) } else { state(AdminAction::Ready) };
                let weight = self.ramp_from.filter(|_| !entry.backup).and_then(weight);
                weight.into_iter().chain([ready]).collect()
            }
            // `maint` to `ready` makes a server UP at once: one that checks had DOWN must earn it again.
            Move::Restore if !found.up => vec![Order::ReadyThenDown(entry.server.clone())],
            Move::Restore => vec![state(AdminAction::Ready)],
        }
    }

    fn orders(&self, step: Move) -> Vec<Order> {
        let orders = |entry| self.acts_on(entry, step);
        if step == Move::TakeOut {
            // Backups first: otherwise those who stick to a main entry would move to its backup for a moment.
            self.entries.iter().rev().flat_map(orders).collect()
        } else {
            self.entries.iter().flat_map(orders).collect()
        }
    }

    async fn obey(&mut self, order: &Order) -> Result<(), RotationError> {
        self.touched = true;
        match order {
            Order::Act(act) => self.act(act.clone()).await,
            Order::ReadyThenDown(server) => {
                let done = self.patiently(|| self.client.act_ready_then_down(server)).await;
                match self.settled(done).await {
                    // A tracking server refuses the second half: it follows the other's checks anyway.
                    Err(RotationError::HaProxy {
                        source: haproxy::Error { kind: ErrorKind::Rejected { .. }, .. },
                        ..
                    }) => Ok(()),
                    done => done,
                }
            }
        }
    }

    async fn act(&self, act: Act) -> Result<(), RotationError> {
        let done = self.patiently(|| self.client.act(act.clone())).await;
        self.settled(done).await
    }

    /// Where the outcome of an act is unknown, the read-back of the move decides; it must not come before the act.
    async fn settled(&self, done: Result<Info, RotationError>) -> Result<(), RotationError> {
        match done {
            Err(RotationError::HaProxy {
                source: haproxy::Error { kind: ErrorKind::OutcomeUnknown { .. }, .. },
                ..
            }) => self.patiently(|| self.client.settle(SETTLING)).await,
            done => done.map(drop),
        }
    }

    /// Whether HAProxy's record shows the move done.
    fn shows(entry: &Entry, state: &ServerState, step: Move) -> bool {
        let was_draining = entry.was_draining();
        match step {
            Move::Soften => state.admin.draining() || state.admin.in_maintenance(),
            Move::TakeOut => state.admin.in_maintenance(),
            Move::PutBack | Move::Restore if was_draining => {
                state.admin.forced_drain() && !state.admin.in_maintenance()
            }
            // What is inherited from a tracked server is not ours to end.
            Move::PutBack | Move::Restore => !state.admin.forced_maintenance() && !state.admin.forced_drain(),
        }
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

/// What is sent in one line.
#[derive(Debug, Clone)]
enum Order {
    Act(Act),
    ReadyThenDown(ServerId),
}

impl Order {
    fn text(&self) -> String {
        match self {
            Self::Act(act) => haproxy::Command::from(act.clone()).to_string(),
            Self::ReadyThenDown(server) => format!("set server {server} state ready;set server {server} health down"),
        }
    }
}

impl Entry {
    /// Found in maintenance, it is somebody else's and left alone.
    fn is_ours(&self) -> bool {
        !self.found.as_ref().is_some_and(|found| haproxy::AdminState(found.admin).in_maintenance())
    }

    /// How an earlier run of ours found it, if that was not in maintenance.
    fn owed<'f>(&self, owed: &'f [Found]) -> Option<&'f Found> {
        owed.iter().find(|found| found.server == self.server && !haproxy::AdminState(found.admin).in_maintenance())
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

#[async_trait]
impl Rotation for Admin {
    fn place(&self) -> &str {
        &self.name
    }

    fn acts(&self, step: Move) -> Vec<String> {
        self.orders(step).iter().map(Order::text).collect()
    }

    async fn make(&mut self, step: Move) -> Result<(), RotationError> {
        let deadline = Instant::now() + PATIENCE;
        self.asserted = match step {
            Move::Soften | Move::TakeOut if !self.read_only => Some(step),
            _ => None,
        };
        if step == Move::Restore && !self.touched {
            return Ok(());
        }
        loop {
            let mut refused = None;
            for order in self.orders(step) {
                let done = self.obey(&order).await;
                match step {
                    Move::Soften | Move::TakeOut => done?,
                    // On a way back one entry's trouble is not the others'.
                    Move::PutBack | Move::Restore => refused = refused.or(done.err()),
                }
            }
            if let Some(error) = refused {
                return Err(error);
            }
            if self.read_only {
                return Ok(());
            }
            let states = self.states().await?;
            let missing = self.ours(&states).filter(|(entry, state)| !Self::shows(entry, state, step));
            let missing: Vec<_> = missing.map(|(entry, _)| entry.server.to_string()).collect();
            if missing.is_empty() {
                return Ok(());
            }
            // A reload between act and read-back forgets the act: the same once more.
            if Instant::now() >= deadline {
                let wanted = match step {
                    Move::Soften => "draining",
                    Move::TakeOut => "in maintenance",
                    Move::PutBack => "ready",
                    Move::Restore => "as found",
                };
                return Err(RotationError::NotConfirmed {
                    balancer: self.name.clone(),
                    servers: missing.join(", "),
                    wanted,
                });
            }
            tokio::time::sleep(Pace::FIRST).await;
        }
    }

    async fn standing(&mut self) -> Result<Standing, RotationError> {
        let states = self.states().await?;
        let mains: Vec<_> =
            self.entries.iter().zip(&states).filter(|(entry, _)| !entry.backup).map(|(_, state)| state.admin).collect();
        Ok(if mains.iter().all(|admin| admin.in_maintenance()) {
            Standing::Out
        } else if mains.iter().all(|admin| admin.in_maintenance() || admin.draining()) {
            Standing::Softened
        } else {
            Standing::In
        })
    }
}
