//! What runs that did not get to their end still owe an app.

use std::collections::BTreeMap;

use super::record::{Found, Record};
use super::replay::Last;
use crate::config::settings::Label;
use crate::run::{Ending, Goal};

/// How an app is to be once it is proven, after runs that left it otherwise.
///
/// A run that stays out, gets in on some balancers only, is stuck, or was interrupted after it announced an act, opens a debt. Runs
/// that changed nothing (undone, refused, held) leave it as it is. Only a run that is done pays it: `restart` and `in` by
/// putting back what is owed, `out` because the word of a person that the app shall be out takes its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Debt {
    /// The run that opened it.
    pub run: String,
    /// Each entry as it was before anything of ours: as the first run of the debt found it that knew it. Where that run was an
    /// `in`, whose caller asked for every entry, none is in maintenance or draining.
    pub found: BTreeMap<Label, Vec<Found>>,
    /// The same for the redirect; `None` where none was configured.
    pub redirect: Option<bool>,
}

impl Debt {
    /// The debt after `run`, given the one before it.
    pub(super) fn after(before: Option<Self>, run: &Last) -> Option<Self> {
        match run.ending() {
            Some(Ending::Done) => None,
            Some(Ending::StaysOut | Ending::PartlyIn | Ending::Stuck) => Some(Self::joined(before, run)),
            None if run.announced_an_act() => Some(Self::joined(before, run)),
            Some(Ending::Undone | Ending::Refused | Ending::Held) | None => before,
        }
    }

    /// What an earlier run found stands; `run` adds only what none before it knew, such as a balancer that did not answer then.
    fn joined(before: Option<Self>, run: &Last) -> Self {
        let empty = || Self { run: run.run.clone(), found: BTreeMap::new(), redirect: None };
        let mut debt = before.unwrap_or_else(empty);
        for record in &run.records {
            let Record::Found { balancers, redirect, .. } = record else { continue };
            let all_in = run.goal() == Some(Goal::In);
            debt.redirect = debt.redirect.or(redirect.map(|redirect| redirect || all_in));
            for (balancer, entries) in balancers {
                let known = debt.found.entry(balancer.clone()).or_default();
                for entry in entries {
                    if known.iter().all(|known| known.server != entry.server) {
                        known.push(if all_in { Found { admin: 0, up: true, ..entry.clone() } } else { entry.clone() });
                    }
                }
            }
        }
        debt
    }
}
