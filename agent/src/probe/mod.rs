//! Proof that the app is healthy: http, tcp, command.
//!
//! A [`Requirement`] is one of `[[apps.X.ready]]`, made ready to be tried by [`probes_for`]; [`prove`] tries all of
//! them until each has passed `rise` times in a row.

mod command;
mod failure;
mod http;
mod limit;
mod once;
mod prove;
mod tcp;
mod tls;

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::config::settings::{self, ProbeKind};

pub use failure::Failure;
pub use once::{Answer, ask_once};
pub use prove::{NotReady, Progress, Proof, Proven, Unproven, prove};

/// A question to the app, asked as often as needed.
#[async_trait]
pub trait Probe: Send + Sync {
    /// What is asked and what must be seen, in one line, as in `GET http://127.0.0.1:1000/health → 200`.
    fn describe(&self) -> String;

    /// Asks once, over a connection or with a process of its own, and gives up at `deadline`. Can be dropped at any
    /// time: nothing of the try stays behind.
    ///
    /// # Errors
    ///
    /// What was seen instead.
    async fn once(&self, deadline: Instant) -> Result<(), Failure>;
}

/// A probe, and how it must pass.
pub struct Requirement {
    /// What is asked.
    pub probe: Box<dyn Probe>,
    /// How many passes in a row; 0 counts as 1.
    pub rise: u32,
    /// Pause between tries while it fails; under 1 ms counts as 1 ms.
    pub interval: Duration,
    /// How long until it must have passed.
    pub timeout: Duration,
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requirement")
            .field("probe", &self.probe.describe())
            .field("rise", &self.rise)
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Why a probe can't be tried at all.
#[derive(Debug, thiserror::Error)]
#[error("the probe {probe} can't be tried: {what}")]
pub struct ProbeError {
    /// The probe, as [`Probe::describe`] has it.
    pub probe: String,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to type next.
    pub hint: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProbeError {
    fn new(probe: &str, what: &str) -> Self {
        Self { probe: probe.to_owned(), what: what.to_owned(), hint: None, source: None }
    }

    fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    fn because(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(cause)), ..self }
    }
}

/// The app's probes, in the order of the file. Certificates are read here, once, so that a try reads no file.
///
/// # Errors
///
/// The first probe that can't be tried at all: its certificates can't be read, or its request can't be put in HTTP.
pub fn probes_for(app: &settings::App) -> Result<Vec<Requirement>, ProbeError> {
    app.ready.iter().map(requirement).collect()
}

fn requirement(probe: &settings::Probe) -> Result<Requirement, ProbeError> {
    Ok(Requirement {
        probe: match &probe.kind {
            ProbeKind::Http(http) => Box::new(http::Http::new(http.clone())?),
            ProbeKind::Tcp(address) => Box::new(tcp::Tcp(*address)),
            ProbeKind::Command(argv) => Box::new(command::Command::new(argv)?),
        },
        rise: probe.rise,
        interval: probe.interval,
        timeout: probe.timeout,
    })
}
