//! The reload watch: what a reload, or somebody's hand, has undone on a balancer is done again, from the first take-out intent to the
//! put-back. Before the stop the steps themselves look, and a fault ends them; while the app is down, or out beside no run, it is kept
//! out by [`keep`], which no fault ends.

mod keep;

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use futures::future::join_all;

use self::keep::Due;
use super::log::Log;
use super::preflight::Kills;
use super::{Engine, Fault};
use crate::config::settings::Unreachable;
use crate::drain::Sighting;
use crate::drain::workers::OldWorkers;
use crate::rotation::admin::{Admin, Poll};
use crate::rotation::{Move, Rotation as _, RotationError};
use crate::run::{Delta, Ledger, Outcome};

/// How often somebody's `ready` is overruled on one HAProxy process.
const OVERRULED: u32 = 3;

/// How long a balancer may be silent before the policy decides: a restart of HAProxy is over by then.
const SILENCE: Duration = Duration::from_secs(5);

/// A balancer, and what was seen of it in this run.
#[derive(Debug)]
pub(super) struct Watched {
    admin: Admin,
    ledger: Ledger,
    /// When it was last seen as it was told to be.
    good: Instant,
    /// Since when it has not answered.
    silent: Option<Instant>,
    /// How often somebody's `ready` was overruled, by HAProxy's pid.
    overruled: (u32, u32),
    /// Whether it is to be taken out again at the next quiet moment.
    to_take_out: bool,
    /// Its old workers, where a master socket is given.
    workers: Option<OldWorkers>,
    /// Whether it was reloaded since the run began: an old worker may hold what its counters do not show.
    reloaded: bool,
    /// Why its old workers can't be seen, if they can't.
    unseen: Option<String>,
    /// How long a new process may have sent traffic before it was told again, at most; all times together.
    exposed: Option<Duration>,
    /// What it has to be asked next while it is kept out.
    due: Due,
}

/// Why a watch of one balancer ends.
pub(super) enum Ended {
    /// It has not answered for [`SILENCE`].
    Silent(RotationError),
    /// Somebody puts the app back again and again.
    Disputed(Fault),
    /// Anything else.
    Fault(Fault),
}

/// What one look at a balancer saw.
pub(super) struct Look {
    /// `None` where it did not answer.
    pub(super) poll: Option<Poll>,
    /// Whether it is the process of the last look and shows what it was told.
    pub(super) steady: bool,
}

impl Deref for Watched {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut Admin {
        &mut self.admin
    }
}

impl Watched {
    pub(super) fn new(admin: Admin, workers: Option<OldWorkers>) -> Self {
        Self {
            admin,
            workers,
            unseen: None,
            ledger: Ledger::default(),
            good: Instant::now(),
            silent: None,
            overruled: (0, 0),
            to_take_out: false,
            reloaded: false,
            exposed: None,
            due: Due::default(),
        }
    }

    /// Whether there may be an old worker that is not counted: then an idle connection may be a websocket of its.
    pub(super) fn has_unseen_workers(&self) -> bool {
        match self.workers {
            Some(_) => self.unseen.is_some(),
            None => self.reloaded,
        }
    }

    /// What its old workers have in flight, given who answers on its admin socket. That some can't be seen is told once.
    pub(super) async fn old_workers(&mut self, pid: u32, log: &Log<'_>) -> Vec<Sighting> {
        let Some(workers) = &mut self.workers else { return Vec::new() };
        let seen = workers.look(pid).await;
        let unseen = seen.unseen.first().cloned();
        if self.unseen.is_none()
            && let Some(why) = &unseen
        {
            log.remark(format!("{why}: the kernel's connections count until they are closed"));
        }
        self.unseen = unseen;
        seen.sightings
    }

    /// Looks whether its old workers can be seen; if they can't, they are not asked again, and why is returned.
    pub(super) async fn check_workers(&mut self) -> Option<String> {
        let pid = self.admin.poll().await.ok()?.info.pid;
        let seen = self.workers.as_mut()?.look(pid).await;
        let why = seen.unseen.first()?.clone();
        // Where a single old worker can't be seen, the others can.
        if seen.sightings.is_empty() {
            self.workers = None;
        }
        Some(why)
    }

    /// Its part of the receipt.
    pub(super) fn delta(&self) -> Delta {
        let exposed = self.exposed.map(|exposed| u64::try_from(exposed.as_millis()).unwrap_or(u64::MAX));
        Delta { exposed_ms: exposed, ..self.ledger.delta() }
    }

    /// Polls it once, and notes its counters for the receipt.
    pub(super) async fn count(&mut self) -> Result<Poll, RotationError> {
        let poll = self.admin.poll().await?;
        self.ledger.note(poll.info.pid, poll.counters());
        Ok(poll)
    }

    /// Polls it once; what a reload or somebody's hand has undone is done again.
    pub(super) async fn watch(&mut self, log: &Log<'_>, kills: Kills) -> Result<Look, Ended> {
        let asked = Instant::now();
        let poll = match self.count().await {
            Ok(poll) => poll,
            Err(error) if error.is_unreachable() => return self.is_silent(error, log),
            Err(error) => return Err(error.into()),
        };
        if self.silent.take().is_some() {
            log.remark(format!("{} answers again", self.name()));
        }
        let shows = !poll.changed || self.assert_again(&poll, log, kills).await?;
        if shows {
            self.good = asked;
        }
        // What has been put back since is not taken out any more.
        self.to_take_out &= self.admin.asserted().is_some();
        let steady = if self.to_take_out {
            self.to_take_out = !self.admin.take_out_if_quiet().await?;
            false
        } else {
            shows
        };
        Ok(Look { poll: Some(poll), steady })
    }

