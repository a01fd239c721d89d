//! What runs that did not get to their end still owe an app.

use std::collections::BTreeMap;

use super::record::Found;
use super::replay::Last;
use crate::config::settings::Label;
use crate::run::{Ending, Goal};

/// How an app is to be once it is proven, after runs that left it otherwise.
///
/// A run that stays out, gets in on some balancers only, is stuck, or was interrupted after it announced an act, opens a debt. Runs
/// that changed nothing (undone, refused, held) leave it as it is. Only a run that is done pays it: `restart` and `in` by
/// putting back what is owed, `out` because the word of a person that the app shall be out takes its place, `recover` by either.
/// One that recovers by undoing leaves what was owed before.
#[derive(Debug, Clone, PartialEq)]
pub struct Debt {
    /// The run that opened it.
    pub run: String,
    /// How the last run of the debt ended; `StaysOut` where it was interrupted.
    pub ending: Ending,
    /// Each entry as it was before anything of ours: as the first run of the debt found it that knew it. Where that run was an
    /// `in`, whose caller asked for every entry, none is in maintenance or draining.
    pub found: BTreeMap<Label, Vec<Found>>,
    /// The same for the redirect; `None` where none was configured.
    pub redirect: Option<bool>,
}

impl Debt {
    /// What is owed on a balancer; nothing where that was not known then.
    pub fn on(&self, balancer: &str) -> &[Found] {
        let found = self.found.iter().find(|(name, _)| name.as_str() == balancer);
        found.map(|(_, found)| found.as_slice()).unwrap_or_default()
    }

    /// The debt after a run that somebody asked for, given the one before it.
    pub(super) fn after(before: Option<Self>, run: &Last) -> Option<Self> {
        match run.ending() {
            Some(Ending::Done) => None,
            Some(ending @ (Ending::StaysOut | Ending::PartlyIn | Ending::Stuck)) => {
                Some(Self::joined(before, run, ending))
            }
            None if run.announced_an_act() => Some(Self::joined(before, run, Ending::StaysOut)),
            Some(Ending::Undone | Ending::Refused | Ending::Held) | None => before,
        }
    }

    /// The debt after a run that recovered others: `before` them there was that, and they left this one.
    pub(super) fn after_recovery(self, before: Option<&Self>, recovery: &Last) -> Option<Self> {
        match recovery.ending() {
            Some(Ending::Done) => None,
            Some(Ending::Undone) => before.cloned(),
            Some(ending @ (Ending::StaysOut | Ending::PartlyIn | Ending::Stuck)) => Some(Self { ending, ..self }),
            Some(Ending::Refused | Ending::Held) | None => Some(self),
        }
    }

    /// What an earlier run found stands; `run` adds only what none before it knew, such as a balancer that did not answer then.
    pub(super) fn joined(before: Option<Self>, run: &Last, ending: Ending) -> Self {
        let empty = || Self { run: run.run.clone(), ending, found: BTreeMap::new(), redirect: None };
        let mut debt = Self { ending, ..before.unwrap_or_else(empty) };
        let Some(found) = run.found() else { return debt };
        let all_in = run.goal() == Some(Goal::In);
        // A recovery that has no debt before it wants back a redirect that went with the boot.
        let redirect_in = all_in || run.goal() == Some(Goal::Recover);
        debt.redirect = debt.redirect.or(found.redirect.map(|redirect| redirect || redirect_in));
        for (balancer, entries) in found.balancers {
            let known = debt.found.entry(balancer).or_default();
            for entry in entries {
                if known.iter().all(|known| known.server != entry.server) {
                    known.push(if all_in { Found { admin: 0, up: true, ..entry } } else { entry });
                }
            }
        }
        debt
    }
}
