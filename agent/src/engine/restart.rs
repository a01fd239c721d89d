//! The restart itself, the revert, and saying aloud that the app stays out.

use std::io;
use std::time::{Duration, Instant};

use super::{Engine, Fault};
use crate::events::Kind;
use crate::journal::Record;
use crate::run::{Goal, Outcome};
use crate::service::{self, Note};

/// How long an alert command may take: it must not hold up what is left to do.
const ALERT: Duration = Duration::from_secs(10);

impl Engine<'_> {
    pub(super) async fn restart(&mut self) -> Result<Outcome, Fault> {
        let deadline = Instant::now() + self.app.service.timeout;
        let before = self.service.identity().await.unwrap_or_default();
        let notify = |note: Note| {
            self.log.record(Record::Service { note: note.clone() }).map_err(io::Error::other)?;
            self.log.publish(Kind::Act { on: "service".to_owned(), what: note.to_string() });
            Ok(())
        };
        let after = self.service.apply(before.as_ref(), deadline, &notify).await?;
        self.log.record_or_remark(Record::Restarted { process: after.clone() });
        self.after = Some(after);
        Ok(Outcome::Done)
    }

    pub(super) async fn revert(&mut self) -> Result<Outcome, Fault> {
        let command = &self.app.service.revert;
        self.log.act("service", &command.join(" "))?;
        let deadline = Instant::now() + self.app.service.timeout;
        self.run_command("revert", command, deadline).await?;
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
        tracing::error!(app = %self.app.name, "{message}");
        if self.app.on_alert.is_empty() {
            return Ok(Outcome::Done);
        }
        let mut command = self.app.on_alert.clone();
        command.push(message);
        self.log.record_or_remark(Record::ActIntent { on: "alert".to_owned(), what: command.join(" ") });
        self.run_command("alert", &command, Instant::now() + ALERT).await?;
        Ok(Outcome::Done)
    }

    async fn run_command(&self, name: &str, command: &[String], deadline: Instant) -> Result<(), Fault> {
        let logs = crate::journal::app_dir(&self.request.state_dir, self.app.name.as_str());
        let log = logs.join(format!("{name}.log"));
        service::run_child(command, &log, deadline).await.map_err(|error| Fault::from(error).with_outcome(Outcome::Failed))
    }
}
