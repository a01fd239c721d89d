//! Looks at everything that a run will need, and touches nothing. `pitstop check` is little more than this step.

use haproxy_cfg::Config;
use serde::Serialize;

use super::configs::Configs;
use super::fault::chain;
use super::{Engine, Fault, claim, unloaded};
use crate::config::settings::{Guard, RedirectDriver, Unlisted};
use crate::haproxy::{OperationalState, ServerId, ServerState};
use crate::journal::{self, Claim, ClaimError, Found};
use crate::rotation::admin::Admin;
use crate::rotation::{RotationError, findings};
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

    async fn inspect_balancers(&mut self, configs: &Configs) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut reached = Vec::new();
        for mut balancer in std::mem::take(&mut self.balancers) {
            let config = configs.of(balancer.name());
            match self.inspect_balancer(&mut balancer, config).await {
                Ok(found) => {
                    findings.extend(found);
                    if let Some(why) = balancer.check_workers().await {
                        let hint =
                            format!("is `master` in [balancers.{}] the socket given to `haproxy -S`?", balancer.name());
                        let what =
                            format!("{why}: after a reload the kernel's connections count until they are closed");
                        findings.push(Finding::warning(what, hint));
                    }
                    reached.push(balancer);
                }
                Err(error) if error.is_unreachable() && self.may_go_without() => {
                    let what = format!("{}; goes on without it, as `unreachable` says", chain(&error));
                    findings.push(Finding::warning(what, error.hint().unwrap_or_default()));
                }
                Err(error) => {
                    let unloaded = config.and_then(|config| self.unloaded_socket(balancer.name(), config));
                    let hint = unloaded::hint(self.app.name.as_str(), config, &error).or_else(|| error.hint());
                    findings.push(unloaded.unwrap_or_else(|| Finding::error(chain(&error), hint)));
                }
            }
        }
        self.balancers = reached;
        findings
    }

    async fn inspect_balancer(
        &mut self,
        balancer: &mut Admin,
        config: Option<&Config>,
    ) -> Result<Vec<Finding>, RotationError> {
        let name = balancer.name().to_owned();
        let files = config.filter(|_| self.request.goal == Goal::In);
        let (states, unread) = unloaded::find(balancer, files, &[]).await?;
        let mut findings: Vec<_> = unread.into_iter().collect();
        findings.push(as_it_stands(&name, &states));
        if !balancer.is_read_only() {
            let level = balancer.level().await?;
            if level != "admin" {
                let hint = format!("set `level admin` on the stats socket of {name} in haproxy.cfg, and reload it");
                findings.push(Finding::error(format!("balancer {name}: the socket is of level {level}"), Some(hint)));
            }
        }
        for server in self.left_alone(balancer) {
            let what = format!("{server} on {name} is in maintenance, set by somebody else: it will be left so");
            let hint = format!("`pitstop in {}` puts the app back", self.app.name);
            findings.push(if self.request.strict && self.request.goal != Goal::In {
                Finding::error(what, Some(hint))
            } else {
                Finding::warning(what, hint)
            });
        }
        for state in states.iter().filter(|state| state.agent.enabled()) {
            let what = format!("{} on {name} has an agent-check, which may override what is set here", state.id);
            findings.push(Finding::warning(what, "make sure that the agent does not say `ready` by itself"));
        }
        if self.request.goal != Goal::In {
            findings.extend(self.inspect_guard(balancer, &states).await?);
            findings.extend(self.inspect_unlisted(balancer, &states).await?);
        }
        Ok(findings)
    }

    async fn inspect_guard(&mut self, balancer: &Admin, states: &[ServerState]) -> Result<Vec<Finding>, RotationError> {
        let mut findings = Vec::new();
        for count in balancer.count_up(states).await? {
            if !count.own_up {
                continue;
            }
            self.guarded.insert((balancer.name().to_owned(), count.backend.clone()));
            match count.check(self.guard()) {
                Ok(kept) => {
                    let what = format!("guard: {kept} stay up in {} on {}", count.backend, balancer.name());
                    findings.push(Finding::good(what));
                }
                Err(few) => {
                    let what = format!("balancer {}: {few}", balancer.name());
                    findings.push(Finding::error(what, Some(few.hint().to_owned())));
                }
            }
        }
        Ok(findings)
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

    /// Entries with the address of one of ours that the app does not list: they keep sending while the app is down.
    async fn inspect_unlisted(&self, balancer: &Admin, own: &[ServerState]) -> Result<Vec<Finding>, RotationError> {
        let all = balancer.all_states().await?;
        let same = |state: &&ServerState| {
            !own.iter().any(|ours| ours.id == state.id)
                && !state.admin.in_maintenance()
                && own
                    .iter()
                    .any(|ours| ours.address.is_some() && ours.address == state.address && ours.port == state.port)
        };
        let unlisted: Vec<_> = all.iter().filter(same).map(|state| state.id.to_string()).collect();
        if unlisted.is_empty() {
            return Ok(Vec::new());
        }
        let one = unlisted.len() == 1;
        let what = format!(
            "balancer {}: {} also send{} to this app's address, and [apps.{}] does not list {}",
            balancer.name(),
            unlisted.join(", "),
            if one { "s" } else { "" },
            self.app.name,
            if one { "it" } else { "them" },
        );
        let hint = format!(
            "add {} to `servers` or `backups` of [apps.{}], or set `unlisted = \"ignore\"` there",
            unlisted.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
            self.app.name
        );
        Ok(vec![match self.app.unlisted {
            Unlisted::Refuse => Finding::error(what, Some(hint)),
            Unlisted::Ignore => Finding::warning(what, hint),
        }])
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

/// Not as it should be where an entry is down: a restart may be what it needs.
fn as_it_stands(balancer: &str, states: &[ServerState]) -> Finding {
    let is_down = |state: &ServerState| {
        state.operational == OperationalState::Stopped && !state.admin.in_maintenance() && !state.admin.draining()
    };
    let severity = if states.iter().any(is_down) { Severity::Note } else { Severity::Good };
    Finding { severity, what: format!("balancer {balancer}: {}", describe(states)), hint: None }
}

fn describe(states: &[ServerState]) -> String {
    let one = |state: &ServerState| {
        let how = if state.admin.in_maintenance() {
            "in maintenance"
        } else if state.admin.draining() {
            "draining"
        } else {
            state.operational.name()
        };
        format!("{} is {how}", state.id)
    };
    states.iter().map(one).collect::<Vec<_>>().join(", ")
}
