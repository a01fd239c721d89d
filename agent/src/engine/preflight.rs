//! Looks at everything that a run will need, and touches nothing. `pitstop check` is little more than this step.

use serde::Serialize;

use super::configs::Configs;
use super::fault::chain;
use super::{Engine, Fault, claim};
use crate::config::settings::{Guard, RedirectDriver};
use crate::haproxy::ServerId;
use crate::journal::{self, Claim, ClaimError, Found};
use crate::rotation::admin::Admin;
use crate::rotation::findings;
use crate::run::{Goal, Outcome};

/// Something that was noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is so.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Good,
    /// Worth knowing when looking into it, not at every run.
    Note,
    /// A run works, with a risk that is named.
    Warning,
    /// A run would be refused.
    Error,
}

/// Whether going down kills sessions (`on-marked-down shutdown-sessions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kills {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// Nobody has told us; the socket does not show it.
    Unknown,
}

impl Finding {
    pub(super) fn good(what: impl Into<String>) -> Self {
        Self { severity: Severity::Good, what: what.into(), hint: None }
    }

    pub(super) fn warning(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), hint: Some(hint.into()) }
    }

    pub(super) fn error(what: impl Into<String>, hint: Option<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), hint }
    }
}

impl From<findings::Finding> for Finding {
    fn from(finding: findings::Finding) -> Self {
        let severity = match finding.severity {
            findings::Severity::Error => Severity::Error,
            findings::Severity::Warning => Severity::Note,
        };
        Self { severity, what: finding.what, hint: Some(finding.hint) }
    }
}

