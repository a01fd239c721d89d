//! One run per app and host at a time.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::lock::{Lock, locked, try_lock};
use super::writer::create_app_dir;
use super::{JournalError, app_dir};
use crate::run::{Goal, Step};

/// How long a [`Share`] is waited for: it is held for one look and what follows from it, and a HAProxy that hangs is given up after less.
const SHARED: Duration = Duration::from_secs(15);

/// How often it is tried meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// The claim on an app: a kernel lock, which our death gives back by itself, and a record of who holds it.
#[derive(Debug)]
pub struct Claim {
    file: File,
    holder: Holder,
}

/// Who holds an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The run.
    pub run: String,
    /// What it is for.
    pub goal: Goal,
    /// Who called.
    pub who: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// Which step it is in.
    pub step: Option<Step>,
}

/// Why an app could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another run holds it. The record may be unreadable for the moment in which it is written.
    #[error("another run holds this app: {}", describe(.0.as_ref()))]
    Held(Option<Holder>),
    /// The app's keeper did not let go of it in time.
    #[error("this app's keeper is in the midst of an act")]
    Kept,
    /// The state directory can't be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn describe(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "it has just begun".to_owned(), ToString::to_string)
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, run, who, since, .. } = self;
        let step = self.step.map_or("starting", Step::name);
        write!(f, "{run} (pid {pid}) by {who} since {since}, now in step \"{step}\"")?;
        self.reason.as_deref().map_or(Ok(()), |reason| write!(f, ", because {reason:?}"))
    }
}

impl Claim {
    /// Takes the claim, or says who has it. Waits for nobody but a keeper in the midst of an act, for 15 s at most.
    pub async fn take(state_dir: &Path, app: &str, holder: Holder) -> Result<Self, ClaimError> {
        let path = create_app_dir(state_dir, app)?.join("claim");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o640)
            .open(&path)
            .map_err(JournalError::io(&path))?;
        let deadline = Instant::now() + SHARED;
        while !try_lock(&file, Lock::Exclusive).map_err(JournalError::io(&path))? {
            match locked(&file).map_err(JournalError::io(&path))? {
                Some(Lock::Exclusive) => return Err(ClaimError::Held(read(&mut file))),
                // The record is that of a run which is over.
                _ if Instant::now() >= deadline => return Err(ClaimError::Kept),
                _ => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut claim = Self { file, holder };
        claim.write().map_err(JournalError::io(&path))?;
        Ok(claim)
    }

    /// Who holds `app` now, if anyone. A keeper's [`Share`] is no hold.
    pub fn holder(state_dir: &Path, app: &str) -> Option<Holder> {
        let mut file = File::open(app_dir(state_dir, app).join("claim")).ok()?;
        (locked(&file).ok()? == Some(Lock::Exclusive)).then(|| read(&mut file)).flatten()
    }

    /// Whether anyone holds `app` now, also where the record of who it is can't be read for the moment.
    pub fn is_held(state_dir: &Path, app: &str) -> bool {
        let file = File::open(app_dir(state_dir, app).join("claim"));
        file.is_ok_and(|file| locked(&file).is_ok_and(|met| met == Some(Lock::Exclusive)))
    }

    /// Records the step, for those who are told that the app is held. Not worth failing a run.
    pub fn set_step(&mut self, step: Step) {
        self.holder.step = Some(step);
        if let Err(error) = self.write() {
            tracing::debug!(%error, "could not record the step in the claim");
        }
    }

    fn write(&mut self) -> std::io::Result<()> {
        let text = serde_json::to_string(&self.holder)?;
        // Never empty in between: others read it at any time.
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }
}

/// Whoever comes next is not to be taken for us, before it has written its own.
impl Drop for Claim {
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "could not empty the claim");
        }
    }
}

/// A keeper's hand on an app, for one look and what follows from it: no run begins meanwhile, and none is kept from beginning then.
#[derive(Debug)]
pub struct Share {
    _file: File,
}

impl Share {
    /// Takes it; `None` while a run holds the app. Never waits, and creates nothing.
    pub fn take(state_dir: &Path, app: &str) -> Option<Self> {
        let file = File::open(app_dir(state_dir, app).join("claim")).ok()?;
        try_lock(&file, Lock::Shared).is_ok_and(|taken| taken).then_some(Self { _file: file })
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    // What follows may be left of a longer record.
    serde_json::Deserializer::from_str(&text).into_iter().next()?.ok()
}
