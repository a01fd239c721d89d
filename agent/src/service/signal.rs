//! A process known by its pid file: stopped by a signal and started by a command, or reloaded by a signal.

mod reload;
mod succeed;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use async_trait::async_trait;
use nix::sys::signal::Signal as Number;

use super::arrival::{Before, Origin, Starter, arrival};
use super::child::{self, Launcher};
use super::family::{self, Family, Finder, Holder};
use super::left::Left;
use super::{Identity, Note, Notify, Service, ServiceError};
use crate::config::settings::{Action, SignalName};
use crate::drain::Pace;
use crate::process::{Handle, Process};

/// Restarts or reloads a process known by its pid file.
#[derive(Debug)]
pub struct Signal {
    listen: SocketAddr,
    pidfile: PathBuf,
    plan: Plan,
    launcher: Launcher,
    finder: Finder,
}

/// What is sent, and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Ends the process, then runs `start`.
    Restart {
        /// Ends it gracefully.
        stop: Number,
        /// Program and arguments.
        start: Vec<String>,
    },
    /// The main process stays and replaces its workers, or itself in place.
    Reload {
        /// `HUP` as a rule.
        signal: Number,
    },
    /// The main process starts a successor, and is then ended.
    Succeed {
        /// Starts the successor; `USR2` as a rule.
        signal: Number,
        /// Ends the old main process.
        old: Number,
    },
}

impl Plan {
    /// What the configuration asks for.
    pub fn new(
        action: Action,
        start: &[String],
        stop_signal: SignalName,
        reload_signal: SignalName,
        old_signal: Option<SignalName>,
    ) -> Self {
        match (action, old_signal) {
            (Action::Restart, _) => Self::Restart { stop: stop_signal.0, start: start.to_vec() },
            (Action::Reload, None) => Self::Reload { signal: reload_signal.0 },
            (Action::Reload, Some(old)) => Self::Succeed { signal: reload_signal.0, old: old.0 },
        }
    }
}

impl Signal {
    /// The app at `listen`, whose main process is named by `pidfile`.
    pub fn new(listen: SocketAddr, pidfile: &Path, plan: Plan, launcher: Launcher) -> Self {
        Self { listen, pidfile: pidfile.to_owned(), plan, launcher, finder: Finder::new(listen, Some(pidfile)) }
    }

    /// The app, if it runs and its port is its own.
    async fn family(&self) -> Result<Option<Family>, ServiceError> {
        let Some(family) = self.finder.find().await? else {
            return Ok(None);
        };
        // With the pid file of a dead app, whoever holds the port by now may be anybody, and must not be ended.
        if !family.named && self.pidfile.exists() {
            let (file, pid) = (self.pidfile.display(), family.main.pid);
            return Err(ServiceError::untouched(format!(
                "{} is held by process {pid}, but {file} names another one, which is dead",
                self.listen
            ))
            .with_hint(format!("ps -fp {pid}; if that is the app: echo {pid} > {file}; if not, end it first")));
        }
        if family.strangers.is_empty() {
            return Ok(Some(family));
        }
        Err(ServiceError::untouched(format!(
            "{} is held by process {}, which is the app, and by {}, which is not below it and would keep it",
            self.listen,
            family.main.pid,
            family::show(&family.strangers)
        ))
        .with_hint(format!("ss -ltnp 'sport = :{}'", self.listen.port())))
    }

    /// The app, which must run.
    async fn running(&self) -> Result<Family, ServiceError> {
        self.family().await?.ok_or_else(|| {
            ServiceError::untouched(format!(
                "the app does not run: {} names no process and nothing listens at {}",
                self.pidfile.display(),
                self.listen
            ))
            .with_hint("start it, or use action = \"restart\"")
        })
    }

    async fn restart(
        &self,
        stop: Number,
        start: &[String],
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        self.launcher.check(start)?;
        let old = self.family().await?;
        self.replace(old, stop, start, deadline, notify).await
    }

