//! Restarting the app: one trait, one file per manager.

pub mod child;
pub mod command;
pub mod left;
pub mod mark;
pub mod signal;
pub mod systemd;

mod arrival;
mod family;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::child::Launcher;
use self::command::Command;
use self::left::Left;
use self::mark::Purpose;
use self::signal::Signal;
use self::systemd::Systemd;
use crate::config::settings::{App, Manager};
use crate::process::Process;

/// Who the app is now: enough to tell it from its successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The main process.
    pub main: Process,
    /// systemd's InvocationID, where there is one.
    pub invocation: Option<String>,
}

/// What happens while the app is restarted, for the journal and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// About to send the stop or reload signal, or to ask the manager; reported before it is done.
    Signalling {
        /// Whom and how, as in `TERM to 4711`.
        what: String,
    },
    /// A command was started in a session of its own.
    Child {
        /// Program and arguments.
        command: Vec<String>,
        /// Its process.
        process: Process,
    },
    /// The old process is gone.
    Gone {
        /// The old process.
        process: Process,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signalling { what } => f.write_str(what),
            Self::Child { command, process } => write!(f, "{} is process {}", command.join(" "), process.pid),
            Self::Gone { process } => write!(f, "process {} is gone", process.pid),
        }
    }
}

/// Receives [`Note`]s. `Err` means the note could not be recorded and the act must not follow.
pub type Notify<'a> = &'a (dyn Fn(Note) -> std::io::Result<()> + Send + Sync);

/// A way to restart one app.
#[async_trait]
pub trait Service: Send + Sync {
    /// The exact acts of a restart or reload, one a line, for `--dry-run`.
    fn acts(&self) -> Vec<String>;

    /// Looks whether the restart can work at all (unit exists, rights, pid file believable), touching nothing.
    async fn check(&self) -> Result<(), ServiceError>;

    /// Who the app is now; `None` when it does not run.
    async fn identity(&self) -> Result<Option<Identity>, ServiceError>;

    /// Restarts or reloads the app and returns the new identity once the restart or reload has *happened*:
    /// a new process (pid or start time), or for a reload: every other process that holds the listening socket is newer than
    /// the signal and none of the old remain. Never believes an exit code. Gives up at `deadline`.
    async fn apply(
        &self,
        before: Option<&Identity>,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError>;

    /// Finishes what [`apply`](Self::apply) of a run that died has begun, at whatever point it died, and returns the new identity:
    /// what still runs is waited for; a restart that has happened is not done again; else what is missing is done. Of a reload nobody
    /// can tell whether it has happened, so it is done again, which is harmless. Two starts never race for the port. Gives up at
    /// `deadline`.
    ///
    /// The caller holds the app's claim. A child of the dead run holds it as well until it has become its command, so by
    /// then every child can be known.
    async fn finish(&self, left: &Left, deadline: Instant, notify: Notify<'_>) -> Result<Identity, ServiceError>;
}

/// Why a restart failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ServiceError {
    /// What happened, in one sentence.
    pub what: String,
    /// What to type next.
    pub hint: Option<String>,
    /// Whether the app may have been touched: false means that it runs as before, and an undo is safe.
    pub touched: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ServiceError {
    /// A failure that left the app as it was.
    pub fn untouched(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, touched: false, source: None }
    }

    /// A failure after which the app may be anything.
    pub fn touched(what: impl Into<String>) -> Self {
        Self { touched: true, ..Self::untouched(what) }
    }

    /// Adds what to type next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that the app may have been touched before this happened.
    #[must_use]
    pub fn after_a_touch(mut self) -> Self {
        self.touched = true;
        self
    }
}

/// The way this app is restarted. What its commands print goes to `APP.log` in `log_dir`; they carry the mark of `run`.
pub fn service_for(app: &App, log_dir: &Path, run: &str) -> Box<dyn Service> {
    let launcher = Launcher::new(&app.name, log_dir, run, Purpose::Restart);
    let action = app.service.action;
    match &app.service.manager {
        Manager::Systemd { unit } => Box::new(Systemd::new(unit, action, app.listen)),
        Manager::Signal { pidfile, stop_signal, start, reload_signal, old_signal } => Box::new(Signal::new(
            app.listen,
            pidfile,
            signal::Plan::new(action, start, *stop_signal, *reload_signal, *old_signal),
            launcher,
        )),
        Manager::Command { restart, pidfile } => {
            Box::new(Command::new(app.listen, pidfile.as_deref(), restart, launcher))
        }
    }
}
