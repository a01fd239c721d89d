//! Restarting the app: one trait, one file per manager.

use std::time::Instant;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signalling { what } => f.write_str(what),
            Self::Child { command, process } => write!(f, "{} (pid {})", command.join(" "), process.pid),
            Self::Gone { process } => write!(f, "pid {} is gone", process.pid),
        }
    }
}
