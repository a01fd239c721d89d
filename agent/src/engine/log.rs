//! Journal and events, in this order: what is told has been written down.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::events::{Event, Kind, Listener};
use crate::journal::{Journal, JournalError, Record};
use crate::service::Note;

/// One run's journal and its listener. Shared by reference with drivers that report from within.
pub struct Log<'a> {
    app: String,
    run: String,
    inner: Mutex<Inner<'a>>,
}

struct Inner<'a> {
    seq: u64,
    journal: Option<Journal>,
    listener: &'a mut (dyn Listener + Send),
}

impl<'a> Log<'a> {
    /// A log without a journal yet, for a run that gets its id here.
    pub fn new(app: &str, listener: &'a mut (dyn Listener + Send)) -> Self {
        let at = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
        let run = format!("{at}-{app}-{:04x}", rand::random::<u16>());
        Self { app: app.to_owned(), run, inner: Mutex::new(Inner { seq: 0, journal: None, listener }) }
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// From now on records go to this journal.
    pub fn open(&self, journal: Journal) {
        self.inner().journal = Some(journal);
    }

    /// Writes one record; when this returns it is on disk. Nothing is written before the claim.
    pub fn record(&self, record: Record) -> Result<(), JournalError> {
        match &mut self.inner().journal {
            Some(journal) => journal.append(record),
            None => Ok(()),
        }
    }

    /// Writes one record where the run must go on without it as well.
    pub fn record_or_remark(&self, record: Record) {
        if let Err(error) = self.record(record) {
            self.remark(format!("the journal can't be written: {error}"));
        }
    }

    /// The intent of an act: on disk, then told.
    pub fn act(&self, on: &str, what: &str) -> Result<(), JournalError> {
        self.record(Record::ActIntent { on: on.to_owned(), what: what.to_owned() })?;
        self.publish(Kind::Act { on: on.to_owned(), what: what.to_owned() });
        Ok(())
    }

    /// What a service driver reports: on disk, then told.
    pub fn service(&self, note: Note) -> std::io::Result<()> {
        let what = note.to_string();
        self.record(Record::Service { note }).map_err(std::io::Error::other)?;
        self.publish(Kind::Act { on: "service".to_owned(), what });
        Ok(())
    }

    /// The intent of an act that leads to a safe end: it is done also where it can't be written down.
    pub fn act_or_remark(&self, on: &str, what: &str) {
        if let Err(error) = self.act(on, what) {
            self.remark(format!("the journal can't be written: {error}"));
        }
    }

    /// Tells something that a person should know.
    pub fn remark(&self, what: impl Into<String>) {
        self.publish(Kind::Remark { what: what.into() });
    }

    /// Tells.
    pub fn publish(&self, kind: Kind) {
        let mut inner = self.inner();
        inner.seq += 1;
        let event = Event {
            seq: inner.seq,
            at: format!("{:.6}", jiff::Timestamp::now()),
            run: self.run.clone(),
            app: self.app.clone(),
            kind,
        };
        inner.listener.hear(&event);
    }

    fn inner(&self) -> MutexGuard<'_, Inner<'a>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
