//! Checked values. Everything here has passed its checks; nothing outside `config` reads the file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::suggest;
use crate::haproxy::{Address, ServerId};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Every balancer, by name.
    pub balancers: BTreeMap<Label, Balancer>,
    /// Every app, by name.
    pub apps: BTreeMap<Label, App>,
}

impl Settings {
    /// The app of that name.
    ///
    /// # Errors
    ///
    /// There is none; the error knows those that there are.
    pub fn app(&self, name: &str) -> Result<&App, UnknownApp> {
        self.apps
            .iter()
            .find_map(|(label, app)| (label.as_str() == name).then_some(app))
            .ok_or_else(|| UnknownApp { name: name.to_owned(), known: self.apps.keys().cloned().collect() })
    }
}

/// There is no app of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no app {name:?}")]
pub struct UnknownApp {
    /// The name that was asked for.
    pub name: String,
    /// All that there are.
    pub known: Vec<Label>,
}

impl UnknownApp {
    /// What to type instead.
    pub fn hint(&self) -> String {
        let known: Vec<&str> = self.known.iter().map(Label::as_str).collect();
        if known.is_empty() {
            "the configuration has no apps: add a table such as [apps.web]".to_owned()
        } else {
            suggest::hint(&self.name, &known)
        }
    }
}

/// The name of an app or balancer in `pitstop.toml`: letters, digits, `_`, `.` and `-`, not starting with `.` or `-`,
/// at most 64 characters; so it is safe as a file name and on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// Why a text is not a [`Label`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name here is 1 to 64 letters, digits, `_`, `.` or `-`, starting with a letter, digit or `_`")]
pub struct LabelError;

impl Label {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let good = (1..=64).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with(['.', '-']);
        if good { Ok(Self(text)) } else { Err(LabelError) }
    }
}

impl std::str::FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        text.to_owned().try_into()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One HAProxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancer {
    /// Its name in `pitstop.toml`.
    pub name: Label,
    /// Its admin socket; `None` where only the redirect reaches it.
    pub socket: Option<Address>,
    /// Its master socket, which shows sessions in old workers.
    pub master: Option<Address>,
    /// Its configuration: files and folders as it is given them with `-f`, read for what the socket does not show.
    pub config: Vec<PathBuf>,
    /// Where its connections and checks come from; empty: anywhere.
    pub addresses: Vec<IpAddr>,
}

/// One app on this host.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its name in `pitstop.toml`.
    pub name: Label,
    /// The balancers that send to it; all of the file's unless the app names some.
    pub balancers: Vec<Balancer>,
    /// Its main entries.
    pub servers: Vec<ServerId>,
    /// Its `backup` entries, which serve those who stick.
    pub backups: Vec<ServerId>,
    /// Where it takes traffic.
    pub listen: SocketAddr,
    /// What to do about a balancer that can't be reached.
    pub unreachable: Unreachable,
    /// What to do about entries of HAProxy with the same address that the app does not list.
    pub unlisted: Unlisted,
    /// Whose word puts it back.
    pub put_back: PutBack,
    /// How long it must stay the same process after put-back.
    pub hold: Duration,
    /// The command run when it stays out; empty: none.
    pub on_alert: Vec<String>,
    /// The redirect of its check port, if it has one.
    pub redirect: Option<Redirect>,
    /// How long to wait for what is in flight.
    pub drain: Drain,
    /// How it is restarted.
    pub service: Service,
    /// What proves that it is healthy; never empty.
    pub ready: Vec<Probe>,
    /// How little may stay up.
    pub guard: Guard,
    /// Gradual return, if configured.
    pub ramp: Option<Ramp>,
}

/// `unreachable`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreachable {
    /// Refuse, or undo.
    Abort,
    /// Go on if the redirect takes the app out there as well.
    IgnoreIfRedirect,
    /// Go on.
    Proceed,
}

/// `unlisted`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unlisted {
    /// Refuse, and name them.
    Refuse,
    /// Go on; they keep sending while the app is down.
    Ignore,
}

/// `put_back`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutBack {
    /// Our proof is enough.
    Probed,
    /// HAProxy's checks decide as well.
    Checked,
}

/// `[apps.X.redirect]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The port that HAProxy's health check connects to.
    pub check_port: u16,
    /// Which tool sets the rule.
    pub driver: RedirectDriver,
    /// Only the redirect takes the app out; the admin sockets are read, never written.
    pub alone: bool,
    /// HAProxy's `inter`, where no socket tells.
    pub inter: Duration,
    /// HAProxy's `fall`, where no socket tells.
    pub fall: u32,
    /// HAProxy's `rise`, where no socket tells.
    pub rise: u32,
    /// HAProxy's `timeout check`, where no socket tells.
    pub check_timeout: Duration,
}

