//! A command that restarts the app. Its exit code is a hint; the new process is the proof.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;

use super::arrival::{Before, NotArrived, Origin, Starter, arrival};
use super::child::{self, Child, Launcher};
use super::family::{Family, Finder};
use super::left::Left;
use super::{Identity, Notify, Service, ServiceError};
use crate::process::Process;

/// Restarts an app by a command.
#[derive(Debug)]
pub struct Command {
    listen: SocketAddr,
    restart: Vec<String>,
    launcher: Launcher,
    finder: Finder,
}

impl Command {
    /// The app at `listen`, known by `pidfile` or else by who holds its port: the topmost, then oldest, of those.
    pub fn new(listen: SocketAddr, pidfile: Option<&Path>, restart: &[String], launcher: Launcher) -> Self {
        Self { listen, restart: restart.to_vec(), launcher, finder: Finder::new(listen, pidfile) }
    }

    async fn failure(&self, child: &mut Child, before: Option<&Family>, missing: NotArrived) -> ServiceError {
        let status = child.ended().ok().flatten();
        let mut error = child.failure(status);
        let main = before.map(|family| family.main).filter(|process| process.is_alive().unwrap_or(false));
        error.what = match main {
            Some(process) => {
                format!("process {} is still the app's main process ({}): {}", process.pid, missing.missed, error.what)
            }
            None => format!("no new process holds {} ({}): {}", self.listen, missing.missed, error.what),
        };
        let now = self.finder.find().await.ok().flatten();
        // A command that is over and left the same main process and workers did nothing; one that still runs may act yet.
        error.touched = main.is_none() || now.as_ref() != before || status.is_none();
        match missing.doubt {
            Some(doubt) => error.because(doubt),
            None => error,
        }
    }
}

#[async_trait]
impl Service for Command {
    fn acts(&self) -> Vec<String> {
        vec![child::show(&self.restart), format!("wait until a new process holds {}", self.listen)]
    }

    async fn check(&self) -> Result<(), ServiceError> {
        self.launcher.check(&self.restart)?;
        self.finder.find().await.map(|_| ())
    }

    async fn identity(&self) -> Result<Option<Identity>, ServiceError> {
        let family = self.finder.find().await?;
        Ok(family.map(|family| family.identity()))
    }

    async fn apply(
        &self,
        before: Option<&Identity>,
        deadline: Instant,
        notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        let running = self.finder.find().await?;
        let old: Vec<Process> =
            running.iter().map(|family| family.main).chain(before.map(|identity| identity.main)).collect();
        let at_first = Before::new(&self.finder, old).await;
        let mut child = self.launcher.spawn(&self.restart, notify).await?;
        match arrival(&self.finder, &at_first, Starter::Child(&mut child), Origin::Any, deadline).await {
            Ok(identity) => {
                if let Ok(Some(status)) = child.ended()
                    && !status.success()
                {
                    tracing::warn!("{}, but the app was restarted", child.failure(Some(status)));
                }
                Ok(identity)
            }
            Err(missing) => Err(self.failure(&mut child, running.as_ref(), missing).await),
        }
    }

    async fn finish(&self, left: &Left, deadline: Instant, notify: Notify<'_>) -> Result<Identity, ServiceError> {
        left.await_revert(deadline).await?;
        match left.arrival(&self.finder, Origin::Any, deadline).await? {
            Some(identity) => Ok(identity),
            None => self.apply(left.before.as_ref(), deadline, notify).await,
        }
    }
}
