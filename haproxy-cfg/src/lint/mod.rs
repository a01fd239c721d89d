//! What in a configuration would make a restart drop requests.
//!
//! | file | rules on |
//! |---|---|
//! | [`rule`] | all rules: name, severity, why |
//! | `checks` | health checks, and what happens when one fails |
//! | `sticky` | cookies, persistence, main and backup entries |
//! | `sockets` | the admin socket |
//! | `reload` | what a reload forgets, or brings back |
//! | `timeouts` | what makes a drain endless |
//! | `balance` | algorithms and reuse of connections |
//! | `addresses` | two entries for one address, names that have to be resolved |
//! | `report` | where a finding is, and that it is said once |
//! | `allow` | `# pitstop: allow RULE`, and names in it that no rule has |
//! | [`worst_case`] | how long checks alone take to see that a server is down, or up again |
//!
//! A setting that is not known is never reported.

mod addresses;
mod allow;
mod balance;
mod checks;
mod reload;
mod report;
pub mod rule;
mod sockets;
mod sticky;
mod timeouts;
pub mod worst_case;

use self::report::Report;
pub use self::rule::{Rule, Severity};
use std::time::Duration;

use crate::config::Config;
use crate::document::Span;
use crate::proxy::Proxy;
use crate::proxy_settings::Mode;
use crate::server::Server;

/// Something that would make a restart drop requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How bad it is here.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is so, in one sentence.
    pub what: String,
    /// What to write instead.
    pub fix: String,
    /// Another line that has to do with it.
    pub see: Option<Span>,
    /// Backend and name of each server whose own line it is about, this one and then [`see`](Self::see). None where it is about a whole
    /// section, a `default-server` or a `server-template`.
    pub servers: Vec<(String, String)>,
}

/// What a configuration does not tell by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Only these backends are looked at; `None`: all.
    pub backends: Option<Vec<String>>,
    /// Servers that are taken out by a redirect of their check port.
    pub redirects: Vec<Redirected>,
    /// Backends and servers whose weight is to rise when they come back.
    pub ramps: Vec<(String, String)>,
    /// Whether a master socket is known; `None` where nobody has said.
    pub master_socket: Option<bool>,
}

/// A server that is taken out by a redirect of its check port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirected {
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// The port that the redirect sends to the app.
    pub check_port: u16,
}

impl Context {
    fn concerns(&self, backend: &Proxy) -> bool {
        let name = backend.name.as_deref().unwrap_or_default();
        self.backends.as_ref().is_none_or(|backends| backends.iter().any(|one| one == name))
    }

    fn redirect_of(&self, backend: &str, server: &str) -> Option<&Redirected> {
        self.redirects.iter().find(|redirected| redirected.backend == backend && redirected.server == server)
    }
}

/// Everything that the rules find, in the order of the files; what a comment allows is left out.
pub fn lint(config: &Config, context: &Context) -> Vec<Finding> {
    let backends = config.backends().filter(|backend| serves(backend) && context.concerns(backend));
    let backends: Vec<_> = backends.map(Backend::new).collect();
    let mut report = Report::new(config, context, &backends);
    checks::look(&mut report, &backends);
    sticky::look(&mut report, &backends);
    sockets::look(&mut report, &backends);
    reload::look(&mut report, &backends);
    timeouts::look(&mut report, &backends);
    balance::look(&mut report, &backends);
    addresses::look(&mut report, &backends);
    let mut findings = allow::apply(&mut report);
    findings.sort_by_key(|finding| (finding.span.place, finding.rule));
    findings
}

/// Whether it serves clients: backends of other modes are for logs and agents.
fn serves(backend: &Proxy) -> bool {
    !backend.settings.disabled.is(&true) && !backend.settings.mode.is(&Mode::Other)
}

/// A backend that serves, and one server of each of its lines.
struct Backend<'c> {
    proxy: &'c Proxy,
    servers: Vec<Server>,
    /// Whether there is a choice between servers.
    is_balanced: bool,
}

impl<'c> Backend<'c> {
    fn new(proxy: &'c Proxy) -> Self {
        Self { proxy, servers: proxy.server_lines().collect(), is_balanced: proxy.servers().nth(1).is_some() }
    }

    /// Its name; an empty one is no server's backend.
    fn name(&self) -> &str {
        self.proxy.name.as_deref().unwrap_or_default()
    }

    /// Whether it is checked, and where and in what language its own line alone decides.
    fn is_checked_by_its_line(&self, server: &Server) -> bool {
        let (proxy, server) = (&self.proxy.settings, &server.settings);
        server.check.is(&true)
            && server.healthcheck.is(&None)
            && proxy.check_connect.is(&false)
            && proxy.external_check.is(&false)
    }

    /// `backend/server`
    fn server(&self, server: &Server) -> String {
        format!("{}/{}", self.name(), server.name)
    }
}

/// A time as HAProxy takes it: a whole number and a unit.
fn time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    match [(3_600_000, "h"), (60_000, "m"), (1000, "s")].iter().find(|(unit, _)| milliseconds.is_multiple_of(*unit)) {
        Some((unit, name)) if milliseconds > 0 => format!("{}{name}", milliseconds / unit),
        _ => format!("{milliseconds}ms"),
    }
}
