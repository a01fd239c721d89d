//! The ends of a run: the claim with what is found, and its release.

use std::path::Path;
use std::time::{Duration, Instant};

use super::fault::chain;
use super::interrupt::Interrupt;
use super::{Engine, Fault};
use crate::journal::{self, Claim, ClaimError, Holder, Journal, Record, Recovers, Until};
use crate::process;
use crate::run::{Goal, Outcome};

/// How long another recovery of the app is waited for.
const OTHERS: Duration = Duration::from_secs(60);

/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Who holds the app. A recovery of it, such as its keeper's, does what whoever comes would do first: it is waited for, 60 s at most, after
/// `tell` was given the words for that.
pub async fn holder(state_dir: &Path, app: &str, interrupt: &Interrupt, tell: impl FnOnce(String)) -> Option<Holder> {
    let deadline = Instant::now() + OTHERS;
    let mut tell = Some(tell);
    loop {
        let holder = Claim::holder(state_dir, app)?;
        if holder.goal != Goal::Recover || interrupt.is_asked() || Instant::now() >= deadline {
            return Some(holder);
        }
        if let Some(tell) = tell.take() {
            tell(format!("waits for the recovery that is under way: {holder}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Engine<'_> {
    /// Claims the app; then what is found is on disk before anything is changed.
    pub(super) async fn claim(&mut self) -> Result<Outcome, Fault> {
        let holder = Holder {
            pid: std::process::id(),
            run: self.log.run().to_owned(),
            goal: self.request.goal,
            who: self.request.who.clone(),
            since: format!("{:.0}", jiff::Timestamp::now()),
            reason: self.request.reason.clone(),
            step: None,
        };
        let claim = self.take(holder).await?;
        self.log.open(Journal::open(&self.request.state_dir, self.app.name.as_str(), self.log.run())?);
        self.claim = Some(claim);
        self.log.record(Record::Begin {
            goal: self.request.goal,
            who: self.request.who.clone(),
            reason: self.request.reason.clone(),
            boot_id: process::boot_id().unwrap_or_default(),
            until: self.request.lease.map(Until::after),
            recovers: self.recovery.as_ref().map(|recovery| Recovers { run: recovery.of.clone(), from: recovery.run }),
        })?;
        if let Some(recovery) = self.recovery.clone() {
            self.adopt(&recovery).await?;
            self.found_out = self.is_out();
            self.record_found().await?;
            return Ok(Outcome::Done);
        }
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
        self.found_out = self.is_out();
        if self.request.goal == Goal::Restart && !self.found_out && self.owed.is_none() {
            // Somebody has put it in beside its lease, if in part: what is proven goes in everywhere, and the lease is over.
            self.owed = self.lease.take().map(|lease| lease.owes);
        }
        self.record_found().await?;
        for balancer in &mut self.balancers {
            balancer.count().await?;
        }
        Ok(Outcome::Done)
    }

    /// Takes the claim for a run to which the last look still applies. Where a recovery came in between, such as the keeper's, that is
    /// waited for, and all is looked at once more.
    async fn take(&mut self, holder: Holder) -> Result<Claim, Fault> {
        let deadline = Instant::now() + OTHERS;
        loop {
            let other = match Claim::take(&self.request.state_dir, self.app.name.as_str(), holder.clone()).await {
                Ok(claim) if self.is_as_it_was_looked_at()? => return Ok(claim),
                Ok(_) => None,
                Err(ClaimError::Held(other)) => other,
                Err(error) => return Err(error.into()),
            };
            let passes = other.as_ref().is_none_or(|other| other.goal == Goal::Recover);
            if !passes || self.recovery.is_some() || self.interrupt.is_asked() || Instant::now() >= deadline {
                return Err(ClaimError::Held(other).into());
            }
            self.preflight().await?;
        }
    }

    /// Another run may have come in between the look into the journal and the claim.
    fn is_as_it_was_looked_at(&self) -> Result<bool, Fault> {
        let now = journal::history(&self.request.state_dir, self.app.name.as_str())?;
        Ok(now.last() == self.last_run.as_ref())
    }

    /// What undo is to restore, on disk.
    pub(super) async fn record_found(&mut self) -> Result<(), Fault> {
        let process = self.service.identity().await.unwrap_or_default();
        let named = self.app.balancers.iter().map(|balancer| &balancer.name);
        let found = |name: &str| {
            let mut known = self.balancers.iter().chain(&self.lost);
            known.find(|balancer| balancer.name() == name).map(|balancer| balancer.found())
        };
        self.log.record(Record::Found {
            balancers: named.filter_map(|name| Some((name.clone(), found(name.as_str())?))).collect(),
            redirect: self.ports.as_ref().and_then(|ports| ports.found()),
            process,
        })?;
        Ok(())
    }

    /// Whether nothing that we could take out is in: no redirect, and maintenance on every balancer that we write to.
    fn is_out(&self) -> bool {
        let written = || self.balancers.iter().filter(|balancer| !balancer.is_read_only());
        let redirect = self.ports.as_ref().map(|ports| ports.found() != Some(false));
        redirect != Some(true)
            && written().all(|balancer| balancer.is_left_alone())
            && (redirect.is_some() || written().next().is_some())
    }

    /// The last counters for the receipt. The claim itself is given back when the run is over.
    pub(super) async fn release(&mut self) -> Result<Outcome, Fault> {
        if let Some(why) = self.log.lost() {
            let message = format!("pitstop: {}: {why}; its run went on to the end without it", self.app.name);
            if let Err(fault) = self.say_aloud(message).await {
                self.log.remark(format!("the alert failed: {}", fault.trouble.what));
            }
        }
        for balancer in &mut self.balancers {
            if let Err(error) = balancer.count().await {
                self.counted = false;
                self.log.remark(format!("the receipt is not complete: {}", chain(&error)));
            }
        }
        Ok(Outcome::Done)
    }
}
