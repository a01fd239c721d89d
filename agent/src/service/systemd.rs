//! A systemd unit, over D-Bus.

mod bus;

use std::net::SocketAddr;
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use nix::unistd::Uid;
use zbus::Connection;
use zbus::OwnedObjectPath;

use self::bus::{JobRemovedStream, ManagerProxy, State};
use super::family::{self, Family, Finder};
use super::left::Left;
use super::{Identity, Note, Notify, Service, ServiceError};
use crate::config::settings::Action;
use crate::drain::Pace;
use crate::process::Process;

/// Restarts or reloads a systemd unit.
#[derive(Debug)]
pub struct Systemd {
    unit: String,
    action: Action,
    finder: Finder,
}

impl Systemd {
    /// The app that runs as `unit` and takes traffic at `listen`.
    pub fn new(unit: &str, action: Action, listen: SocketAddr) -> Self {
        Self { unit: unit.to_owned(), action, finder: Finder::new(listen, None) }
    }

    fn verb(&self) -> &'static str {
        match self.action {
            Action::Restart => "restart",
            Action::Reload => "reload",
        }
    }

    async fn connect(&self) -> Result<Connection, ServiceError> {
        bus::connect().await.map_err(|error| {
            ServiceError::untouched("systemd can't be reached over D-Bus")
                .with_hint("systemctl status dbus.socket")
                .because(error)
        })
    }

    async fn state(&self, connection: &Connection) -> Result<State, ServiceError> {
        bus::state(connection, &self.unit).await.map_err(|error| {
            ServiceError::untouched(format!("systemd does not tell about {}", self.unit))
                .with_hint(format!("systemctl status {}", self.unit))
                .because(error)
        })
    }

    /// The main process, if the unit has one that runs.
    fn main(&self, state: &State) -> Result<Option<Identity>, ServiceError> {
        if state.main_pid == 0 {
            return match state.active.as_str() {
                "active" | "reloading" => Err(ServiceError::untouched(format!(
                    "systemd knows no main process of {}, so a restart can't be proved",
                    self.unit
                ))
                .with_hint("give the unit a PIDFile=, or a Type= other than forking or oneshot")),
                _ => Ok(None),
            };
        }
        let main = Process::read(state.main_pid).map_err(|error| {
            ServiceError::untouched(format!("could not read /proc/{}", state.main_pid)).because(error)
        })?;
        Ok(main.map(|main| Identity { main, invocation: state.invocation.clone() }))
    }

    /// Refuses what can't work, before anything is touched.
    fn refuse(&self, state: &State) -> Result<(), ServiceError> {
        let unit = &self.unit;
        let refused = |what: String, hint: String| Err(ServiceError::untouched(what).with_hint(hint));
        match (state.load.as_str(), self.action) {
            ("loaded", Action::Reload) if state.active != "active" => refused(
                format!("{unit} is {}, so it can't be reloaded", state.active),
                format!("systemctl status {unit}"),
            ),
            ("loaded", Action::Reload) if !state.can_reload => {
                refused(format!("{unit} has no ExecReload="), "set action = \"restart\"".to_owned())
            }
            ("loaded", _) => Ok(()),
            ("not-found", _) => {
                refused(format!("systemd knows no unit {unit}"), "systemctl list-units --all --type=service".to_owned())
            }
            ("masked", _) => refused(format!("{unit} is masked"), format!("systemctl unmask {unit}")),
            (other, _) => refused(format!("{unit} could not be loaded: {other}"), format!("systemctl status {unit}")),
        }
    }

    /// Asks systemd for the job.
    async fn enqueue(&self, manager: &ManagerProxy<'_>) -> Result<OwnedObjectPath, ServiceError> {
        let asked = match self.action {
            Action::Restart => manager.restart_unit(&self.unit, "replace").await,
            Action::Reload => manager.reload_unit(&self.unit, "replace").await,
        };
        asked.map_err(|error| {
            let what = format!("systemd did not {} {}", self.verb(), self.unit);
            if bus::is_refusal(&error) {
                ServiceError::untouched(what).with_hint(format!("as root: systemctl {} {}", self.verb(), self.unit))
            } else {
                ServiceError::touched(what).with_hint(format!("systemctl status {}", self.unit))
            }
            .because(error)
        })
    }

    /// Waits for the end of our job, and for its success.
    async fn await_job(
        &self,
        connection: &Connection,
        jobs: &mut JobRemovedStream,
        job: &OwnedObjectPath,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let result = tokio::time::timeout_at(deadline.into(), async {
            while let Some(signal) = jobs.next().await {
                if let Ok(removed) = signal.args()
                    && removed.job == *job
                {
                    return Some(removed.result.clone());
                }
            }
            None
        });
        match result.await {
            Ok(Some(result)) if result == "done" => Ok(()),
            Ok(Some(result)) => Err(self.failure(connection, &format!("the job ended as {result}")).await),
            Ok(None) => Err(self.failure(connection, "the bus hung up before the job's end").await),
            Err(_) => Err(self.failure(connection, "the job is not over").await),
        }
    }

    /// The error that tells what systemd knows.
    async fn failure(&self, connection: &Connection, what: &str) -> ServiceError {
        let unit = &self.unit;
        let what = format!("the {} of {unit} failed: {what}", self.verb());
        match bus::state(connection, unit).await {
            Ok(state) => {
                let hint = match state.result.as_str() {
                    "start-limit-hit" => {
                        format!("systemctl reset-failed {unit}; then restart it again")
                    }
                    _ => format!("journalctl -u {unit} -n 50"),
                };
                ServiceError::touched(format!(
                    "{what}; it is {} ({}), its last result is {}, its exit status {}",
                    state.active, state.sub, state.result, state.exit_status
                ))
                .with_hint(hint)
            }
            Err(error) => ServiceError::touched(what).with_hint(format!("systemctl status {unit}")).because(error),
        }
    }

    /// Waits until systemd has no job for the unit, as an interrupted run may have left one.
    async fn await_no_job(&self, connection: &Connection, deadline: Instant) -> Result<(), ServiceError> {
        let pace = Pace::new();
        loop {
            let job = bus::has_job(connection, &self.unit).await.map_err(|error| {
                ServiceError::touched(format!("systemd does not tell about the jobs of {}", self.unit))
                    .with_hint("systemctl list-jobs")
                    .because(error)
            })?;
            if !job {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.failure(connection, "the job is not over").await);
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }

    /// Waits until the unit's main process is a new one.
    async fn await_new(
        &self,
        connection: &Connection,
        old: &[Process],
        deadline: Instant,
    ) -> Result<Identity, ServiceError> {
        let pace = Pace::new();
        loop {
            let state = self.state(connection).await.map_err(ServiceError::after_a_touch)?;
            match self.main(&state).map_err(ServiceError::after_a_touch)? {
                Some(identity) if !old.contains(&identity.main) => return Ok(identity),
                _ if matches!(state.active.as_str(), "failed" | "inactive") => {
                    return Err(self.failure(connection, "it ended at once").await);
                }
                _ if Instant::now() >= deadline => {
                    return Err(self.failure(connection, "its main process is not new").await);
                }
                // As in `auto-restart`.
                _ => tokio::time::sleep(pace.pause()).await,
            }
        }
    }

    /// Waits until the reload shows: no worker of before holds the listening socket. An app without workers
    /// shows nothing; the end of systemd's job is all there is.
    async fn await_workers(
        &self,
        connection: &Connection,
        before: &Family,
        deadline: Instant,
    ) -> Result<Identity, ServiceError> {
        let pace = Pace::new();
        loop {
            let state = self.state(connection).await.map_err(ServiceError::after_a_touch)?;
            let Some(identity) = self.main(&state).map_err(ServiceError::after_a_touch)? else {
                return Err(self.failure(connection, "its main process ended").await);
            };
            let now = self.finder.of(identity.main).await.map_err(ServiceError::after_a_touch)?;
            if before.workers.is_empty() || now.has_only_new_workers(before) {
                return Ok(identity);
            }
            if Instant::now() >= deadline {
                let mut error = ServiceError::touched(format!(
                    "{} was reloaded, but the listening socket is still held by old workers among {}",
                    self.unit,
                    family::show(&now.workers)
                ));
                error.touched = now != *before;
                return Err(error.with_hint(format!("journalctl -u {} -n 50", self.unit)));
            }
            tokio::time::sleep(pace.pause()).await;
        }
    }
}