/// `driver`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedirectDriver {
    /// What the host has.
    Auto,
    /// `iptables` and `ip6tables`.
    Iptables,
    /// `nft`.
    Nftables,
}

/// `[apps.X.drain]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long to wait at most, for each of the two waits.
    pub timeout: Duration,
    /// What to do when it is over.
    pub on_timeout: OnTimeout,
    /// How long those who stick may go on before they are moved too.
    pub sticky_grace: Duration,
    /// How long a connection must have been silent to count as idle, where its balancer's counters can't be read.
    pub idle_after: Duration,
    /// Whether going down kills sessions (`on-marked-down shutdown-sessions`); `None`: read it from the balancer's `config`, else unknown.
    pub kills_on_down: Option<bool>,
}

/// `on_timeout`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// Undo, exit 5.
    Abort,
    /// Restart all the same.
    Proceed,
    /// Let HAProxy end the sessions, then restart.
    ShutdownSessions,
}

/// `[apps.X.service]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Who restarts the app.
    pub manager: Manager,
    /// Restart or reload.
    pub action: Action,
    /// The command run when the app never becomes ready; empty: none.
    pub revert: Vec<String>,
    /// How often to try; at least 1.
    pub attempts: u32,
    /// How long one try may take.
    pub timeout: Duration,
}

/// Who restarts the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// A systemd unit, over D-Bus.
    Systemd {
        /// Its full name, such as `web.service`.
        unit: String,
    },
    /// A process known by its pid file.
    Signal {
        /// The pid file.
        pidfile: PathBuf,
        /// Ends it gracefully; then `start` is run.
        stop_signal: SignalName,
        /// Starts it. Empty only where `action = "reload"`.
        start: Vec<String>,
        /// Makes it reload (`HUP`), or start a successor (`USR2`).
        reload_signal: SignalName,
        /// Ends the old master once the successor is ready; only for `USR2` style.
        old_signal: Option<SignalName>,
    },
    /// A command that restarts it.
    Command {
        /// Program and arguments.
        restart: Vec<String>,
        /// Where to learn the process, if given; else from who holds the listening port.
        pidfile: Option<PathBuf>,
    },
}

/// A signal, written by its name without `SIG`, such as `TERM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalName(pub Signal);

/// Why a text is not a [`SignalName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no signal has this name: write it as in `kill -l`, such as \"TERM\", \"HUP\" or \"USR2\"")]
pub struct SignalNameError;

impl FromStr for SignalName {
    type Err = SignalNameError;

    /// Takes the name with or without `SIG`.
    fn from_str(text: &str) -> Result<Self, SignalNameError> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        format!("SIG{name}").parse().map(Self).map_err(|_| SignalNameError)
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        f.write_str(name.strip_prefix("SIG").unwrap_or(name))
    }
}

/// `action`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A new process.
    Restart,
    /// The same master with new workers, or a successor.
    Reload,
}

/// One of `[[apps.X.ready]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// How many passes in a row; the first, then the rest 5 ms apart.
    pub rise: u32,
    /// Pause between tries while it fails.
    pub interval: Duration,
    /// How long until it must have passed.
    pub timeout: Duration,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// A GET over HTTP/1.1.
    Http(HttpProbe),
    /// A connect.
    Tcp(SocketAddr),
    /// A command that must exit 0.
    Command(Vec<String>),
}

/// An HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// `https` rather than `http`.
    pub tls: bool,
    /// Where to connect: host (a name is resolved, the port is that of the URL).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// Accepted status codes.
    pub status: Vec<u16>,
    /// Sent with the request, such as `Host`.
    pub request_headers: Vec<(String, String)>,
    /// Must be in the answer, with this value.
    pub headers: Vec<(String, String)>,
    /// Must stand in the body (the first MiB of it).
    pub contains: Option<String>,
    /// PEM file of the authority to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Name to verify in the certificate instead of the URL's host.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// `[apps.X.guard]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// How many other servers must stay up.
    pub min_up: MinUp,
    /// How many percent of the backend's weight the other servers that are up must have, 0 to 100.
    pub min_weight: u8,
    /// Whether `backup` entries count as well.
    pub count_backups: bool,
}

impl Guard {
    /// Asks for nothing.
    pub const NONE: Self = Self { min_up: MinUp::Servers(0), min_weight: 0, count_backups: false };
}

impl Default for Guard {
    fn default() -> Self {
        Self { min_up: MinUp::Servers(1), ..Self::NONE }
    }
}

/// `min_up`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinUp {
    /// So many other servers must stay up.
    Servers(u32),
    /// So many percent of the backend's configured entries, rounded up.
    Percent(u8),
}

/// `[apps.X.ramp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramp {
    /// Percent of the full weight to begin with, 1 to 100.
    pub from: u8,
    /// How long until full weight.
    pub over: Duration,
}