impl Engine<'_> {
    pub(super) async fn preflight(&mut self) -> Result<Outcome, Fault> {
        if self.recovery.is_some() {
            return self.preflight_recovery().await;
        }
        // Half-way through another run everything would look odd.
        let told = |waits| self.log.remark(waits);
        let held = claim::holder(&self.request.state_dir, self.app.name.as_str(), &self.interrupt, told);
        if let Some(holder) = held.await {
            return Err(ClaimError::Held(Some(holder)).into());
        }
        let findings = self.inspect().await;
        self.refuse_errors(findings)
    }

    /// Warnings are told; errors refuse the run.
    pub(super) fn refuse_errors(&self, findings: Vec<Finding>) -> Result<Outcome, Fault> {
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        if errors.is_empty() {
            let warnings = findings.into_iter().filter(|finding| finding.severity == Severity::Warning);
            warnings.for_each(|warning| self.log.remark(warning.what));
            return Ok(Outcome::Done);
        }
        let what = errors.iter().map(|error| error.what.as_str()).collect::<Vec<_>>().join("\n");
        let mut hints: Vec<_> = errors.iter().filter_map(|error| error.hint.as_deref()).collect();
        hints.dedup();
        Err(Fault::new(Outcome::Failed, what, (!hints.is_empty()).then(|| hints.join("\n"))))
    }

    /// Everything worth knowing before a run, good and bad.
    pub async fn inspect(&mut self) -> Vec<Finding> {
        let configs = Configs::read(&self.app.balancers);
        self.inspect_by(&configs).await
    }

    pub(super) async fn inspect_by(&mut self, configs: &Configs) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.inspect_journal());
        findings.extend(self.inspect_balancers(configs).await);
        match self.inspect_unnamed().await {
            Ok(unnamed) => findings.extend(unnamed),
            Err(error) => findings.push(Finding::error(chain(&error), error.hint())),
        }
        findings.extend(self.inspect_ports().await);
        findings.extend(self.inspect_readable(configs));
        findings.extend(self.inspect_configs(configs));
        findings.extend(self.inspect_programs());
        if self.request.goal != Goal::In {
            findings.extend(self.inspect_kills(configs));
        }
        if self.request.goal == Goal::Restart {
            match self.service.check().await {
                Ok(()) => findings.push(Finding::good(format!("service: {}", self.service.acts().join(", then ")))),
                Err(error) => findings.push(Finding::error(chain(&error), error.hint)),
            }
        }
        // Several looks may come upon the same.
        let mut seen = Vec::new();
        findings.retain(|finding| {
            !seen.contains(finding) && {
                seen.push(finding.clone());
                true
            }
        });
        findings
    }

    fn inspect_journal(&mut self) -> Vec<Finding> {
        let app = self.app.name.as_str();
        if let Err(error) = journal::writable(&self.request.state_dir, app) {
            return vec![Finding::error(chain(&error), error.hint())];
        }
        let history = match journal::history(&self.request.state_dir, app) {
            Err(error) => return vec![Finding::error(chain(&error), error.hint())],
            Ok(history) => history,
        };
        self.owed.clone_from(&history.debt);
        self.lease.clone_from(&history.lease);
        self.last_run = history.last().cloned();
        match history.interrupted() {
            Some(last) if Claim::holder(&self.request.state_dir, app).is_none() => {
                let what = format!("run {} (begun {}) was interrupted and has not been finished", last.run, last.began);
                let hint = format!("`pitstop recover {app}` finishes or undoes it, and so does the next run");
                vec![Finding::warning(what, hint)]
            }
            _ => Vec::new(),
        }
    }

    /// Entries in somebody else's maintenance. `in` is the word of a person for all of them; and what an `out`, or a run that had to
    /// leave the app out, has set is our own.
    pub(super) fn left_alone(&self, balancer: &Admin) -> Vec<ServerId> {
        if self.request.goal == Goal::In { Vec::new() } else { balancer.left_alone(self.owed_on(balancer.name())) }
    }

    /// What the `out` that keeps the app out, or a run that had to leave it out, had found on this balancer.
    pub(super) fn owed_on(&self, balancer: &str) -> &[Found] {
        let owed = self.lease.iter().map(|lease| &lease.owes).chain(&self.owed);
        owed.map(|debt| debt.on(balancer)).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Makes ours, before they are put back, the entries that are: for `in` all, and else what is owed.
    pub(super) fn claim_entries(&mut self) {
        let debt = self.owed.take();
        for balancer in &mut self.balancers {
            let owed = debt.as_ref().map(|debt| debt.on(balancer.name())).unwrap_or_default();
            match self.request.goal {
                Goal::In => balancer.claim_all(owed),
                Goal::Restart | Goal::Out | Goal::Recover => balancer.claim_owed(owed),
            }
        }
        self.owed = debt;
    }

    /// The guard in force.
    pub(super) fn guard(&self) -> Guard {
        if self.request.force { Guard::NONE } else { self.app.guard }
    }

    async fn inspect_ports(&mut self) -> Vec<Finding> {
        let Some(ports) = &mut self.ports else { return Vec::new() };
        if self.app.redirect.as_ref().is_some_and(|redirect| redirect.driver == RedirectDriver::Nftables) {
            let hint = "set `driver = \"iptables\"`, which works with iptables-nft too";
            return vec![Finding::error("redirect: the nftables driver is not built yet", Some(hint.to_owned()))];
        }
        let port = self.app.redirect.as_ref().map(|redirect| redirect.check_port).unwrap_or_default();
        let adopted = self.request.adopt_rules;
        let redirect = ports.redirect();
        let found = if adopted { redirect.check_before_adoption().await } else { redirect.check().await };
        let mut findings: Vec<Finding> = found.into_iter().map(Finding::from).collect();
        match ports.find().await {
            Ok(true) => findings.push(Finding::good("redirect: in place")),
            Ok(false) if self.request.goal == Goal::In => {}
            Ok(false) => findings.push(Finding::warning(
                format!("redirect: not in place, so checks on port {port} do not reach the app"),
                format!("`pitstop in {}` adds it", self.app.name),
            )),
            Err(error) => findings.push(Finding::error(chain(&error), error.hint())),
        }
        findings
    }

    pub(super) fn inspect_kills(&mut self, configs: &Configs) -> Vec<Finding> {
        self.kills = match self.app.drain.kills_on_down {
            Some(true) => Kills::Yes,
            Some(false) => Kills::No,
            None => self.kills_by_config(configs),
        };
        if self.kills != Kills::Unknown {
            return Vec::new();
        }
        let what = "whether going down kills sessions (`on-marked-down shutdown-sessions`) is not known, so those who \
                    stick are waited for";
        vec![Finding::warning(what, self.kills_hint())]
    }

    /// The two keys that settle whether going down kills sessions.
    pub(super) fn kills_hint(&self) -> String {
        let by_hand = format!("`kills_on_down = false` in [apps.{}.drain]", self.app.name);
        match self.app.balancers.iter().find(|balancer| balancer.config.is_empty()) {
            Some(balancer) => {
                format!("set `config = \"/etc/haproxy/haproxy.cfg\"` in [balancers.{}], or {by_hand}", balancer.name)
            }
            None => format!("the files named as `config` do not tell: are these entries in them? Or set {by_hand}"),
        }
    }

    fn kills_by_config(&self, configs: &Configs) -> Kills {
        let servers = || self.app.servers.iter().chain(&self.app.backups);
        let mut kills = Kills::No;
        for balancer in &self.app.balancers {
            let config = configs.of(balancer.name.as_str());
            match servers().map(|server| kills_here(config, server)).max_by_key(|kills| *kills as u8) {
                Some(Kills::Yes) => return Kills::Yes,
                Some(Kills::No) => {}
                Some(Kills::Unknown) | None => kills = Kills::Unknown,
            }
        }
        kills
    }
}

fn kills_here(config: Option<&haproxy_cfg::Config>, server: &ServerId) -> Kills {
    match config.and_then(|config| config.kills_on_down(server.backend.as_str(), server.server.as_str())) {
        Some(true) => Kills::Yes,
        Some(false) => Kills::No,
        None => Kills::Unknown,
    }
}