    /// Whether it shows what it was told; if not, it is told again.
    async fn assert_again(&mut self, poll: &Poll, log: &Log<'_>, kills: Kills) -> Result<bool, Ended> {
        if poll.reloaded && !self.reloaded {
            self.reloaded = true;
            let how = match self.workers {
                Some(_) => "what its old worker has in flight is seen through its master socket",
                None => {
                    "its old worker can't be seen (no `master`): the kernel's connections count until they are closed"
                }
            };
            log.remark(format!("{} was reloaded: {how}", self.name()));
        }
        let Some(asserted) = self.admin.asserted() else { return Ok(true) };
        let states = self.admin.states().await?;
        if poll.reloaded && !self.admin.was_stated_by(poll.info.pid) {
            self.admin.doubt();
            return Ok(false);
        }
        if self.admin.shows_all(&states, asserted) {
            return Ok(true);
        }
        let name = self.name().to_owned();
        if !poll.reloaded {
            self.may_overrule(poll.info.pid)?;
        } else {
            let acts = self.admin.acts_remember(&states);
            // Without a journal as well: what follows must be told all the same.
            log.acts_or_remark(&name, &acts);
            self.admin.remember(&states).await?;
        }
        // Where going down kills sessions, the new clients of the meantime are let finish first.
        let again = if kills == Kills::No { asserted } else { Move::Soften };
        self.admin.make(again).await?;
        self.to_take_out |= again != asserted;
        if poll.reloaded {
            self.admin.doubt();
            let exposed = self.good.elapsed();
            *self.exposed.get_or_insert_default() += exposed;
            let pid = poll.info.pid;
            log.remark(format!(
                "{name} was reloaded (now pid {pid}): out again after at most {} ms",
                exposed.as_millis()
            ));
        } else {
            self.overruled.1 += 1;
            log.remark(format!("somebody has put the app back on {name}: out again"));
        }
        Ok(false)
    }

    fn may_overrule(&mut self, pid: u32) -> Result<(), Ended> {
        if self.overruled.0 != pid {
            self.overruled = (pid, 0);
        }
        if self.overruled.1 < OVERRULED {
            return Ok(());
        }
        let what = format!("somebody puts the app back on {} again and again", self.name());
        Err(Ended::Disputed(Fault::new(Outcome::Failed, what, Some("find out who, then try again".to_owned()))))
    }

    fn is_silent(&mut self, error: RotationError, log: &Log<'_>) -> Result<Look, Ended> {
        if self.silent.is_none() {
            log.remark(format!("{}; it is asked again", super::fault::chain(&error)));
        }
        let since = *self.silent.get_or_insert_with(Instant::now);
        if since.elapsed() < SILENCE { Ok(Look { poll: None, steady: false }) } else { Err(Ended::Silent(error)) }
    }
}

impl From<RotationError> for Ended {
    fn from(error: RotationError) -> Self {
        Self::Fault(error.into())
    }
}

impl Engine<'_> {
    /// Looks at every balancer, and does again what was undone there; whether all are steady. One that is silent for long is given up
    /// where `unreachable` says so.
    pub(super) async fn watch(&mut self) -> Result<(Vec<(String, Poll)>, bool), Fault> {
        let (log, kills) = (&self.log, self.kills);
        let looks = join_all(self.balancers.iter_mut().map(|balancer| balancer.watch(log, kills))).await;
        let mut polls = Vec::new();
        let mut steady = true;
        let mut silent = Vec::new();
        for (balancer, look) in self.balancers.iter().zip(looks) {
            let name = balancer.name().to_owned();
            match look {
                Ok(look) => {
                    steady &= look.steady;
                    polls.extend(look.poll.map(|poll| (name, poll)));
                }
                Err(Ended::Silent(error)) => silent.push((name, error)),
                Err(Ended::Disputed(fault) | Ended::Fault(fault)) => return Err(fault),
            }
        }
        for (name, error) in silent {
            steady = false;
            self.give_up(&name, error)?;
        }
        Ok((polls, steady))
    }

    /// Goes on without a balancer, where that is allowed and it can't be reached; it is tried again on the way back.
    pub(super) fn give_up(&mut self, name: &str, error: RotationError) -> Result<(), Fault> {
        if !error.is_unreachable() || !self.may_go_without() {
            return Err(error.into());
        }
        self.log.remark(format!("{}; goes on without it, as `unreachable` says", super::fault::chain(&error)));
        if let Some(index) = self.balancers.iter().position(|balancer| balancer.name() == name) {
            self.lost.push(self.balancers.remove(index));
        }
        Ok(())
    }

    /// Asks every balancer; one that can't be reached is given up where `unreachable` says so.
    pub(super) async fn ask_all<T>(
        &mut self,
        mut ask: impl AsyncFnMut(&mut Watched) -> Result<T, RotationError>,
    ) -> Result<Vec<(String, T)>, Fault> {
        let mut answers = Vec::new();
        let mut index = 0;
        while let Some(balancer) = self.balancers.get_mut(index) {
            let name = balancer.name().to_owned();
            match ask(balancer).await {
                Ok(answer) => {
                    answers.push((name, answer));
                    index += 1;
                }
                Err(error) => self.give_up(&name, error)?,
            }
        }
        Ok(answers)
    }

    pub(super) fn may_go_without(&self) -> bool {
        match self.app.unreachable {
            Unreachable::Abort => false,
            Unreachable::IgnoreIfRedirect => self.ports.is_some(),
            Unreachable::Proceed => true,
        }
    }
}
