//! How the app's entries stand on every balancer before a run: whether they are there and ours to move, and what would be left without
//! them.

use haproxy_cfg::Config;

use super::configs::Configs;
use super::fault::chain;
use super::preflight::{Finding, Severity};
use super::{Engine, unloaded};
use crate::config::settings::Unlisted;
use crate::haproxy::{OperationalState, ServerState};
use crate::rotation::RotationError;
use crate::rotation::admin::Admin;
use crate::run::Goal;

impl Engine<'_> {
    pub(super) async fn inspect_balancers(&mut self, configs: &Configs) -> Vec<Finding> {
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
