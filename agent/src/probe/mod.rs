//! Proof that the app is healthy: http, tcp, command.
//!
//! A [`Requirement`] is one of `[[apps.X.ready]]`, made ready to be tried by [`proof_of`]; [`prove`] tries all of
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
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// All that must pass before the app takes traffic: its [probes](probes_for), and, where none of them asks the address on which
/// it takes traffic, a connect to that as well. HAProxy may check another port, and so may the file's probes.
///
/// # Errors
///
/// As [`probes_for`].
pub fn proof_of(app: &settings::App) -> Result<Vec<Requirement>, ProbeError> {
    let mut requirements = probes_for(app)?;
    let traffic = SocketAddr::new(reached_by(app.listen.ip()), app.listen.port());
    if !app.ready.iter().any(|probe| asks(&probe.kind, traffic)) {
        requirements.push(Requirement {
            probe: Box::new(tcp::Tcp(traffic)),
            rise: 1,
            interval: app.ready.iter().map(|probe| probe.interval).min().unwrap_or_default(),
            timeout: app.ready.iter().map(|probe| probe.timeout).max().unwrap_or_default(),
        });
    }
    Ok(requirements)
}

/// What an app that listens on every address is asked at.
fn reached_by(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// Whether a probe connects to this address. A name is not resolved: one connect too many does no harm.
fn asks(probe: &ProbeKind, address: SocketAddr) -> bool {
    match probe {
        ProbeKind::Http(http) => http.port == address.port() && http.host.parse() == Ok(address.ip()),
        ProbeKind::Tcp(asked) => *asked == address,
        ProbeKind::Command(_) => false,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    /// What an app that listens here and has these probes is asked.
    fn asked(listen: &str, ready: &str) -> Vec<String> {
        let text = format!(
            r#"
            [balancers.lb1]
            socket = "/run/haproxy/admin.sock"
            [apps.web]
            servers = ["srvs/webA"]
            listen = "{listen}"
            service = {{ systemd = "web.service" }}
            ready = [{ready}]
            "#
        );
        let settings = config::parse("pitstop.toml".as_ref(), &text).unwrap();
        let proof = proof_of(settings.app("web").unwrap()).unwrap();
        proof.iter().map(|requirement| requirement.probe.describe()).collect()
    }

    #[test]
    fn the_traffic_port_is_asked_once_by_a_probe_of_the_file_or_by_a_connect() {
        let (http, tcp) = (r#"{ http = "http://127.0.0.1:1000/" }"#, r#"{ tcp = "[::1]:1000" }"#);
        assert_eq!(asked("127.0.0.1:1000", http), ["GET http://127.0.0.1:1000/ → 200"]);
        assert_eq!(asked("0.0.0.0:1000", http), ["GET http://127.0.0.1:1000/ → 200"]);
        assert_eq!(asked("[::1]:1000", tcp), ["connect to [::1]:1000"]);
        assert_eq!(asked("[::]:1000", tcp), ["connect to [::1]:1000"]);
        assert_eq!(asked("127.0.0.1:1001", http), ["GET http://127.0.0.1:1000/ → 200", "connect to 127.0.0.1:1001"]);
        assert_eq!(asked("127.0.0.2:1000", http), ["GET http://127.0.0.1:1000/ → 200", "connect to 127.0.0.2:1000"]);
        assert_eq!(asked("[::]:1000", r#"{ command = ["/bin/true"] }"#).last().unwrap(), "connect to [::1]:1000");
    }
}
