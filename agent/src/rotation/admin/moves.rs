//! The moves: which commands they take, in which order, and how HAProxy's record shows them done.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Admin, Entry, PATIENCE};
use crate::config::settings::PutBack;
use crate::drain::Pace;
use crate::haproxy::{self, Act, AdminAction, ErrorKind, Info, ServerId, ServerState};
use crate::rotation::{Move, Rotation, RotationError, Standing};

/// How long an act that was not answered in time is waited for: what comes next can't be sent before.
const SETTLING: Duration = Duration::from_secs(5);

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

impl Admin {
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

    /// The acts of [`shutdown_sessions`](Self::shutdown_sessions).
    pub fn acts_shutdown(&self) -> Vec<String> {
        self.shutdowns().map(|act| haproxy::Command::from(act).to_string()).collect()
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

    /// Counts for [`has_gone_down`](Self::has_gone_down), where `ready` is about to make an entry UP.
    async fn count_downs(&mut self) {
        // Who can't be asked now is not counted on: then only what is seen to be UP first can be seen to have failed.
        let poll = self.poll_once().await.ok().filter(|poll| self.are_ours(&poll.rows));
        let is_up_at_once =
            |order: &Order| matches!(order, Order::Act(Act::SetState { state: AdminAction::Ready, .. }));
        let at_once: Vec<bool> =
            self.entries.iter().map(|entry| self.acts_on(entry, Move::PutBack).iter().any(is_up_at_once)).collect();
        for (index, (entry, at_once)) in self.entries.iter_mut().zip(at_once).enumerate() {
            let counted = poll.as_ref().and_then(|poll| Some((poll.info.pid, poll.rows.get(index)?.chkdown)));
            entry.downs = counted.filter(|_| at_once);
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
        if step == Move::PutBack && !self.read_only {
            self.count_downs().await;
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
