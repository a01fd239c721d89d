//! What an app's journal asks a keeper for.

use crate::journal::{Debt, History, Lease};
use crate::run::Ending;

/// What is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Duty {
    /// Nothing: the app is in, or a person is needed, who must not be disturbed.
    Nothing,
    /// This run died; it is to be finished or undone.
    Finish(String),
    /// The app stays out.
    KeepOut {
        /// What is ours, and how it was before.
        debt: Debt,
        /// Who wants that, where somebody does; otherwise it was not proven.
        lease: Option<Lease>,
    },
    /// The app is proven, and not back everywhere.
    Pay(Debt),
}

impl Duty {
    /// By an app's history, while no run is at it.
    pub fn of(history: &History) -> Self {
        if let Some(run) = history.interrupted() {
            return Self::Finish(run.run.clone());
        }
        let lease = history.lease.clone();
        if let Some(running) = lease.clone().filter(|lease| !lease.is_over()) {
            return Self::KeepOut { debt: running.owes, lease };
        }
        match history.owing() {
            Some(debt) if debt.ending == Ending::PartlyIn => Self::Pay(debt),
            Some(debt) if debt.ending != Ending::Stuck => Self::KeepOut { debt, lease },
            _ => Self::Nothing,
        }
    }
}
