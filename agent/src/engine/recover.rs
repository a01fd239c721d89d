//! Where a run that died, or left something owing, goes on: the journal's word, compared with what HAProxy, the kernel and the
//! service manager say now.

use std::path::Path;
use std::time::Duration;

use super::configs::Configs;
use super::fault::chain;
use super::{Engine, Fault, unloaded};
use crate::config::settings::App;
use crate::journal::{self, Claim, ClaimError, Found, History, JournalError};
use crate::process;
use crate::rotation::Move;
use crate::run::{Ending, Outcome, Policy, Run, Step};
use crate::service::left::Left;

/// How long the app may take to prove itself before it is put back by an undo that comes late; without that proof HAProxy's own checks
/// decide.
const QUICK_PROOF: Duration = Duration::from_secs(5);

/// What is to be recovered, and from where.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The state that the recovering run begins in.
    pub run: Run,
    /// The run that died, or left something owing.
    pub of: String,
    /// Whether it died.
    pub died: bool,
    history: History,
}

impl Recovery {
    /// What there is to recover of `app`; `None` when nothing is owing. A run that goes on just now counts as dead: ask
    /// [`Claim::holder`] first.
    ///
    /// # Errors
    /// The journal can't be read, or can't be believed.
    pub fn of(app: &App, state_dir: &Path) -> Result<Option<Self>, JournalError> {
        let mut history = journal::history(state_dir, app.name.as_str())?;
        let boot_id = process::boot_id().unwrap_or_default();
        let recovery = |run, of: &str, died, history| Some(Self { run, of: of.to_owned(), died, history });
        if let Some(last) = history.interrupted() {
            let died = last.state(&Policy::of(app)).unwrap_or_else(|| Run::new(crate::run::Goal::Restart));
            let of = last.run.clone();
            return Ok(recovery(died.recovery(history.death(&boot_id)), &of, true, history));
        }
        if let Some(debt) = history.owing() {
            history.debt = Some(debt.clone());
            return Ok(recovery(Run::paying(debt.ending), &debt.run, false, history));
        }
        // The redirect of an app that was in went with the boot.
        match history.in_since.clone() {
            Some(since) if since.boot_id != boot_id && app.redirect.is_some() => {
                Ok(recovery(Run::paying(Ending::StaysOut), &since.run, false, history))
            }
            _ => Ok(None),
        }
    }

    /// In one sentence, for people.
    pub fn describe(&self) -> String {
        let lease = self.history.lease.as_ref().filter(|lease| !self.died && lease.is_over());
        if let Some(lease) = lease {
            return format!("the lease of {} has run out: the app is proven and put back", lease.who);
        }
        let what = if self.died { "was interrupted" } else { "left something owing" };
        let how = match self.run.first_step() {
            Step::Release => "nothing is to be done for it",
            Step::Undo => "it is undone",
            Step::Soften => "its restart is finished",
            Step::Ready => "the app is proven and put back",
            Step::PullBack => "the app is taken out again",
            _ => "it is brought to its end",
        };
        format!("run {} {what}: {how}", self.of)
    }

    /// How each entry was on a balancer before anything that is to be undone or paid.
    fn found_on(&self, balancer: &str) -> Vec<Found> {
        let owed = self.history.debt.as_ref().map(|debt| debt.on(balancer)).filter(|owed| !owed.is_empty());
        match owed {
            // An undo comes back to what that run found, also where that is not how it should be.
            Some(owed) if !self.undoes() => owed.to_vec(),
            _ => self.history.found_on(balancer).unwrap_or_default(),
        }
    }

    fn found_redirect(&self) -> Option<bool> {
        let owed = self.history.debt.as_ref().and_then(|debt| debt.redirect);
        if self.undoes() { self.history.found_redirect() } else { owed.or(Some(true)) }
    }

    /// What the chain's runs have left of their restart.
    fn unfinished(&self, app: &App) -> Left {
        Left {
            app: app.name.to_string(),
            runs: self.history.chain.iter().map(|run| run.run.clone()).collect(),
            before: self.history.process(),
            notes: self.history.notes().cloned().collect(),
        }
    }

    /// Whether nothing was left undone: an app that was in is to be in after a boot as well, as HAProxy has it now.
    fn only_boot(&self) -> bool {
        !self.died && self.history.debt.is_none()
    }

