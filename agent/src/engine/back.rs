//! The way back: ready, put back, await in; and undo, pull back, release.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::fault::chain;
use super::log::Log;
use super::out::all_well;
use super::{Engine, Fault};
use crate::drain::Pace;
use crate::events::Kind;
use crate::haproxy::{StatRow, Status};
use crate::probe;
use crate::rotation::ports::Ports;
use crate::rotation::{Move, Rotation, RotationError, Standing};
use crate::run::{Goal, Outcome};

/// How much longer than `hold` HAProxy's own next check is waited for; its `inter` can't be read from the socket.
const NEXT_CHECK: Duration = Duration::from_secs(10);

/// How much longer than that a server that was down may take to earn its way up: `rise` times `inter`, both unknown.
const EARNED: Duration = Duration::from_secs(50);

/// How long a redirect that can't be set on the way back is tried again, as where somebody holds the rules' lock.
const REDIRECT: Duration = Duration::from_secs(30);

const CHECK_HINT: &str = "HAProxy checks from where it runs: is the address that it checks the one that was probed?";

/// What HAProxy's own checks say about the entries since they went in.
enum Checks {
    /// Each has passed a check.
    Passed,
    /// It takes traffic, and has not been checked yet.
    Unchecked(String),
    /// It was down before, and has not earned its way up yet.
    Down(String),
    /// It was up, and a check took it down.
    Failed(String),
}

