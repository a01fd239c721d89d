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
//! | `allow` | `# pitstop: allow RULE`, and names in it that no rule has |
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
use std::time::Duration;

use crate::config::Config;
use crate::document::{Place, Span};
use crate::effective::Effective;
use crate::proxy::Proxy;
use crate::proxy_settings::Mode;
use crate::section::Section;
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
    let backends = config.backends().filter(|backend| serves(backend) && context.concerns(backend));
    let backends: Vec<_> = backends.map(Backend::new).collect();
    let mut report = Report { config, context, findings: Vec::new(), seen: HashSet::new() };
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

    /// `backend/server`
    fn server(&self, server: &Server) -> String {
        format!("{}/{}", self.name(), server.name)
    }
}

/// What was found so far.
struct Report<'c> {
    config: &'c Config,
    context: &'c Context,
    findings: Vec<Finding>,
    seen: HashSet<(Rule, Place, usize)>,
}

impl<'c> Report<'c> {
    /// The `global` section; none where it is not sure that there is one. Without, the files are a part of a configuration.
    fn global(&self) -> Option<&'c Section> {
        self.config.sections().iter().find(|section| section.keyword == "global" && !section.conditional)
    }

    /// A word of a line, or the whole line where it is not in it. A server's name is none of the words: it may be any of them.
    fn find(&self, place: Place, text: &str) -> Span {
        let words = self.config.words(place);
        let first = match words.first() {
            Some(word) if matches!(word.text.as_str(), "server" | "server-template") => 2,
            _ => 1,
        };
        let word = words.iter().skip(first).find(|word| word.text == text);
        word.map_or_else(|| self.config.find(place, text), |word| Span { place, bytes: word.bytes.clone() })
    }

    /// The name of a server, in its line.
    fn name_of(&self, server: &Server) -> Span {
        let name = self.config.words(server.place).into_iter().nth(1);
        let place = server.place;
        name.map_or_else(|| self.config.find(place, &server.name), |word| Span { place, bytes: word.bytes })
    }

    /// Reports what a word of a line says, or the whole line where the word is not in it.
    fn at(&mut self, rule: Rule, place: Place, word: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.with(rule, rule.severity(), self.find(place, word), what, fix);
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

    /// Reports the first of two parts of the files, and shows the second with it.
    fn beside(
        &mut self,
        (rule, severity): (Rule, Severity),
        [span, see]: [Span; 2],
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let before = self.findings.len();
        self.with(rule, severity, span, what, fix);
        if let Some(added) = self.findings.get_mut(before) {
            added.see = Some(see);
        }
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