    fn undoes(&self) -> bool {
        self.run.first_step() == Step::Undo
    }
}

impl Engine<'_> {
    /// Makes this run, which is for [`Goal::Recover`](crate::run::Goal::Recover), recover that.
    #[must_use]
    pub fn recovering(mut self, recovery: Recovery) -> Self {
        self.last_run = recovery.history.last().cloned();
        self.owed.clone_from(&recovery.history.debt);
        self.lease = recovery.history.lease.clone().filter(|lease| !lease.is_over());
        self.unfinished = Some(recovery.unfinished(self.app)).filter(|left| !left.notes.is_empty());
        self.recovery = Some(recovery);
        self
    }

    /// The preflight of a recovery refuses as little as possible: what can't be reached is owing in the end.
    pub(super) async fn preflight_recovery(&mut self) -> Result<Outcome, Fault> {
        if let Some(holder) = Claim::holder(&self.request.state_dir, self.app.name.as_str()) {
            return Err(ClaimError::Held(Some(holder)).into());
        }
        if let Some(recovery) = &self.recovery {
            self.log.remark(recovery.describe());
        }
        let configs = Configs::read(&self.app.balancers);
        let (reached, lost) = (std::mem::take(&mut self.balancers), std::mem::take(&mut self.lost));
        for mut balancer in reached.into_iter().chain(lost) {
            let recorded = self.recovery.as_ref().map(|recovery| recovery.found_on(balancer.name()));
            let config = configs.of(balancer.name());
            match unloaded::find(&mut balancer, config, &recorded.unwrap_or_default()).await {
                Ok((_, unread)) => {
                    unread.into_iter().for_each(|unread| self.log.remark(unread.what));
                    self.balancers.push(balancer);
                }
                Err(error) if error.is_unreachable() && !self.must_reach_all() => {
                    self.log.remark(format!("{}; it stays owing", chain(&error)));
                    self.lost.push(balancer);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(ports) = &mut self.ports {
            ports.find().await?;
        }
        self.inspect_kills(&configs);
        let unnamed = self.inspect_unnamed().await?;
        self.refuse_errors(unnamed)
    }

    /// Whether every balancer must be reached: an app that may be stopped once more must be known to be out, unless `unreachable` says
    /// otherwise.
    fn must_reach_all(&self) -> bool {
        !self.may_go_without() && self.recovery.as_ref().is_some_and(|recovery| recovery.run.finishes_restart())
    }

    /// Compares what the journal tells with how things are: what was found is as the dead run found it, and what somebody else has set
    /// since is theirs. Where nothing but the boot is to be made good, it is as it is found now, but for the redirect.
    pub(super) async fn adopt(&mut self, recovery: &Recovery) -> Result<(), Fault> {
        if let (Some(ports), Some(redirect)) = (&mut self.ports, recovery.found_redirect()) {
            ports.adopt(redirect);
        }
        if recovery.only_boot() {
            return Ok(());
        }
        let took_out = !recovery.died || recovery.history.may_have_taken_out();
        for balancer in &mut self.balancers {
            let states = balancer.states().await?;
            let found = recovery.found_on(balancer.name());
            let others = balancer.adopt(&found, Some(&states), took_out);
            // Until it is proven, a reload must not put it in.
            if !recovery.died && balancer.shows_all(&states, Move::TakeOut) {
                balancer.told(Move::TakeOut);
            }
            for server in others {
                let name = balancer.name().to_owned();
                self.log.remark(format!("{server} on {name} is in maintenance by somebody else: it is left so"));
                self.left_alone.push((name, server));
            }
        }
        for balancer in &mut self.lost {
            let found = recovery.found_on(balancer.name());
            balancer.adopt(&found, None, took_out);
        }
        Ok(())
    }

    /// An undo that comes late, by another process, puts back an app that nobody has looked at meanwhile. Without a proof, HAProxy's own
    /// checks decide as they would have done.
    pub(super) async fn prove_before_undo(&mut self) {
        if self.is_healthy(QUICK_PROOF).await {
            return;
        }
        self.log.remark(
            "the app does not pass its probes, though nobody stopped it: HAProxy's checks decide when it is up",
        );
        for balancer in self.balancers.iter_mut().chain(&mut self.lost) {
            balancer.leave_to_checks();
        }
    }
}
