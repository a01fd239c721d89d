//! The way out: soften, take out, await out, last look.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::drain::describe;
use super::preflight::Kills;
use super::{Engine, Fault};
use crate::config::settings::OnTimeout;
use crate::drain::Pace;
use crate::rotation::{Move, Rotation, RotationError};
use crate::run::Outcome;

/// How long another run of this host may take from the guard's word to its own drain.
const TURN: Duration = Duration::from_secs(10);

impl Engine<'_> {
    /// The guard is asked again under a lock of this host's runs: several that begin at once all saw the others up.
    pub(super) async fn soften(&mut self) -> Result<Outcome, Fault> {
        let _turn = self.turn().await?;
        self.ask_guard().await?;
        self.move_balancers(Move::Soften).await?;
        Ok(Outcome::Done)
    }

    /// Waits until no other run of this host is between the guard's word and its own way out. `None` where nobody can tell.
    async fn turn(&self) -> Result<Option<File>, Fault> {
        let path = self.request.state_dir.join("guard");
        let Ok(file) = OpenOptions::new().create(true).append(true).mode(0o640).open(path) else { return Ok(None) };
        let deadline = Instant::now() + TURN;
        let pace = Pace::new();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => self.rest(pace.pause()).await?,
                Err(_) => return Ok(None),
            }
        }
    }

    /// `maint` everywhere, then the redirect is removed.
    pub(super) async fn take_out(&mut self) -> Result<Outcome, Fault> {
        self.leave_to_others("while it was draining").await?;
        if self.kills == Kills::No || !self.settled {
            self.move_balancers(Move::TakeOut).await?;
        } else {
            self.announce(Move::TakeOut)?;
            self.take_out_when_quiet().await?;
        }
        if let Some(ports) = &mut self.ports {
            self.log.acts(ports.place(), &ports.acts(Move::TakeOut))?;
            ports.make(Move::TakeOut).await?;
        }
        Ok(Outcome::Done)
    }

    /// Maintenance that somebody else sets beside us is left so, written down, and named.
    pub(super) async fn leave_to_others(&mut self, when: &str) -> Result<(), Fault> {
        // Where we could not put it back, the maintenance is our own.
        let owing = self.owing.clone();
        let taken = self
            .ask_all(async |balancer| match owing.iter().any(|name| name == balancer.name()) {
                true => Ok(Vec::new()),
                false => balancer.leave_to_others().await,
            })
            .await?;
        for (name, server) in
            taken.into_iter().flat_map(|(name, taken)| taken.into_iter().map(move |server| (name.clone(), server)))
        {
            self.log.remark(format!(
                "{server} on {name} was put in maintenance by somebody else {when}: it will be left so"
            ));
            self.left_alone.push((name, server));
            self.record_found().await?;
        }
        Ok(())
    }

    /// Asks the guard about the backends in which an entry of the app was up. Once an app may have been stopped it is out anyway.
    async fn ask_guard(&mut self) -> Result<(), Fault> {
        if self.recovery.is_some() {
            return Ok(());
        }
        for (name, counts) in self.ask_all(async |balancer| balancer.count_up_now().await).await? {
            for count in counts {
                if self.guarded.contains(&(name.clone(), count.backend.clone())) {
                    count.check(self.guard())?;
                }
            }
        }
        Ok(())
    }

    /// Where going down kills sessions: each entry at a moment when nothing is in flight on it.
    async fn take_out_when_quiet(&mut self) -> Result<(), Fault> {
        let limit = self.app.drain.timeout;
        let deadline = Instant::now() + limit;
        let pace = Pace::new();
        loop {
            self.watch().await?;
            let out = self.ask_all(async |balancer| balancer.take_out_if_quiet().await).await?;
            if out.iter().all(|(_, out)| *out) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                if self.app.drain.on_timeout == OnTimeout::Abort {
                    let what = format!("no moment without a session in {}", humantime::format_duration(limit));
                    return Err(Fault::new(Outcome::TimedOut, what, Some(self.kills_hint())));
                }
                return self.move_balancers(Move::TakeOut).await;
            }
            self.rest(pace.pause()).await?;
        }
    }

    /// Waits until every balancer's own record shows the server out; where none can be read, until its checks were refused
    /// `fall` times, or must have been.
    pub(super) async fn await_out(&mut self) -> Result<Outcome, Fault> {
        let gate = self.ports.as_ref().is_some_and(|ports| ports.has_gate());
        let began = Instant::now();
        // A balancer that can't be reached now has checks that nobody counts.
        let all_counted = !self.has_lost_one();
        self.await_out_of(!gate, began, all_counted).await?;
        if !gate {
            return Ok(Outcome::Done);
        }
        // The backup entries check the traffic port itself: those who stick would come until the stop.
        if self.kills != Kills::No {
            let left = self.wait_until_quiet(Instant::now() + self.app.drain.timeout).await?;
            if !left.is_empty() && self.app.drain.on_timeout == OnTimeout::Abort {
                let what = format!("still in flight, and the gate would end it: {}", describe(&left));
                return Err(Fault::new(Outcome::TimedOut, what, Some(self.kills_hint())));
            }
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
        let must_be_out = began + self.worst_case_out();
        let fall = self.app.redirect.as_ref().map_or(0, |redirect| u64::from(redirect.fall));
        let deadline = must_be_out.max(began + self.app.drain.timeout);
        let pace = Pace::new();
        loop {
            let mut waiting = Vec::new();
            self.watch().await?;
            let out = self.ask_all(async |balancer| balancer.is_out(backups_too).await).await?;
            waiting.extend(out.into_iter().filter(|(_, out)| !out).map(|(name, _)| name));
            if self.is_blind() && Instant::now() < must_be_out {
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
                let what =
                    format!("not out after {} on {}", humantime::format_duration(deadline - began), waiting.join(", "));
                let hint = "does its health check really go to `check_port`? Compare with `server … check port` in haproxy.cfg";
                return Err(Fault::new(Outcome::TimedOut, what, Some(hint.to_owned())));
            }
            self.rest(pace.pause()).await?;
        }
    }

    /// Right before the stop: every balancer's record, and the guard.
    pub(super) async fn last_look(&mut self) -> Result<Outcome, Fault> {
        for (name, out) in self.ask_all(async |balancer| balancer.is_out(true).await).await? {
            if !out {
                let what = format!("{name} no longer shows the app out: someone has put it back");
                return Err(Fault::new(Outcome::NotOut, what, Some("find out who, then try again".to_owned())));
            }
        }
        self.ask_guard().await?;
        Ok(Outcome::Done)
    }

    /// A random 0 to 2 s, so that two hosts that undid for each other's sake do not try again in step.
    pub(super) async fn pause(&mut self) -> Result<Outcome, Fault> {
        let pause = Duration::from_millis(rand::random_range(0..2000));
        self.log.remark(format!("tries once more in {}", humantime::format_duration(pause)));
        self.rest(pause).await?;
        Ok(Outcome::Done)
    }

    /// Makes one move on every balancer: intents on disk, then all at once. The first error is returned, after all have ended.
    pub(super) async fn move_balancers(&mut self, step: Move) -> Result<(), Fault> {
        self.announce(step)?;
        let made = join_all(self.balancers.iter_mut().map(|balancer| async {
            let made = balancer.make(step).await;
            (balancer.name().to_owned(), made)
        }));
        let mut failed = Vec::new();
        for (name, made) in made.await {
            match made {
                Err(error) if error.is_unreachable() && self.may_go_without() => self.give_up(&name, error)?,
                made => failed.push(made),
            }
        }
        all_well(failed)
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
