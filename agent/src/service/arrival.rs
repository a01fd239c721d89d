//! Waiting for the process that a start or restart command brings.

use std::time::{Duration, Instant};

use super::child::Child;
use super::family::{Family, Finder};
use super::left::Left;
use super::{Identity, ServiceError};
use crate::drain::Pace;
use crate::process::Process;

/// How long a process without a word from the pid file must hold the port before it is taken for the main one, for a daemon's
/// first process holds it for a moment too; and how long a command that failed, or a process that ended, may still turn out to
/// have done its work.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// How things stood before the command.
#[derive(Debug)]
pub(super) struct Before {
    /// The app's processes.
    pub(super) old: Vec<Process>,
    /// What the pid file said, true or not.
    pub(super) named: Option<u32>,
}

impl Before {
    /// To be called before the command is started; `old` are the app's processes that count as its old ones.
    pub(super) async fn new(finder: &Finder, old: Vec<Process>) -> Self {
        let named = finder.named_pid().await;
        Self { old, named }
    }
}

/// What is to bring the app.
pub(super) enum Starter<'a> {
    /// A command of this run.
    Child(&'a mut Child),
    /// What an interrupted run has left.
    Left(&'a Left),
}

impl Starter<'_> {
    /// Whether it ended well; `None` while it runs. What an interrupted run has left is not our child: how it ended is not known,
    /// so it never counts as well.
    async fn ended(&mut self) -> Option<bool> {
        match self {
            Self::Child(child) => child.ended().ok().flatten().map(|status| status.success()),
            Self::Left(left) => left.processes().await.ok().filter(Vec::is_empty).map(|_| false),
        }
    }

    /// Whether it may still bring the app though it failed: something that it started lives. What an interrupted run has left has ended
    /// only with all that.
    async fn may_yet(&self, before: &Before) -> bool {
        match self {
            Self::Child(child) => child.has_left_something(&before.old).await.unwrap_or(true),
            Self::Left(_) => false,
        }
    }

    async fn brought(&self, process: Process) -> bool {
        match self {
            Self::Child(child) => child.brought(process),
            Self::Left(left) => left.brought(process).await.unwrap_or(false),
        }
    }
}

/// Who may hold the port without a word from the pid file and be taken for the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// What was started for it: a stranger may have taken the port while the app was down.
    Started,
    /// Anybody new, for a manager that is asked starts the app itself.
    Any,
}

/// Why the wait ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missed {
    /// The command failed, nothing that it started lives, and after [`SETTLE`] there is nothing new.
    #[error("the command failed")]
    Failed,
    /// A process that the pid file names has ended, and for [`SETTLE`] nothing has come in its place.
    #[error("process {0} has ended")]
    Ended(u32),
    /// The deadline passed.
    #[error("gave up at the deadline")]
    Late,
}

/// A new process has not come.
#[derive(Debug)]
pub(super) struct NotArrived {
    pub(super) missed: Missed,
    /// Why the last look gave no process, if it failed.
    pub(super) doubt: Option<ServiceError>,
}

/// Waits until a process that was not there `before` is the app's main process and holds its port: its success, never
/// the command's. A command that ends well is waited out until the deadline, for managers report before they are done.
pub(super) async fn arrival(
    finder: &Finder,
    before: &Before,
    mut starter: Starter<'_>,
    origin: Origin,
    deadline: Instant,
) -> Result<Identity, NotArrived> {
    let pace = Pace::new();
    let mut unnamed: Option<(Process, Instant)> = None;
    let mut failed: Option<Instant> = None;
    let mut started: Option<u32> = None;
    let mut gone: Option<Instant> = None;
    loop {
        // Before the look, so that what the command did before it ended is seen by it.
        let ended = starter.ended().await;
        let mut found = finder.find().await;
        let now = Instant::now();
        if let Ok(Some(family)) = &found
            && !family.named
            && !before.old.contains(&family.main)
            && origin == Origin::Started
            && !starter.brought(family.main).await
        {
            found = Err(stranger(family));
        }
        let fresh = match &found {
            Ok(Some(family)) if family.listens && !before.old.contains(&family.main) => Some(family),
            _ => None,
        };
        match fresh {
            Some(family) if family.named => return Ok(family.identity()),
            Some(family) => {
                let since = unnamed.filter(|(process, _)| *process == family.main).map_or(now, |(_, since)| since);
                // Without a pid file the end of the command is the best sign that no first process of a daemon is left.
                let over = !finder.has_pidfile() && ended == Some(true);
                if over || now - since >= SETTLE {
                    return Ok(family.identity());
                }
                unnamed = Some((family.main, since));
            }
            None => unnamed = None,
        }
        if fresh.is_none() && ended == Some(false) {
            let since = *failed.get_or_insert(now);
            if now - since >= SETTLE && !starter.may_yet(before).await {
                return Err(not_arrived(Missed::Failed, found.err()));
            }
        }
        // Some remove their pid file when they end, so what it has said is kept.
        let named = finder.named_pid().await.filter(|pid| Some(*pid) != before.named);
        started = named.or(started);
        match started.filter(|pid| fresh.is_none() && ended.is_some() && has_ended(*pid)) {
            Some(pid) => {
                let since = *gone.get_or_insert(now);
                if now - since >= SETTLE {
                    return Err(not_arrived(Missed::Ended(pid), found.err()));
                }
            }
            None => gone = None,
        }
        if now >= deadline {
            return Err(not_arrived(Missed::Late, found.err()));
        }
        tokio::time::sleep(pace.pause()).await;
    }
}

fn has_ended(pid: u32) -> bool {
    matches!(Process::read(pid), Ok(None))
}

fn stranger(family: &Family) -> ServiceError {
    ServiceError::touched(format!(
        "the app's port is held by process {}, which was not started for the app, nor does the pid file name it",
        family.main.pid
    ))
}

fn not_arrived(missed: Missed, doubt: Option<ServiceError>) -> NotArrived {
    NotArrived { missed, doubt }
}
