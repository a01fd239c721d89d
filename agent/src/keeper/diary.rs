//! The keeper's log, `apps/APP/keeper.log`: what it does and notices, a line each.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::events::{Event, Kind, Listener};
use crate::journal::app_dir;
use crate::text::escape;

/// From how many bytes on it is set aside, as `keeper.log.1`.
const LARGE: u64 = 1 << 20;

/// Writes down what people may want to know later.
#[derive(Debug, Clone)]
pub(super) struct Diary {
    path: PathBuf,
}

/// Where the diary of an app is.
pub(super) fn path(state_dir: &Path, app: &str) -> PathBuf {
    app_dir(state_dir, app).join("keeper.log")
}

impl Diary {
    pub(super) fn new(state_dir: &Path, app: &str) -> Self {
        Self { path: path(state_dir, app) }
    }

    /// A line with the time. A full disk must not end a keeper.
    pub(super) fn note(&self, what: &str) {
        let _ = self.append(&format!("{:.3} {}\n", jiff::Timestamp::now(), escape(what)));
    }

    /// Opened for each line, for a keeper may live for months: it is set aside while it does, and others may do so too.
    fn append(&self, line: &str) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|log| log.len() > LARGE) {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
        }
        let mut log = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        log.write_all(line.as_bytes())
    }
}

impl Listener for Diary {
    fn hear(&mut self, event: &Event) {
        match &event.kind {
            Kind::RunStarted { .. } => self.note(&format!("run {} begins", event.run)),
            Kind::Act { on, what } => self.note(&format!("{on}: {what}")),
            Kind::Remark { what } => self.note(what),
            Kind::StepEnded { step, error: Some(error), .. } => self.note(&format!("{step}: {}", error.what)),
            Kind::RunEnded { state, .. } => self.note(&format!("run {} ends: {state}", event.run)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_diary_is_set_aside_while_its_keeper_lives_so_that_it_never_takes_much_room() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(app_dir(state.path(), "web")).unwrap();
        let diary = Diary::new(state.path(), "web");
        let line = "x".repeat(64 << 10);
        for _ in 0..40 {
            diary.note(&line);
        }
        diary.note("the last");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let (now, before) = (path(state.path(), "web"), path(state.path(), "web").with_extension("log.1"));
        assert!(read(&now).ends_with(" the last\n"));
        for log in [now, before] {
            let length = fs::metadata(log).unwrap().len();
            assert!(length < LARGE + (65 << 10), "{length}");
        }
    }
}