    /// Finishes a restart of a run that died. While the old main process lives nothing was started; once it is gone, what was
    /// started may still come.
    async fn finish_restart(
        &self,
        left: &Left,
        stop: Number,
        start: &[String],
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        self.launcher.check(start)?;
        if let Some(old) = left.old()? {
            let old = self.finder.of(old).await?;
            return self.replace(Some(old), stop, start, deadline, notify).await;
        }
        if let Some(arrived) = left.arrival(&self.finder, Origin::Started, deadline).await? {
            return Ok(arrived);
        }
        let old = left.before.as_ref().map(|identity| identity.main);
        match self.vacated(old, deadline).await? {
            Some(successor) => Ok(successor),
            None => self.start(start, old, deadline, notify).await,
        }
    }

    async fn replace(
        &self,
        old: Option<Family>,
        stop: Number,
        start: &[String],
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        self.launcher.prepare().await;
        if let Some(family) = &old {
            if let Some(successor) = self.stop(family, stop, deadline, notify).await? {
                return Ok(successor);
            }
            note_gone(family.main, notify);
        }
        self.start(start, old.map(|family| family.main), deadline, notify).await
    }

    async fn start(
        &self,
        start: &[String],
        old: Option<Process>,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        let before = Before::new(&self.finder, old.into_iter().collect()).await;
        // A stopped app is started also where that can't be written down.
        let noted = |note: Note| {
            if let Err(error) = notify(note) {
                tracing::warn!(%error, "the start could not be noted");
            }
            Ok(())
        };
        let mut child = self.launcher.spawn(start, &noted).await.map_err(ServiceError::after_a_touch)?;
        let arrived = arrival(&self.finder, &before, Starter::Child(&mut child), Origin::Started, deadline).await;
        arrived.map_err(|missing| {
            let status = child.ended().ok().flatten();
            let mut error = child.failure(status);
            error.what = format!("no new process holds {} ({}): {}", self.listen, missing.missed, error.what);
            match missing.doubt {
                Some(doubt) => error.because(doubt),
                None => error,
            }
        })
    }

