//! What was found, and whose it is: ours, an earlier run's of ours, or somebody else's.

use super::Admin;
use crate::haproxy::{OperationalState, ServerId, ServerState, StatRow};
use crate::journal::Found;
use crate::rotation::{Move, RotationError};

impl Admin {
    /// What was found, entry by entry.
    pub fn found(&self) -> Vec<Found> {
        self.entries.iter().filter_map(|entry| entry.found.clone()).collect()
    }

    /// Entries that someone else had in maintenance, given what earlier runs of ours had found: they are left so.
    pub fn left_alone(&self, owed: &[Found]) -> Vec<ServerId> {
        let alone = self.entries.iter().filter(|entry| !entry.is_ours() && entry.owed(owed).is_none());
        alone.map(|entry| entry.server.clone()).collect()
    }

    /// Whether every entry was found in maintenance.
    pub fn is_left_alone(&self) -> bool {
        self.entries.iter().all(|entry| !entry.is_ours())
    }

    /// Looks how every entry is, and keeps it as what undo restores.
    pub async fn find(&mut self) -> Result<Vec<ServerState>, RotationError> {
        let states = self.states().await?;
        for (entry, state) in self.entries.iter_mut().zip(&states) {
            entry.found = Some(Found {
                server: entry.server.clone(),
                backup: entry.backup,
                admin: state.admin.0,
                up: state.operational != OperationalState::Stopped,
                weight: state.weight,
                checked: state.check.enabled(),
            });
        }
        Ok(states)
    }

    /// Treats every entry as ours, also one found in maintenance: `pitstop in` is the word of a person. The weight is that of
    /// before a run of ours that changed it.
    pub fn claim_all(&mut self, owed: &[Found]) {
        for entry in &mut self.entries {
            let before = owed.iter().find(|found| found.server == entry.server).map(|found| found.weight);
            if let Some(found) = &mut entry.found {
                found.admin = 0;
                found.up = true;
                found.weight = before.unwrap_or(found.weight);
            }
        }
    }

    /// Treats as ours what an earlier run of ours has put into maintenance, and found otherwise.
    pub fn claim_owed(&mut self, owed: &[Found]) {
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_ours()) {
            if let Some(found) = entry.owed(owed) {
                entry.found = Some(found.clone());
            }
        }
    }

    /// Goes on for a run that died: `found` is what it found, `states` how the entries are now, where that could be asked. Entries that
    /// are in maintenance now, and that it had no hand in, are somebody else's: they are left so, and returned.
    pub fn adopt(&mut self, found: &[Found], states: Option<&[ServerState]>, took_out: bool) -> Vec<ServerId> {
        self.touched = true;
        let mut others = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let state = states.and_then(|states| states.get(index));
            let in_maintenance = state.is_some_and(|state| state.admin.in_maintenance());
            if let Some(found) = found.iter().find(|found| found.server == entry.server) {
                entry.found = Some(found.clone());
                if entry.is_ours() && in_maintenance && !took_out {
                    entry.found = Some(Found { admin: state.map_or(0, |state| state.admin.0), ..found.clone() });
                    others.push(entry.server.clone());
                }
            }
            entry.out_already = entry.is_ours() && in_maintenance;
        }
        others
    }

    /// Goes on for a run that has made this move, and is over or dead: where a reload has undone it, that shows.
    pub fn told(&mut self, step: Move) {
        self.asserted = Some(step).filter(|_| !self.read_only);
    }

    /// On the way back HAProxy's checks decide, where it has any, when an entry is up.
    pub fn leave_to_checks(&mut self) {
        for found in self.entries.iter_mut().filter_map(|entry| entry.found.as_mut()) {
            found.up &= !found.checked;
        }
    }

    /// Entries of ours that are in maintenance where we have not put them: somebody else's from now on, and left so.
    pub async fn leave_to_others(&mut self) -> Result<Vec<ServerId>, RotationError> {
        if self.read_only || self.asserted == Some(Move::TakeOut) {
            return Ok(Vec::new());
        }
        let states = self.states().await?;
        let mut taken = Vec::new();
        for (entry, state) in self.entries.iter_mut().zip(&states) {
            if entry.is_ours()
                && !entry.out_already
                && state.admin.in_maintenance()
                && let Some(found) = entry.found.as_mut()
            {
                found.admin = state.admin.0;
                taken.push(entry.server.clone());
            }
        }
        Ok(taken)
    }

    /// Whether HAProxy's checks of this row matter to us: it is ours, checked, and not left draining.
    pub fn watches(&self, row: &StatRow) -> bool {
        let entry = self.entries.iter().find(|entry| row.is(&entry.server));
        entry.is_some_and(|entry| {
            entry.is_ours() && !entry.was_draining() && entry.found.as_ref().is_some_and(|found| found.checked)
        })
    }

    /// Whether a check has taken this row's server down since it was put back and was UP by that, by the count of the process that
    /// answered. False where that can't be told, as after a reload.
    pub fn has_gone_down(&self, row: &StatRow, pid: u32) -> bool {
        let entry = self.entries.iter().find(|entry| row.is(&entry.server));
        let before = entry.and_then(|entry| entry.downs).filter(|(counted_by, _)| *counted_by == pid);
        before.is_some_and(|(_, downs)| row.chkdown > downs)
    }

    /// From now on [`has_gone_down`](Self::has_gone_down) tells nothing: checks had another reason to fail than the app.
    pub fn forget_downs(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.downs = None);
    }
}
