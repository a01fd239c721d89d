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
//! | `allow` | `# pitstop: allow RULE` |
//! | [`worst_case`] | how long checks alone take to see a server go and come |
//!
//! A setting that is not known is never reported.

mod addresses;
mod allow;
mod balance;
mod checks;
mod reload;
pub mod rule;
mod sockets;
mod sticky;
mod timeouts;
pub mod worst_case;

pub use self::rule::{Rule, Severity};
use std::collections::HashSet;

use crate::config::Config;
use crate::document::{Place, Span};
use crate::effective::Effective;
use crate::proxy::Proxy;
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
    let serves = |backend: &&Proxy| !backend.settings.disabled.is(&true) && context.concerns(backend);
    let backends = config.backends().filter(serves);
    let backends: Vec<_> = backends.map(|proxy| Backend { proxy, servers: proxy.server_lines().collect() }).collect();
    let mut report = Report { config, context, findings: Vec::new(), seen: HashSet::new() };
    checks::look(&mut report, &backends);
    sticky::look(&mut report, &backends);
    sockets::look(&mut report);
    reload::look(&mut report, &backends);
    timeouts::look(&mut report);
    balance::look(&mut report, &backends);
    addresses::look(&mut report, &backends);
    let mut findings = report.findings;
    allow::remove_allowed(config, &mut findings);
    findings.sort_by_key(|finding| (finding.span.place, finding.rule));
    findings
}

/// A backend that serves, and one server of each of its lines.
struct Backend<'c> {
    proxy: &'c Proxy,
    servers: Vec<Server>,
}

impl Backend<'_> {
    /// Its name; an empty one is no server's backend.
    fn name(&self) -> &str {
        self.proxy.name.as_deref().unwrap_or_default()
    }
}

/// What was found so far.
struct Report<'c> {
    config: &'c Config,
    context: &'c Context,
    findings: Vec<Finding>,
    seen: HashSet<(Rule, Place, usize)>,
}

impl Report<'_> {
    /// Reports what a word of a line says, or the whole line where the word is not in it.
    fn at(&mut self, rule: Rule, place: Place, word: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.with(rule, rule.severity(), self.config.find(place, word), what, fix);
    }

    /// The same for a setting, at the line that gives it; where it is HAProxy's own default, at `or`.
    fn setting<T>(
        &mut self,
        rule: Rule,
        setting: &Effective<T>,
        or: Place,
        word: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.at(rule, setting.place().unwrap_or(or), word, what, fix);
    }

    fn with(&mut self, rule: Rule, severity: Severity, span: Span, what: impl Into<String>, fix: impl Into<String>) {
        // What stands in `defaults` is said once.
        if self.seen.insert((rule, span.place, span.bytes.start)) {
            self.findings.push(Finding { rule, severity, span, what: what.into(), fix: fix.into(), see: None });
        }
    }

    /// As [`at`](Self::at), and names another line that has to do with it.
    fn beside(&mut self, rule: Rule, places: [Place; 2], word: &str, what: impl Into<String>, fix: impl Into<String>) {
        let [place, other] = places;
        let before = self.findings.len();
        self.at(rule, place, word, what, fix);
        let see = self.config.find(other, word);
        if let Some(added) = self.findings.get_mut(before) {
            added.see = Some(see);
        }
    }
}