    /// Ends the app and waits until nothing of it holds the port. Returns its successor if somebody else has
    /// started one already.
    async fn stop(
        &self,
        family: &Family,
        stop: Number,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Option<Identity>, ServiceError> {
        // All are held before any is signalled: afterwards there might be no descriptors left to do so.
        let main = hold(family.main)?;
        let workers = hold_all(&family.workers)?;
        if let Some(main) = &main {
            send(main, stop, notify)?;
        }
        for handle in main.iter().chain(&workers) {
            self.await_end(handle, stop, deadline).await?;
        }
        self.vacated(Some(family.main), deadline).await
    }

    /// Waits until nobody holds the port, as a worker that was forked after we looked may, or until the pid file names
    /// a successor that does.
    async fn vacated(&self, old: Option<Process>, deadline: Instant) -> Result<Option<Identity>, ServiceError> {
        let pace = Pace::new();
        loop {
            let left = self.finder.holders().await;
            if left.as_ref().is_ok_and(Vec::is_empty) {
                return Ok(None);
            }
            if let Ok(Some(now)) = self.finder.find().await
                && now.named
                && Some(now.main) != old
            {
                return Ok(Some(now.identity()));
            }
            if Instant::now() >= deadline {
                return Err(self.still_held(left));
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }

    async fn await_end(&self, handle: &Handle, signal: Number, deadline: Instant) -> Result<(), ServiceError> {
        let pid = handle.process().pid;
        let still = || {
            ServiceError::touched(format!("process {pid} is still there after {signal}"))
                .with_hint(format!("ps -fp {pid}; to end it at once: kill -KILL {pid}"))
        };
        match handle.wait_gone(deadline).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(still()),
            Err(error) => Err(still().because(error)),
        }
    }

    fn still_held(&self, left: Result<Vec<Holder>, ServiceError>) -> ServiceError {
        let hint = format!("ss -ltnp 'sport = :{}'", self.listen.port());
        match left {
            Ok(holders) => {
                let left: Vec<Process> = holders.iter().map(|holder| holder.process).collect();
                ServiceError::touched(format!(
                    "the app's main process has ended, but {} is still held by {}",
                    self.listen,
                    family::show(&left)
                ))
            }
            Err(doubt) => ServiceError::touched("the app has ended, but who holds its port is unknown").because(doubt),
        }
        .with_hint(hint)
    }
}

#[async_trait]
impl Service for Signal {
    fn acts(&self) -> Vec<String> {
        let main = format!("$(cat {})", self.pidfile.display());
        let kill = |signal: Number| format!("kill -{} {main}", short(signal));
        let gone = format!("wait until it has ended and nobody holds {}", self.listen);
        match &self.plan {
            Plan::Restart { stop, start } => {
                vec![kill(*stop), gone, child::show(start), format!("wait until a new process holds {}", self.listen)]
            }
            Plan::Reload { signal } => vec![kill(*signal), format!("wait until only new workers hold {}", self.listen)],
            Plan::Succeed { signal, old } => vec![
                kill(*signal),
                format!("wait until its successor and a worker of that hold {}", self.listen),
                format!("kill -{} the old main process", short(*old)),
                "wait until it and its workers have ended".to_owned(),
            ],
        }
    }

    async fn check(&self) -> Result<(), ServiceError> {
        let (family, signal) = match &self.plan {
            Plan::Restart { stop, start } => {
                self.launcher.check(start)?;
                (self.family().await?, *stop)
            }
            Plan::Reload { signal } | Plan::Succeed { signal, .. } => {
                let family = self.running().await?;
                reload::catches(family.main, *signal)?;
                (Some(family), *signal)
            }
        };
        match family {
            Some(family) => may_signal(family.main, signal),
            None => Ok(()),
        }
    }

    async fn identity(&self) -> Result<Option<Identity>, ServiceError> {
        let family = self.finder.find().await?;
        Ok(family.map(|family| family.identity()))
    }

    async fn apply(
        &self,
        _before: Option<&Identity>,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        match &self.plan {
            Plan::Restart { stop, start } => self.restart(*stop, start, deadline, notify).await,
            Plan::Reload { signal } => self.reload(*signal, deadline, notify).await,
            Plan::Succeed { signal, old } => self.succeed(*signal, *old, deadline, notify).await,
        }
    }

    async fn finish(&self, left: &Left, deadline: Instant, notify: Notify<'_>) -> Result<Identity, ServiceError> {
        left.await_revert(deadline).await?;
        match &self.plan {
            Plan::Restart { stop, start } => self.finish_restart(left, *stop, start, deadline, notify).await,
            Plan::Reload { .. } => self.apply(left.before.as_ref(), deadline, notify).await,
            Plan::Succeed { signal, old } => self.finish_succession(left, *signal, *old, deadline, notify).await,
        }
    }
}

/// `TERM`, as kill(1) takes it.
fn short(signal: Number) -> &'static str {
    signal.as_str().trim_start_matches("SIG")
}

/// Takes hold of a process before anything is done to it.
fn hold(process: Process) -> Result<Option<Handle>, ServiceError> {
    Handle::open(process).map_err(|error| {
        ServiceError::untouched(format!("could not take hold of process {}", process.pid)).because(error)
    })
}

fn hold_all(processes: &[Process]) -> Result<Vec<Handle>, ServiceError> {
    let handles = processes.iter().map(|process| hold(*process));
    handles.filter_map(Result::transpose).collect()
}

/// Notes the intent, then sends the signal; one that is gone already needs none.
fn send(handle: &Handle, signal: Number, notify: Notify<'_>) -> Result<(), ServiceError> {
    let what = format!("{} to {}", short(signal), handle.process().pid);
    let failed = |error: std::io::Error| ServiceError::untouched(format!("could not send {what}")).because(error);
    notify(Note::Signalling { what: what.clone() }).map_err(failed)?;
    handle.signal(signal).map_err(failed)?;
    Ok(())
}

/// What has happened can't be refused any more.
fn note_gone(process: Process, notify: Notify<'_>) {
    if let Err(error) = notify(Note::Gone { process }) {
        tracing::warn!(%error, pid = process.pid, "could not note that a process has ended");
    }
}

fn may_signal(process: Process, signal: Number) -> Result<(), ServiceError> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.pid).unwrap_or(i32::MAX));
    match nix::sys::signal::kill(pid, None) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => Err(ServiceError::untouched(format!("may not send {} to process {pid}", short(signal)))
            .with_hint("run as root")
            .because(error)),
    }
}
