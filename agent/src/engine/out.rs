//! The way out: claim, soften, settle, take out, await out, drain, last look.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::preflight::Kills;
use super::{Engine, Fault};
use crate::drain::{Pace, Sighting};
use crate::events::Kind;
use crate::journal::{Claim, Holder, Journal, Record};
use crate::process;
use crate::rotation::admin::{Admin, Poll};
use crate::rotation::{Move, Rotation, RotationError};
use crate::config::settings::OnTimeout;
use crate::run::{Goal, Outcome};

/// How often in a row everything must be quiet, from the same HAProxy process.
const QUIET_IN_A_ROW: u32 = 3;

/// How often at least it is told what is left in flight.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

impl Engine<'_> {
    /// Claims the app; then what is found is on disk before anything is changed.
    pub(super) async fn claim(&mut self) -> Result<Outcome, Fault> {
        let app = self.app.name.as_str();
        let holder = Holder {
            pid: std::process::id(),
            run: self.log.run().to_owned(),
            goal: self.request.goal,
            who: self.request.who.clone(),
            since: format!("{:.0}", jiff::Timestamp::now()),
            reason: self.request.reason.clone(),
            step: None,
        };
        let claim = Claim::take(&self.request.state_dir, app, holder)?;
        self.log.open(Journal::open(&self.request.state_dir, app, self.log.run())?);
        self.claim = Some(claim);
        self.log.record(Record::Begin {
            goal: self.request.goal,
            who: self.request.who.clone(),
            reason: self.request.reason.clone(),
            boot_id: process::boot_id().unwrap_or_default(),
        })?;
        // Once more, for another run may have ended since the preflight.
        for balancer in &mut self.balancers {
            balancer.find().await?;
        }
        for balancer in &self.balancers {
            let alone = self.left_alone(balancer);
            self.left_alone.extend(alone.into_iter().map(|server| (balancer.name().to_owned(), server)));
        }
        if let Some(ports) = &mut self.ports {
            ports.find().await?;
        }
        self.left_out = self.request.goal == Goal::Restart && self.is_out();
        self.before = self.service.identity().await.unwrap_or_default();
        let named = self.app.balancers.iter().map(|balancer| &balancer.name);
        let found = |name: &str| self.balancers.iter().find(|balancer| balancer.name() == name).map(Admin::found);
        self.log.record(Record::Found {
            balancers: named.filter_map(|name| Some((name.clone(), found(name.as_str())?))).collect(),
            redirect: self.ports.as_ref().and_then(|ports| ports.found()),
            process: self.before.clone(),
        })?;
        self.poll().await?;
        Ok(Outcome::Done)
    }

    /// Whether nothing that we could take out is in: no redirect, and maintenance on every balancer that we write to.
    fn is_out(&self) -> bool {
        let written = || self.balancers.iter().filter(|balancer| !balancer.is_read_only());
        let redirect = self.ports.as_ref().map(|ports| ports.found() != Some(false));
        redirect != Some(true) && written().all(Admin::is_left_alone) && (redirect.is_some() || written().next().is_some())
    }

    pub(super) async fn soften(&mut self) -> Result<Outcome, Fault> {
        self.move_balancers(Move::Soften).await?;
        Ok(Outcome::Done)
    }

    /// Those who stick are let go on for `sticky_grace`. Where going down kills sessions (unknown counts as yes), they are
    /// waited for instead, for `maint` would be their end.
    pub(super) async fn settle(&mut self) -> Result<Outcome, Fault> {
        let drain = &self.app.drain;
        let (limit, outcome) = match self.kills {
            Kills::No => (drain.sticky_grace, Outcome::Done),
            Kills::Yes | Kills::Unknown => (drain.timeout, Outcome::TimedOut),
        };
        if limit.is_zero() {
            return Ok(Outcome::Done);
        }
        let left = self.wait_until_quiet(Instant::now() + limit).await?;
        self.settled = left.is_empty();
        if self.settled || outcome == Outcome::Done {
            return Ok(Outcome::Done);
        }
        let what = format!(
            "after {} still in flight: {}; they were not moved, for going down {} kill sessions",
            humantime::format_duration(limit),
            describe(&left),
            if self.kills == Kills::Yes { "does" } else { "may" },
        );
        let hint = if self.kills == Kills::Unknown {
            self.kills_hint()
        } else {
            format!("give it longer: `timeout` in [apps.{}.drain]; or decide by `on_timeout` there", self.app.name)
        };
        Err(Fault::new(Outcome::TimedOut, what, Some(hint)))
    }

    /// `maint` everywhere, then the redirect is removed.
    pub(super) async fn take_out(&mut self) -> Result<Outcome, Fault> {
        if self.kills == Kills::No {
            self.move_balancers(Move::TakeOut).await?;
        } else {
            self.announce(Move::TakeOut)?;
            // The moment between the last look and `maint` is kept as short as it can be: nothing else is done in it.
            let patience = if self.settled { self.app.drain.timeout } else { Duration::ZERO };
            let deadline = Instant::now() + patience;
            all_well(join_all(self.balancers.iter_mut().map(|balancer| balancer.take_out_when_quiet(deadline))).await)?;
        }
        if let Some(ports) = &mut self.ports {
            self.log.acts(ports.place(), &ports.acts(Move::TakeOut))?;
            ports.make(Move::TakeOut).await?;
        }
        Ok(Outcome::Done)
    }

    /// Waits until every balancer's own record shows the server out; where none can be read, until its checks were refused
    /// `fall` times, or must have been.
    pub(super) async fn await_out(&mut self) -> Result<Outcome, Fault> {
        let gate = self.ports.as_ref().is_some_and(|ports| ports.has_gate());
        let began = Instant::now();
        self.await_out_of(!gate, began, true).await?;
        if !gate {
            return Ok(Outcome::Done);
        }
        // The backup entries check the traffic port itself: those who stick would come until the stop.
        if self.kills != Kills::No {
            self.wait_until_quiet(Instant::now() + self.app.drain.timeout).await?;
        }
        if let Some(ports) = &self.ports {
            self.log.acts("gate", &ports.acts_close())?;
            ports.close_gate().await?;
        }
        // Refused checks and refused clients look the same on the traffic port, so only time tells here.
        self.await_out_of(true, Instant::now(), false).await?;
        Ok(Outcome::Done)
    }

    async fn await_out_of(&mut self, backups_too: bool, began: Instant, counted: bool) -> Result<(), Fault> {
        let blind = self.app.balancers.iter().any(|balancer| balancer.socket.is_none()) || self.app.balancers.is_empty();
        let must_be_out = began + self.worst_case_out();
        let fall = self.app.redirect.as_ref().map_or(0, |redirect| u64::from(redirect.fall));
        let deadline = must_be_out.max(began + self.app.drain.timeout);
        let pace = Pace::new();
        loop {
            let mut waiting = Vec::new();
            for balancer in &mut self.balancers {
                let states = balancer.states().await?;
                if !balancer.are_out(&states, backups_too) {
                    waiting.push(balancer.name().to_owned());
                }
            }
            if blind && Instant::now() < must_be_out {
                let refused = match &self.ports {
                    Some(ports) if counted => ports.refused().await?,
                    _ => None,
                };
                if refused.is_none_or(|refused| refused < fall) {
                    waiting.push("those without a socket".to_owned());
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let what = format!("not out after {} on {}", humantime::format_duration(deadline - began), waiting.join(", "));
                let hint = "does its health check really go to `check_port`? Compare with `server … check port` in haproxy.cfg";
                return Err(Fault::new(Outcome::TimedOut, what, Some(hint.to_owned())));
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }

    /// Waits until every witness is quiet, several times in a row.
    pub(super) async fn drain(&mut self) -> Result<Outcome, Fault> {
        let limit = self.app.drain.timeout;
        let left = self.wait_until_quiet(Instant::now() + limit).await?;
        if left.is_empty() {
            return Ok(Outcome::Done);
        }
        let what = format!("after {} still in flight: {}", humantime::format_duration(limit), describe(&left));
        let hint = format!(
            "give it longer: `timeout` in [apps.{0}.drain]; or decide by `on_timeout` there (now \"{1}\")",
            self.app.name,
            match self.app.drain.on_timeout {
                OnTimeout::Abort => "abort",
                OnTimeout::Proceed => "proceed",
                OnTimeout::ShutdownSessions => "shutdown-sessions",
            }
        );
        Err(Fault::new(Outcome::TimedOut, what, Some(hint)))
    }

    /// Returns what is left when `until` has passed; nothing when all is quiet.
    async fn wait_until_quiet(&mut self, until: Instant) -> Result<Vec<Sighting>, Fault> {
        let mut pace = Pace::new();
        let mut quiet: u32 = 0;
        let mut told: Vec<Sighting> = Vec::new();
        let mut told_at = Instant::now();
        loop {
            let (sightings, reloaded) = self.look().await?;
            let left: Vec<Sighting> = sightings.into_iter().filter(|sighting| !sighting.left.is_empty()).collect();
            let count = left.iter().flat_map(|sighting| &sighting.left).map(|left| left.sessions + left.queued).sum();
            self.receipt.drained = self.receipt.drained.max(count);
            if left.is_empty() && !reloaded {
                quiet += 1;
                pace.quicken();
                if quiet >= QUIET_IN_A_ROW {
                    return Ok(left);
                }
            } else {
                quiet = 0;
                // Also when nothing changes: who watches wants to see that it is still waited for.
                if left != told || told_at.elapsed() >= SIGN_OF_LIFE {
                    self.log.publish(Kind::Draining { sightings: left.clone() });
                    told.clone_from(&left);
                    told_at = Instant::now();
                }
                if Instant::now() >= until {
                    return Ok(left);
                }
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }

    /// Asks every balancer, and once they are quiet the kernel.
    async fn look(&mut self) -> Result<(Vec<Sighting>, bool), Fault> {
        let polls = self.poll().await?;
        let reloaded = polls.iter().any(|(_, poll)| poll.reloaded);
        let mut sightings: Vec<_> = polls.iter().map(|(name, poll)| poll.sighting(name)).collect();
        if reloaded {
            self.reassert(&polls).await?;
        }
        if sightings.iter().all(|sighting| sighting.left.is_empty()) {
            let blind = self.app.balancers.len() > self.balancers.len() || self.balancers.is_empty();
            let snapshot = self.sockets.snapshot().await.map_err(|error| {
                Fault::new(Outcome::Failed, format!("the kernel's socket table can't be read: {error}"), None)
            })?;
            let idle_after = if blind || self.reloaded { self.app.drain.idle_after } else { Duration::ZERO };
            sightings.push(snapshot.sighting(idle_after));
        }
        Ok((sightings, reloaded))
    }

    /// A reload forgets `drain` and `maint`: what the app's intent covers is done again.
    async fn reassert(&mut self, polls: &[(String, Poll)]) -> Result<(), Fault> {
        let first = !self.reloaded;
        self.reloaded = true;
        for (name, poll) in polls.iter().filter(|(_, poll)| poll.reloaded) {
            self.log.remark(format!("{name} was reloaded (now pid {}): out again", poll.info.pid));
            let Some(balancer) = self.balancers.iter_mut().find(|balancer| balancer.name() == name) else { continue };
            if let Some(asserted) = balancer.asserted() {
                balancer.make(asserted).await?;
            }
        }
        if first {
            let idle = humantime::format_duration(self.app.drain.idle_after);
            self.log.remark(format!("sessions in the old worker can't be seen: connections count until they were silent for {idle}"));
        }
        Ok(())
    }

    /// Polls every balancer once, and notes the counters for the receipt.
    pub(super) async fn poll(&mut self) -> Result<Vec<(String, Poll)>, Fault> {
        let polls = join_all(self.balancers.iter_mut().map(|balancer| async {
            let poll = balancer.poll().await;
            (balancer.name().to_owned(), poll)
        }))
        .await;
        let mut seen = Vec::new();
        for (name, poll) in polls {
            let poll = poll?;
            self.ledgers.entry(name.clone()).or_default().note(poll.info.pid, poll.counters());
            seen.push((name, poll));
        }
        Ok(seen)
    }

    pub(super) async fn shutdown_sessions(&mut self) -> Result<Outcome, Fault> {
        for balancer in &mut self.balancers {
            self.log.acts(balancer.name(), &balancer.acts_shutdown())?;
            balancer.shutdown_sessions().await?;
        }
        // They end asynchronously; this is bounded, for whatever is left now was to be ended.
        let left = self.wait_until_quiet(Instant::now() + Duration::from_secs(5)).await?;
        if !left.is_empty() {
            self.log.remark(format!("still in flight after their end was asked for: {}", describe(&left)));
        }
        Ok(Outcome::Done)
    }

    /// Right before the stop: every balancer's record, and the guard.
    pub(super) async fn last_look(&mut self) -> Result<Outcome, Fault> {
        let guard = self.guard();
        for balancer in &mut self.balancers {
            let states = balancer.states().await?;
            if !balancer.are_out(&states, true) {
                let what = format!("{} no longer shows the app out: someone has put it back", balancer.name());
                return Err(Fault::new(Outcome::NotOut, what, Some("find out who, then try again".to_owned())));
            }
            for count in balancer.count_up(&states).await? {
                if self.guarded.contains(&(balancer.name().to_owned(), count.backend.clone())) {
                    count.check(guard)?;
                }
            }
        }
        Ok(Outcome::Done)
    }

    /// A random 0 to 2 s, so that two hosts that undid for each other's sake do not try again in step.
    pub(super) async fn pause(&mut self) -> Result<Outcome, Fault> {
        let pause = Duration::from_millis(rand::random_range(0..2000));
        self.log.remark(format!("tries once more in {}", humantime::format_duration(pause)));
        tokio::time::sleep(pause).await;
        Ok(Outcome::Done)
    }

    /// Makes one move on every balancer: intents on disk, then all at once. The first error is returned, after all have ended.
    pub(super) async fn move_balancers(&mut self, step: Move) -> Result<(), Fault> {
        self.announce(step)?;
        all_well(join_all(self.balancers.iter_mut().map(|balancer| balancer.make(step))).await)
    }

    fn announce(&self, step: Move) -> Result<(), Fault> {
        for balancer in &self.balancers {
            self.log.acts(balancer.place(), &balancer.acts(step))?;
        }
        Ok(())
    }
}

/// All errors in one fault, or nothing.
pub(super) fn all_well(results: Vec<Result<(), RotationError>>) -> Result<(), Fault> {
    let faults: Vec<Fault> = results.into_iter().filter_map(Result::err).map(Fault::from).collect();
    let what: Vec<_> = faults.iter().map(|fault| fault.trouble.what.as_str()).collect();
    let Some(first) = faults.first() else { return Ok(()) };
    Err(Fault::new(first.outcome, what.join("; "), first.trouble.hint.clone()))
}

fn describe(left: &[Sighting]) -> String {
    let one = |sighting: &Sighting| {
        let each: BTreeSet<_> = sighting.left.iter().map(ToString::to_string).collect();
        format!("{} on {}", each.into_iter().collect::<Vec<_>>().join(", "), sighting.witness)
    };
    left.iter().map(one).collect::<Vec<_>>().join("; ")
}
