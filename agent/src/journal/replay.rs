//! Reads a journal back.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use super::debt::Debt;
use super::record::{Entry, Record};
use super::{JournalError, app_dir};
use crate::run::{Ending, Goal};

/// What an app's journal tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The last run.
    pub last: Option<Last>,
    /// What all runs together still owe. A run under way counts as interrupted here.
    pub debt: Option<Debt>,
}

/// The last run in an app's journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// Its id.
    pub run: String,
    /// When it began (RFC 3339).
    pub began: String,
    /// Its records, in order.
    pub records: Vec<Record>,
}

impl Last {
    /// Whether it ended, well or not; otherwise it was interrupted.
    pub fn ended(&self) -> bool {
        self.ending().is_some()
    }

    /// How it ended; `None` where it was interrupted.
    pub fn ending(&self) -> Option<Ending> {
        match self.records.last() {
            Some(Record::End { ending }) => Some(*ending),
            _ => None,
        }
    }

    /// What it was for; `None` where its first record could not be written.
    pub fn goal(&self) -> Option<Goal> {
        self.records.iter().find_map(|record| match record {
            Record::Begin { goal, .. } => Some(*goal),
            _ => None,
        })
    }

    pub(super) fn announced_an_act(&self) -> bool {
        self.records.iter().any(|record| matches!(record, Record::ActIntent { .. }))
    }
}

/// The last run of `app`, or `None` if there was none. See [`history`].
pub fn last_run(state_dir: &Path, app: &str) -> Result<Option<Last>, JournalError> {
    history(state_dir, app).map(|history| history.last)
}

/// What is still owed to `app`, or `None` if nothing is. See [`history`].
pub fn debt(state_dir: &Path, app: &str) -> Result<Option<Debt>, JournalError> {
    history(state_dir, app).map(|history| history.debt)
}

/// Reads the journal of `app` once, from its beginning; one run at a time is kept in memory. No journal is an empty one.
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

impl History {
    fn add(&mut self, entry: Entry) {
        match &mut self.last {
            Some(last) if last.run == entry.run => last.records.push(entry.record),
            _ => {
                self.settle();
                self.last = Some(Last { run: entry.run, began: entry.at, records: vec![entry.record] });
            }
        }
    }

    /// Takes the last run, all of which has been read, into the debt.
    fn settle(&mut self) {
        if let Some(last) = &self.last {
            self.debt = Debt::after(self.debt.take(), last);
        }
    }
}
