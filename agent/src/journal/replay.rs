//! Reads a journal back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use super::debt::Debt;
use super::lease::{Lease, Until};
use super::record::{Entry, Found, Record, Recovers};
use super::{JournalError, app_dir};
use crate::config::settings::Label;
use crate::run::{Death, Ending, Goal, Outcome, Policy, Run, Step};
use crate::service::{Identity, Note};

/// What an app's journal tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The last run that somebody asked for, and after it those that recovered it.
    pub chain: Vec<Last>,
    /// What all runs together still owe. A run under way counts as interrupted here.
    pub debt: Option<Debt>,
    /// Who wants the app out.
    pub lease: Option<Lease>,
    /// The last run that left the app in, where none has taken it out since.
    pub in_since: Option<InSince>,
    /// What was owed before the chain: an undo comes back to that.
    owed_before: Option<Debt>,
}

/// An app that is in: its redirect is lost with the boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSince {
    /// The run that left it so.
    pub run: String,
    /// The boot in which that was.
    pub boot_id: String,
}

/// One run in an app's journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// Its id.
    pub run: String,
    /// When it began (RFC 3339).
    pub began: String,
    /// Its records, in order.
    pub records: Vec<Record>,
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// What it is for.
    pub goal: Goal,
    /// Who called.
    pub who: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// The boot in which it began.
    pub boot_id: String,
    /// For how long an `out` was asked for.
    pub until: Option<Until>,
    /// What it recovers.
    pub recovers: Option<Recovers>,
}

/// What a run found before it changed anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundAll {
    /// Entries by balancer.
    pub balancers: BTreeMap<Label, Vec<Found>>,
    /// Whether the redirect was there; `None` where none was configured.
    pub redirect: Option<bool>,
    /// The app's process.
    pub process: Option<Identity>,
}

impl Last {
    /// Whether it ended, well or not; otherwise it was interrupted.
    pub fn ended(&self) -> bool {
        self.ending().is_some()
    }

    /// How it ended; `None` where it was interrupted.
    pub fn ending(&self) -> Option<Ending> {
        match self.records.last() {
            Some(Record::End { ending, .. }) => Some(*ending),
            _ => None,
        }
    }

    /// What it was for.
    pub fn goal(&self) -> Option<Goal> {
        self.begin().map(|begin| begin.goal)
    }

    /// How it began.
    pub fn begin(&self) -> Option<Begin> {
        self.records.iter().find_map(|record| match record.clone() {
            Record::Begin { goal, who, reason, boot_id, until, recovers } => {
                Some(Begin { goal, who, reason, boot_id, until, recovers })
            }
            _ => None,
        })
    }

    /// What it found, by its last word on that.
    pub fn found(&self) -> Option<FoundAll> {
        self.records.iter().rev().find_map(|record| match record.clone() {
            Record::Found { balancers, redirect, process } => Some(FoundAll { balancers, redirect, process }),
            _ => None,
        })
    }

    /// Where it stands, by the outcomes of its steps; the step is that which was begun last, or follows.
    pub fn state(&self, policy: &Policy) -> Option<Run> {
        let begin = self.begin()?;
        let born = begin.recovers.map_or_else(|| Run::new(begin.goal), |recovers| recovers.from);
        let mut run = born;
        for (index, record) in self.records.iter().enumerate() {
            match *record {
                Record::StepIntent { step } => run.step = Some(step),
                Record::StepOutcome { step, outcome, .. } => {
                    run.step = Some(step);
                    // Broken off by a person at last, it is as if it had died there.
                    if outcome != Outcome::Interrupted || index + 1 < self.records.len() {
                        run = run.after(outcome, policy);
                    }
                }
                Record::End { ending, .. } => (run.step, run.ending) = (None, ending),
                _ => {}
            }
        }
        Some(if self.ended() { run } else { run.died(&born) })
    }

    pub(super) fn announced_an_act(&self) -> bool {
        self.records.iter().any(|record| matches!(record, Record::ActIntent { .. }))
    }