impl Engine<'_> {
    /// Our own probes, against the new process: it must be the same before and after they passed.
    pub(super) async fn ready(&mut self) -> Result<Outcome, Fault> {
        // Whoever runs now is to be proven, where this run has not restarted it.
        if self.after.is_none() {
            self.after = self.service.identity().await.unwrap_or_default();
        }
        // `in` for an app that is in has nothing to leave out where the proof fails.
        let unproven =
            if self.request.goal == Goal::In && !self.found_out { Outcome::Untouched } else { Outcome::TimedOut };
        let log = &self.log;
        let told = |progress: probe::Progress| {
            if let Some(failure) = progress.last {
                let (probe, tries) = (progress.probe, progress.tries);
                log.publish(Kind::Proving { probe, failure: failure.to_string(), tries });
            }
        };
        let proof = tokio::select! {
            proof = probe::prove(&self.probes, &told) => proof,
            fault = self.process_gone() => return Err(fault),
        };
        if let Err(unready) = proof {
            let hint = format!("look into the log of {}", self.app.name);
            return Err(Fault::new(unproven, format!("the app did not become ready: {unready}"), Some(hint)));
        }
        self.same_process().await?;
        Ok(Outcome::Done)
    }

    /// Returns when the process that is to be proven is gone: waiting out the probes' deadline would be idle.
    async fn process_gone(&self) -> Fault {
        loop {
            tokio::time::sleep(Pace::LAST).await;
            if let Err(fault) = self.same_process().await {
                return fault;
            }
        }
    }

    async fn same_process(&self) -> Result<(), Fault> {
        let Some(expected) = &self.after else { return Ok(()) };
        if expected.main.is_alive().unwrap_or(true) {
            return Ok(());
        }
        let what = format!("the new process (pid {}) died", expected.main.pid);
        let hint = format!("look into the log of {}: it must run and be healthy", self.app.name);
        Err(Fault::new(Outcome::Failed, what, Some(hint)))
    }

    /// The redirect first, then every balancer. A proven app goes in wherever it can; where it can't, that is owing.
    pub(super) async fn put_back(&mut self) -> Result<Outcome, Fault> {
        let leaves_out = self.leaves_out();
        if let Some(ports) = &mut self.ports {
            if self.request.adopt_rules {
                self.log.acts("redirect", &["replace foreign rules on the check port by ours".to_owned()])?;
                for rule in ports.redirect().adopt().await.map_err(RotationError::from)? {
                    self.log.remark(format!("replaced: {rule}"));
                }
            }
            if leaves_out {
                ports.leave_out();
            }
            self.log.acts_or_remark(ports.place(), &ports.acts(Move::PutBack));
            make_in_time(ports, Move::PutBack, &self.log).await?;
        }
        self.balancers.append(&mut self.lost);
        if self.recovery.is_none() {
            self.claim_entries();
        }
        for balancer in &self.balancers {
            self.log.acts_or_remark(balancer.place(), &balancer.acts(Move::PutBack));
        }
        let made = join_all(self.balancers.iter_mut().map(|balancer| async {
            let made = balancer.make(Move::PutBack).await;
            (balancer.name().to_owned(), made)
        }))
        .await;
        let failed: Vec<_> = made.into_iter().filter_map(|(name, made)| Some((name, made.err()?))).collect();
        if failed.is_empty() {
            return Ok(Outcome::Done);
        }
        // One that can't be reached is owing; one that refuses everywhere is not a balancer that the app is in on.
        let partly = failed.len() < self.balancers.len() || failed.iter().all(|(_, error)| error.is_unreachable());
        self.owing = failed.iter().map(|(name, _)| name.clone()).collect();
        let what: Vec<_> = failed.iter().map(|(_, error)| chain(error)).collect();
        let hint = failed.iter().find_map(|(_, error)| error.hint());
        Err(Fault::new(if partly { Outcome::Partly } else { Outcome::Failed }, what.join("; "), hint))
    }

    /// For `hold` the same process must live, and HAProxy's own next check must pass. The weight rises meanwhile.
    pub(super) async fn await_in(&mut self) -> Result<Outcome, Fault> {
        let outcome = self.hold().await?;
        if let Err(fault) = self.leave_to_others("after it was put back").await {
            self.log.remark(format!("whether it is still in could not be read: {}", fault.trouble.what));
        }
        Ok(outcome)
    }

    async fn hold(&mut self) -> Result<Outcome, Fault> {
        let began = Instant::now();
        let held = began + self.app.hold;
        let ramped = began + self.app.ramp.as_ref().map_or(Duration::ZERO, |ramp| ramp.over);
        // A balancer that can't be asked has the app up only after `rise` checks; the next host must not go before.
        let noticed = began + if self.is_blind() { self.worst_case_in() } else { Duration::ZERO };
        let given_up = held.max(ramped).max(began + self.worst_case_in()) + NEXT_CHECK;
        let leaves_out = self.leaves_out();
        let pace = Pace::new();
        let mut percent = self.app.ramp.as_ref().map_or(100, |ramp| ramp.from);
        let mut seen_up = BTreeSet::new();
        loop {
            self.same_process().await?;
            let checks = if leaves_out { Checks::Passed } else { self.checks(&mut seen_up).await };
            percent = self.raise_weight(began, percent).await;
            let now = Instant::now();
            match checks {
                Checks::Failed(_) if self.has_set_the_redirect_again().await => {
                    seen_up.clear();
                    self.balancers.iter_mut().for_each(|balancer| balancer.forget_downs());
                }
                Checks::Failed(what) => return Err(Fault::new(Outcome::Failed, what, Some(CHECK_HINT.to_owned()))),
                Checks::Down(what) if now >= given_up + EARNED => {
                    return Err(Fault::new(Outcome::TimedOut, what, Some(CHECK_HINT.to_owned())));
                }
                Checks::Unchecked(what) if now >= given_up => {
                    self.log.remark(format!("{what}; our own probes pass, so it stays in"));
                    return Ok(Outcome::Done);
                }
                Checks::Passed if now >= held.max(ramped).max(noticed) && percent == 100 => return Ok(Outcome::Done),
                Checks::Passed | Checks::Unchecked(_) | Checks::Down(_) => {}
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }

    /// Without its redirect, checks say nothing about the app: somebody who flushes the firewall must not make a run pull it out.
    async fn has_set_the_redirect_again(&mut self) -> bool {
        let Some(ports) = &mut self.ports else { return false };
        if !matches!(ports.standing().await, Ok(Standing::Out)) {
            return false;
        }
        self.log.remark("somebody has removed the redirect: it is set again");
        self.log.acts_or_remark(ports.place(), &ports.acts(Move::PutBack));
        make_in_time(ports, Move::PutBack, &self.log).await.is_ok()
    }

    /// The least good news of all entries on all balancers.
    async fn checks(&mut self, seen_up: &mut BTreeSet<String>) -> Checks {
        let mut all = Checks::Passed;
        for balancer in &mut self.balancers {
            // A balancer that is owing already, or that can't be asked just now, says nothing against the app.
            let Ok(poll) = balancer.poll().await else { continue };
            for row in poll.rows.iter().filter(|row| balancer.watches(row)) {
                let place = format!("{}/{} on {}", row.proxy, row.server, balancer.name());
                let is_down = matches!(row.status, Status::Down(_) | Status::DownByAgent);
                if is_down && (seen_up.contains(&place) || balancer.has_gone_down(row, poll.info.pid)) {
                    let why = row.check_status.trim_start_matches("* ");
                    return Checks::Failed(format!("HAProxy's own check of {place} fails ({why})"));
                } else if is_down {
                    all = Checks::Down(format!("HAProxy still has {place} {} ({})", row.status, row.check_status));
                    continue;
                }
                if !has_passed(row) && matches!(all, Checks::Passed) {
                    all = Checks::Unchecked(format!("HAProxy has not checked {place} yet"));
                }
                seen_up.insert(place);
            }
        }
        all
    }

    /// Raises the weight where it is due. A balancer that refuses is named; the app is healthy and stays in.
    async fn raise_weight(&mut self, began: Instant, percent: u8) -> u8 {
        let Some(ramp) = &self.app.ramp else { return 100 };
        let share = began.elapsed().as_secs_f64() / ramp.over.as_secs_f64().max(f64::EPSILON);
        let rise = f64::from(100 - ramp.from) * share.min(1.0);
        // At most 100, by the line above.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let due = ramp.from + rise as u8;
        // In steps of ten, and the last: each is a command on every balancer.
        if due < 100 && due < percent.saturating_add(10) || due == percent {
            return percent;
        }
        let owing = &self.owing;
        let reached = |name: &str| !owing.iter().any(|owed| owed == name);
        for balancer in self.balancers.iter().filter(|balancer| reached(balancer.name())) {
            self.log.acts_or_remark(balancer.place(), &balancer.acts_weight(due));
        }
        let balancers = self.balancers.iter_mut().filter(|balancer| reached(balancer.name()));
        let set = join_all(balancers.map(|balancer| balancer.set_weight(due))).await;
        if let Err(fault) = all_well(set) {
            self.log.remark(format!("the weight could not be set to {due} %: {}", fault.trouble.what));
        }
        self.log.publish(Kind::Weight { percent: due });
        due
    }

    /// Restores exactly what was found. Every part is tried; the errors are collected.
    pub(super) async fn undo(&mut self) -> Result<Outcome, Fault> {
        self.balancers.append(&mut self.lost);
        if self.recovery.is_some() {
            self.prove_before_undo().await;
        }
        let mut results = Vec::new();
        if let Some(ports) = &mut self.ports {
            self.log.acts_or_remark(ports.place(), &ports.acts(Move::Restore));
            results.push(make_in_time(ports, Move::Restore, &self.log).await);
        }
        for balancer in &self.balancers {
            self.log.acts_or_remark(balancer.place(), &balancer.acts(Move::Restore));
        }
        let made = join_all(self.balancers.iter_mut().map(|balancer| async {
            let made = balancer.make(Move::Restore).await;
            (balancer.name().to_owned(), made)
        }));
        for (name, made) in made.await {
            if made.is_err() {
                self.owing.push(name);
            }
            results.push(made);
        }
        let only_silent = results.iter().filter_map(|made| made.as_ref().err()).all(RotationError::is_unreachable);
        let outcome = if only_silent { Outcome::Partly } else { Outcome::Failed };
        all_well(results).map_err(|fault| fault.with_outcome(outcome))?;
        Ok(Outcome::Done)
    }

    /// Takes an app out again that did not hold, at once.
    pub(super) async fn pull_back(&mut self) -> Result<Outcome, Fault> {
        for balancer in &self.balancers {
            let acts = [balancer.acts(Move::TakeOut), balancer.acts_weight(100)].concat();
            self.log.acts_or_remark(balancer.place(), &acts);
        }
        let mut results = join_all(self.balancers.iter_mut().map(|balancer| async {
            balancer.make(Move::TakeOut).await?;
            balancer.set_weight(100).await
        }))
        .await;
        if let Some(ports) = &mut self.ports {
            self.log.acts_or_remark(ports.place(), &ports.acts(Move::TakeOut));
            results.push(ports.make(Move::TakeOut).await);
        }
        all_well(results)?;
        Ok(Outcome::Done)
    }
}

/// A redirect that can't be set on the way back is tried again: an app that is healthy is not left out for a lock.
async fn make_in_time(ports: &mut Ports, step: Move, log: &Log<'_>) -> Result<(), RotationError> {
    let deadline = Instant::now() + REDIRECT;
    let mut told = false;
    loop {
        match ports.make(step).await {
            Err(error) if Instant::now() < deadline => {
                if !told {
                    log.remark(format!("tries again: {error}"));
                    told = true;
                }
                tokio::time::sleep(Pace::LAST).await;
            }
            made => return made,
        }
    }
}

/// Whether a server that is up has passed a check since `maint` ended. Leaving it, an entry has the health `rise`, so that
/// one failed check takes it down, and its check status is that of the last check before; only a higher health is news.
/// With `fall 1` there is no higher one.
fn has_passed(row: &StatRow) -> bool {
    match (row.check_health, row.check_rise, row.check_fall) {
        (Some(health), Some(rise), Some(fall)) => fall <= 1 || health > i64::try_from(rise).unwrap_or(i64::MAX),
        _ => true,
    }
}
