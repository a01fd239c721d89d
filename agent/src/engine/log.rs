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
    lost: Option<String>,
    listener: &'a mut (dyn Listener + Send),
}

impl<'a> Log<'a> {
    /// A log without a journal yet, for a run that gets its id here.
    pub fn new(app: &str, listener: &'a mut (dyn Listener + Send)) -> Self {
        let at = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
        let run = format!("{at}-{app}-{:04x}", rand::random::<u16>());
        Self { app: app.to_owned(), run, inner: Mutex::new(Inner { seq: 0, journal: None, lost: None, listener }) }
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
            Some(journal) => journal.append(&[record]),
            None => Ok(()),
        }
    }

    /// Writes one record where the run must go on without it as well.
    pub fn record_or_remark(&self, record: Record) {
        if let Err(error) = self.record(record) {
            self.lose(&error);
        }
    }

    /// The intents of some acts at one place: on disk, then told.
    pub fn acts(&self, on: &str, acts: &[String]) -> Result<(), JournalError> {
        let intent = |what: &String| Record::ActIntent { on: on.to_owned(), what: what.clone() };
        if let Some(journal) = &mut self.inner().journal {
            journal.append(&acts.iter().map(intent).collect::<Vec<_>>())?;
        }
        for what in acts {
            self.publish(Kind::Act { on: on.to_owned(), what: what.clone() });
        }
        Ok(())
    }

    /// As [`acts`](Self::acts), for acts that lead to a safe end: they are done also where they can't be written down.
    pub fn acts_or_remark(&self, on: &str, acts: &[String]) {
        if let Err(error) = self.acts(on, acts) {
            self.lose(&error);
        }
    }

    /// The run goes on to a safe end without a journal; that it must is told once.
    pub fn lose(&self, error: &JournalError) {
        let why = format!("the journal can't be written: {error}");
        if self.inner().lost.is_none() {
            self.remark(why.clone());
        }
        self.inner().lost = Some(why);
    }

    /// Why something is not in the journal, if something is not.
    pub fn lost(&self) -> Option<String> {
        self.inner().lost.clone()
    }

    /// What a service driver reports: on disk, then told.
    pub fn service(&self, note: Note) -> std::io::Result<()> {
        let what = note.to_string();
        self.record(Record::Service { note }).map_err(std::io::Error::other)?;
        self.publish(Kind::Act { on: "service".to_owned(), what });
        Ok(())
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