    /// Whether it recovers by proof and put-back.
    fn puts_back(&self) -> bool {
        self.begin().and_then(|begin| begin.recovers).is_some_and(|recovers| recovers.from.first_step() == Step::Ready)
    }

    /// What the service driver told of the restart, in order.
    fn notes(&self) -> impl Iterator<Item = &Note> {
        let mut now = None;
        self.records.iter().filter_map(move |record| match record {
            Record::StepIntent { step } => {
                now = Some(*step);
                None
            }
            Record::Service { note } if matches!(now, Some(Step::Restart | Step::Revert)) => Some(note),
            _ => None,
        })
    }

    /// Whether it recovers another run, and refused or could not begin: that one is as it was.
    fn did_nothing(&self) -> bool {
        self.goal() == Some(Goal::Recover) && matches!(self.ending(), Some(Ending::Refused | Ending::Held))
    }
}

/// The history of `app`. It reads the journal once, from its beginning; the runs of one chain at a time are kept in memory. No journal is
/// an empty one.
///
/// # Errors
/// A torn last line does not count; a damaged one before it is [`JournalError::Damaged`].
pub fn history(state_dir: &Path, app: &str) -> Result<History, JournalError> {
    let path = app_dir(state_dir, app).join("journal");
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(History::default()),
        opened => BufReader::new(opened.map_err(JournalError::io(&path))?),
    };
    let mut history = History::default();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        file.read_until(b'\n', &mut bytes).map_err(JournalError::io(&path))?;
        let Some(whole) = bytes.strip_suffix(b"\n") else { break };
        let entry = Entry::from_line(&String::from_utf8_lossy(whole));
        history.add(entry.map_err(|why| JournalError::Damaged { path: path.clone(), line, why })?);
    }
    history.settle();
    Ok(history)
}

/// The apps of which anything is owing, leased out or interrupted, by their folders under the state directory; also those whose journal can't
/// be read.
pub fn unsettled(state_dir: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(state_dir.join("apps")).into_iter().flatten().flatten();
    let mut names: Vec<_> = folders.filter_map(|folder| folder.file_name().into_string().ok()).collect();
    names.retain(|app| history(state_dir, app).map_or(true, |history| !history.is_settled()));
    names.sort();
    names
}

impl History {
    /// Whether nothing is owing, leased out or interrupted.
    pub fn is_settled(&self) -> bool {
        self.debt.is_none() && self.lease.is_none() && self.interrupted().is_none()
    }

    fn add(&mut self, entry: Entry) {
        if let Some(last) = self.chain.last_mut().filter(|last| last.run == entry.run) {
            last.records.push(entry.record);
            return;
        }
        // What has no beginning is no run.
        if !matches!(entry.record, Record::Begin { .. }) {
            return;
        }
        self.settle();
        if !matches!(entry.record, Record::Begin { goal: Goal::Recover, .. }) {
            self.chain.clear();
            self.owed_before.clone_from(&self.debt);
        }
        self.chain.push(Last { run: entry.run, began: entry.at, records: vec![entry.record] });
    }

    /// Takes the last run, all of which has been read, into debt and lease.
    fn settle(&mut self) {
        let Some((last, before)) = self.chain.split_last() else { return };
        let recovers = last.goal() == Some(Goal::Recover);
        let owed = self.lease.as_ref().map(|lease| lease.owes.clone()).or_else(|| self.debt.clone());
        self.debt = match self.debt.take() {
            Some(debt) if recovers => debt.after_recovery(self.owed_before.as_ref(), last),
            // What goes with a reboot was never a debt; that it could not be restored is one.
            debt if recovers && !before.is_empty() && before.iter().all(Last::ended) => Debt::after(debt, last),
            debt if recovers => debt,
            debt => Debt::after(debt, last),
        };
        let asked = before.first().unwrap_or(last);
        match (asked.goal(), last.records.last()) {
            (Some(Goal::Out), Some(Record::End { ending: Ending::Done, .. })) if !last.puts_back() => {
                self.lease = Lease::of(asked, owed);
            }
            (_, Some(Record::End { ending: Ending::Done, out: false })) => self.lease = None,
            _ => {}
        }
        let left_in = match last.records.last() {
            Some(Record::End { ending: Ending::Done, out }) => Some(!out && self.lease.is_none()),
            Some(Record::End { ending: Ending::StaysOut | Ending::PartlyIn | Ending::Stuck, .. }) => Some(false),
            // It was undone, to what it had found.
            Some(Record::End { ending: Ending::Undone, .. }) => {
                last.found().and_then(|found| found.redirect).filter(|_| self.debt.is_none() && self.lease.is_none())
            }
            _ => None,
        };
        match (left_in, last.begin()) {
            (Some(true), Some(begin)) => {
                self.in_since = Some(InSince { run: last.run.clone(), boot_id: begin.boot_id })
            }
            (Some(false), _) => self.in_since = None,
            _ => {}
        }
    }