#[async_trait]
impl Service for Systemd {
    fn acts(&self) -> Vec<String> {
        let wait = match self.action {
            Action::Restart => "wait until its main process is a new one",
            Action::Reload => "wait until only new workers hold the listening socket",
        };
        vec![format!("systemctl {} {}", self.verb(), self.unit), wait.to_owned()]
    }

    async fn check(&self) -> Result<(), ServiceError> {
        let connection = self.connect().await?;
        let state = self.state(&connection).await?;
        self.refuse(&state)?;
        self.main(&state)?;
        if Uid::effective().is_root() {
            return Ok(());
        }
        let me = Process::read(std::process::id()).ok().flatten();
        let start_time = me.map_or(0, |process| process.start_time);
        bus::ask_polkit(&connection, start_time).await.map_err(|error| {
            ServiceError::untouched("polkit does not answer, and only root is heard without it")
                .with_hint("systemctl status polkit.service, or run as root")
                .because(error)
        })
    }

    async fn identity(&self) -> Result<Option<Identity>, ServiceError> {
        let connection = self.connect().await?;
        let state = self.state(&connection).await?;
        self.main(&state)
    }

    async fn apply(
        &self,
        before: Option<&Identity>,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        let connection = self.connect().await?;
        let state = self.state(&connection).await?;
        self.refuse(&state)?;
        let running = self.main(&state)?;
        let family = match &running {
            Some(identity) => Some(self.finder.of(identity.main).await?),
            None => None,
        };
        let unwatched =
            |error: zbus::Error| ServiceError::untouched("systemd does not tell of the end of jobs").because(error);
        let manager = ManagerProxy::new(&connection).await.map_err(unwatched)?;
        let mut jobs = manager.receive_job_removed().await.map_err(unwatched)?;
        manager.subscribe().await.map_err(unwatched)?;
        notify(Note::Signalling { what: format!("systemctl {} {}", self.verb(), self.unit) })
            .map_err(|error| ServiceError::untouched("the intent could not be noted").because(error))?;
        let job = self.enqueue(&manager).await?;
        self.await_job(&connection, &mut jobs, &job, deadline).await?;
        match (self.action, family) {
            (Action::Reload, Some(family)) => self.await_workers(&connection, &family, deadline).await,
            _ => {
                let old: Vec<Process> = running.iter().chain(before).map(|old| old.main).collect();
                self.await_new(&connection, &old, deadline).await
            }
        }
    }

    async fn finish(&self, left: &Left, deadline: Instant, notify: Notify<'_>) -> Result<Identity, ServiceError> {
        left.await_revert(deadline).await?;
        let connection = self.connect().await?;
        self.await_no_job(&connection, deadline).await?;
        let state = self.state(&connection).await?;
        let old = left.before.as_ref().map(|identity| identity.main);
        match self.main(&state)? {
            Some(now) if self.action == Action::Restart && state.active == "active" && Some(now.main) != old => Ok(now),
            _ => self.apply(left.before.as_ref(), deadline, notify).await,
        }
    }
}
