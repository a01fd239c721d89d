//! Reads a journal back.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::record::{Entry, Record};
use super::{JournalError, app_dir};
use crate::run::Ending;

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
        matches!(self.records.last(), Some(Record::End { .. }))
    }

    /// Whether it ended with the app out of rotation against its will; `pitstop out` means it.
    pub fn left_it_out(&self) -> bool {
        let out = |ending: &Ending| matches!(ending, Ending::StaysOut | Ending::PartlyIn | Ending::Stuck);
        matches!(self.records.last(), Some(Record::End { ending }) if out(ending))
    }
}

/// The last run of `app`, or `None` if there was none. A torn last line does not count; a damaged one in the middle is an error.
pub fn last_run(state_dir: &Path, app: &str) -> Result<Option<Last>, JournalError> {
    let path = app_dir(state_dir, app).join("journal");
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(JournalError::io(&path))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut last: Option<Last> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let Some(line) = line.strip_suffix('\n') else {
            break;
        };
        let entry =
            Entry::from_line(line).map_err(|why| JournalError::Damaged { path: path.clone(), line: index + 1, why })?;
        match &mut last {
            Some(last) if last.run == entry.run => last.records.push(entry.record),
            _ => last = Some(Last { run: entry.run, began: entry.at, records: vec![entry.record] }),
        }
    }
    Ok(last)
}
