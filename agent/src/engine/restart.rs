//! The restart itself, the revert, and saying aloud that the app stays out.

use std::time::{Duration, Instant};

use super::{Engine, Fault};
use crate::journal::{Record, app_dir};
use crate::run::{Goal, Outcome};
use crate::service::Note;
use crate::service::child::Launcher;
use crate::service::mark::Purpose;

/// How long an alert command may take: it must not hold up what is left to do.
const ALERT: Duration = Duration::from_secs(10);

impl Engine<'_> {
    pub(super) async fn restart(&mut self) -> Result<Outcome, Fault> {
        let deadline = Instant::now() + self.app.service.timeout;
        let notify = |note| self.log.service(note);
        // What a dead run began is finished once; what is done after that is a restart as any other.
        let after = match self.unfinished.take() {
            Some(left) => self.service.finish(&left, deadline, &notify).await?,
            None => {
                let before = self.service.identity().await.unwrap_or_default();
                let restarting = self.log.record(Record::Restarting { process: before.clone() });
                restarting.map_err(|error| Fault::from(error).with_outcome(Outcome::Untouched))?;
                self.service.apply(before.as_ref(), deadline, &notify).await?
            }
        };
        self.log.record_or_remark(Record::Restarted { process: after.clone() });
        self.after = Some(after);
        Ok(Outcome::Done)
    }

    pub(super) async fn revert(&mut self) -> Result<Outcome, Fault> {
        let deadline = Instant::now() + self.app.service.timeout;
        let notify = |note| self.log.service(note);
        let reverted = self.launcher(Purpose::Revert).run(&self.app.service.revert, deadline, &notify).await;
        reverted.map_err(|error| Fault::from(error).with_outcome(Outcome::Failed))?;
        Ok(Outcome::Done)
    }

    /// Runs `on_alert` with what happened as its last argument. That it fails is told, and changes nothing.
    pub(super) async fn alert(&mut self) -> Result<Outcome, Fault> {
        let what = self.trouble.as_ref().map_or("the app stays out", |trouble| trouble.what.as_str());
        let message = match self.request.goal {
            Goal::In if self.owing.is_empty() => format!("pitstop: {} was not put in: {what}", self.app.name),
            _ if self.owing.is_empty() => format!("pitstop: {} is out of rotation: {what}", self.app.name),
            _ => format!("pitstop: {} is not back on {}: {what}", self.app.name, self.owing.join(", ")),
        };
        self.say_aloud(message).await
    }

    /// Runs `on_alert` with `message` as its last argument.
    pub(super) async fn say_aloud(&mut self, message: String) -> Result<Outcome, Fault> {
        tracing::error!(app = %self.app.name, "{message}");
        if self.app.on_alert.is_empty() {
            return Ok(Outcome::Done);
        }
        let mut command = self.app.on_alert.clone();
        command.push(message);
        // It is said aloud also where the journal can't be written.
        let notify = |note: Note| {
            self.log.record_or_remark(Record::Service { note });
            Ok(())
        };
        let alerted = self.launcher(Purpose::Alert).run(&command, Instant::now() + ALERT, &notify).await;
        alerted.map_err(|error| Fault::from(error).with_outcome(Outcome::Failed))?;
        Ok(Outcome::Done)
    }

    pub(super) fn launcher(&self, purpose: Purpose) -> Launcher {
        let logs = app_dir(&self.request.state_dir, self.app.name.as_str());
        Launcher::new(&self.app.name, &logs, self.log.run(), purpose)
    }
}
