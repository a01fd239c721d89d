//! What a run that died in the middle of a restart has left behind.

use std::time::Instant;

use super::arrival::{Before, Missed, Origin, Starter, arrival};
use super::family::{self, Finder, blocking, unreadable};
use super::mark::{Mark, Purpose, without};
use super::{Identity, Note, ServiceError};
use crate::drain::Pace;
use crate::process::{self, Process};

/// What the journal tells of a restart that a run began and did not live to finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The app's name.
    pub app: String,
    /// The run's id; where it was itself a recovery, also those of the runs that it was to finish.
    pub runs: Vec<String>,
    /// The app as it was found before that restart; after several attempts, before the last.
    pub before: Option<Identity>,
    /// What the service driver told since within that step, in order.
    pub notes: Vec<Note>,
}

impl Left {
    /// Waits until no command that these runs started to revert the app still runs.
    ///
    /// # Errors
    /// One does at `deadline`, and goes on.
    pub async fn await_revert(&self, deadline: Instant) -> Result<(), ServiceError> {
        let pace = Pace::new();
        loop {
            let left = self.carriers(Purpose::Revert).await?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(still_runs(&left, "to revert the app"));
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }

    /// The app's old main process, if it lives.
    pub(super) fn old(&self) -> Result<Option<Process>, ServiceError> {
        let Some(before) = &self.before else {
            return Ok(None);
        };
        let alive = before.main.is_alive().map_err(unreadable)?;
        Ok(alive.then_some(before.main))
    }

    /// Waits for the app that these runs' commands bring, as a run does for its own; `None` when nothing came and
    /// nothing of theirs is left that could still bring it.
    pub(super) async fn arrival(
        &self,
        finder: &Finder,
        origin: Origin,
        deadline: Instant,
    ) -> Result<Option<Identity>, ServiceError> {
        let old = self.before.iter().map(|identity| identity.main).collect();
        let before = Before { old, named: None };
        match arrival(finder, &before, Starter::Left(self), origin, deadline).await {
            Ok(identity) => Ok(Some(identity)),
            Err(missing) if !matches!(missing.missed, Missed::Late) => Ok(None),
            Err(missing) => {
                let left = self.processes().await?;
                let error = match left.is_empty() {
                    true => ServiceError::touched("no new process holds the app's port"),
                    false => still_runs(&left, "to restart the app"),
                };
                Err(match missing.doubt {
                    Some(doubt) => error.because(doubt),
                    None => error,
                })
            }
        }
    }

    /// What lives of the commands that were to restart the app, and of what they started. The old app, which an earlier
    /// attempt of the same run may have started, does not belong to it.
    pub(super) async fn processes(&self) -> Result<Vec<Process>, ServiceError> {
        let mut left = self.carriers(Purpose::Restart).await?;
        for note in &self.notes {
            if let Note::Child { process, .. } = note
                && !left.contains(process)
                && process.is_alive().map_err(unreadable)?
            {
                left.push(*process);
            }
        }
        let old: Vec<Process> = self.old()?.into_iter().collect();
        blocking(move || without(left, &old).map_err(unreadable)).await
    }

    /// Whether a process, or one above it, is one of [`processes`](Self::processes).
    pub(super) async fn brought(&self, process: Process) -> Result<bool, ServiceError> {
        let left = self.processes().await?;
        let above = process::ancestors_of(process.pid).map_err(unreadable)?;
        Ok(left.iter().any(|left| *left == process || above.contains(&left.pid)))
    }

    async fn carriers(&self, purpose: Purpose) -> Result<Vec<Process>, ServiceError> {
        let mark = |run: &String| Mark { app: self.app.clone(), run: run.clone(), purpose };
        let marks: Vec<Mark> = self.runs.iter().map(mark).collect();
        blocking(move || {
            let carriers: std::io::Result<Vec<_>> = marks.iter().map(Mark::carriers).collect();
            carriers.map(|carriers| carriers.concat()).map_err(unreadable)
        })
        .await
    }
}

fn still_runs(left: &[Process], why: &str) -> ServiceError {
    let pids: Vec<String> = left.iter().map(|process| process.pid.to_string()).collect();
    ServiceError::touched(format!("what an interrupted run started {why} still runs: {}", family::show(left)))
        .with_hint(format!("ps -fp {}", pids.join(",")))
}