    /// What is to be paid now: what a lease that has run out keeps from the app, or else the debt.
    pub fn owing(&self) -> Option<Debt> {
        let Some(over) = self.lease.as_ref().filter(|lease| lease.is_over()) else { return self.debt.clone() };
        let ending = self.debt.as_ref().map_or(Ending::StaysOut, |debt| debt.ending);
        Some(Debt { ending, ..over.owes.clone() })
    }

    /// The last run.
    pub fn last(&self) -> Option<&Last> {
        self.chain.last()
    }

    /// The run that somebody asked for last.
    pub fn asked(&self) -> Option<&Last> {
        self.chain.first()
    }

    /// The run that died and was not recovered since; also one that runs just now.
    pub fn interrupted(&self) -> Option<&Last> {
        let last = self.chain.iter().rev().find(|run| !run.did_nothing())?;
        (!last.ended()).then_some(last)
    }

    /// Where the interrupted run died, as the core needs to know it.
    pub fn death(&self, boot_id: &str) -> Death {
        let boot = self.interrupted().and_then(Last::begin).map(|begin| begin.boot_id);
        Death {
            acted: self.chain.iter().any(Last::announced_an_act) || self.notes().next().is_some(),
            signalled: self.notes().next().is_some(),
            rebooted: boot.is_some_and(|boot| boot != boot_id),
        }
    }

    /// What the service driver told of the restart of this chain, in order.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.chain.iter().flat_map(Last::notes)
    }

    /// The app's process before the restart of this chain that is to be finished: the one that a run last saw right before it acted,
    /// or that the last attempt has brought.
    pub fn process(&self) -> Option<Identity> {
        let runs = || self.chain.iter().rev();
        let restart = runs().flat_map(|run| run.records.iter().rev()).find_map(|record| match record {
            Record::Restarting { process } => Some(process.clone()),
            Record::Restarted { process } => Some(Some(process.clone())),
            _ => None,
        });
        restart.unwrap_or_else(|| runs().find_map(|run| run.found()?.process))
    }

    /// How the entries on a balancer were found by the first run of this chain; where a recovery has found that somebody else has set
    /// one since, as that one found it.
    pub fn found_on(&self, balancer: &str) -> Option<Vec<Found>> {
        let found = |run: &Last| run.found()?.balancers.into_iter().find(|(name, _)| name.as_str() == balancer);
        self.chain.iter().rev().filter_map(found).map(|(_, found)| found).find(|found| !found.is_empty())
    }

    /// Whether the first run of this chain that looked found the redirect.
    pub fn found_redirect(&self) -> Option<bool> {
        self.chain.iter().find_map(|run| run.found()?.redirect)
    }

    /// Whether maintenance may be ours: a run of this chain may have set it, one before it did, or it was to be ended whoever set it.
    /// If not, what is there is somebody else's.
    pub fn may_have_taken_out(&self) -> bool {
        let took = |record: &Record| matches!(record, Record::StepIntent { step: Step::TakeOut | Step::PullBack });
        self.chain.iter().flat_map(|run| &run.records).any(took)
            || self.owed_before.is_some()
            || self.lease.is_some()
            || self.asked().and_then(Last::goal) == Some(Goal::In)
    }
}
