//! What the balancers' own configuration, and the app's programs, make of a run: risks that no socket shows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haproxy_cfg::{Config, OnMarkedUp, ParseError, Proxy};

use super::preflight::Finding;
use super::{Engine, fault};
use crate::config::settings::{App, Balancer, Label};
use crate::haproxy::ServerId;
use crate::service::mark::Purpose;

/// The configuration of every balancer that has a `config`, each read once.
#[derive(Debug, Default)]
pub(super) struct Configs(BTreeMap<Label, Result<Config, ConfigError>>);

/// Why a balancer's configuration tells nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("its configuration {} can't be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("its configuration can't be understood")]
    Unparsable(#[from] ParseError),
}

impl ConfigError {
    /// What to type next.
    fn hint(&self, balancer: &Label) -> String {
        let key = format!("`config` in [balancers.{balancer}]");
        let kind = match self {
            Self::Unreadable { source, .. } => source.kind(),
            Self::Unparsable(_) => {
                return format!("`haproxy -c -f FILE` tells whether HAProxy takes it; else leave out {key}");
            }
        };
        match kind {
            io::ErrorKind::NotFound => format!("correct {key}, or leave it out where the file is on another host"),
            io::ErrorKind::PermissionDenied => format!("let the user who runs pitstop read it, or leave out {key}"),
            io::ErrorKind::IsADirectory => format!("name one file as {key}, the one with the app's backends"),
            _ => format!("look at {key}"),
        }
    }
}

impl Configs {
    /// Reads them.
    pub(super) fn read(balancers: &[Balancer]) -> Self {
        let read_one = |balancer: &Balancer| {
            let path = balancer.config.as_ref()?;
            Some((balancer.name.clone(), read(path)))
        };
        Self(balancers.iter().filter_map(read_one).collect())
    }

    /// That of one balancer, if it tells anything.
    pub(super) fn of(&self, balancer: &Balancer) -> Option<&Config> {
        self.0.get(&balancer.name)?.as_ref().ok()
    }
}

impl Engine<'_> {
    /// What stands in the way of a run, or makes it lose something, by the balancers' own configuration.
    pub(super) fn inspect_config(&self, configs: &Configs) -> Vec<Finding> {
        let mut findings = Vec::new();
        for balancer in &self.app.balancers {
            match configs.0.get(&balancer.name) {
                None => {}
                Some(Ok(config)) => findings.extend(inspect(self.app, balancer.name.as_str(), config)),
                Some(Err(error)) => {
                    let what = format!("balancer {}: {}", balancer.name, fault::chain(error));
                    findings.push(Finding::warning(what, error.hint(&balancer.name)));
                }
            }
        }
        findings
    }

    /// Commands that will be wanted when something has gone wrong already, and can't be run.
    pub(super) fn inspect_programs(&self) -> Vec<Finding> {
        let launcher = self.launcher(Purpose::Alert);
        let commands = [("on_alert", &self.app.on_alert), ("revert", &self.app.service.revert)];
        let given = commands.into_iter().filter(|(_, command)| !command.is_empty());
        given
            .filter_map(|(key, command)| {
                let error = launcher.check(command).err()?;
                Some(Finding::warning(format!("{key}: {error}"), error.hint.unwrap_or_default()))
            })
            .collect()
    }
}

fn read(path: &Path) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    Ok(Config::parse(&path.display().to_string(), &text)?)
}

fn inspect(app: &App, balancer: &str, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut backends: Vec<&str> = own(app).map(|server| server.backend.as_str()).collect();
    backends.sort_unstable();
    backends.dedup();
    for backend in backends.into_iter().filter_map(|name| config.backend(name)) {
        findings.extend(inspect_backend(app, balancer, backend));
    }
    for id in own(app) {
        let server = config.server(id.backend.as_str(), id.server.as_str());
        let cuts = server
            .is_some_and(|server| server.settings.on_marked_up.known() == Some(&OnMarkedUp::ShutdownBackupSessions));
        if cuts {
            let what = format!(
                "balancer {balancer}: {id} has `on-marked-up shutdown-backup-sessions`, so putting it back cuts what its backups serve"
            );
            findings.push(Finding::warning(what, "take that out of its line in haproxy.cfg"));
        }
    }
    findings
}

fn inspect_backend(app: &App, balancer: &str, backend: &Proxy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let settings = &backend.settings;
    let name = backend.name.as_deref().unwrap_or_default();
    let place = format!("balancer {balancer}, backend {name}");
    if settings.redispatch.known() == Some(&false) || settings.retries.known() == Some(&0) {
        let what = format!(
            "{place}: without `option redispatch` and `retries`, a reload of HAProxy while the app is down may lose a request"
        );
        findings.push(Finding::note(what, "add `option redispatch` and `retries 3` there"));
    }
    if settings.persist.known() == Some(&true) {
        let what =
            format!("{place}: with `option persist`, clients that stick are sent to a server that is out or down, too");
        findings.push(Finding::warning(what, "take `option persist` out of haproxy.cfg"));
    }
    if app.ramp.is_some() && settings.has_fixed_weights() == Some(true) {
        let algorithm = settings.balance.known().cloned().flatten().unwrap_or_default();
        let what =
            format!("{place}: weights can't change while HAProxy runs with `balance {algorithm}`, so there is no ramp");
        let hint = format!("remove [apps.{}.ramp], or set `hash-type consistent` or another `balance` there", app.name);
        findings.push(Finding::error(what, Some(hint)));
    }
    findings
}

fn own(app: &App) -> impl Iterator<Item = &ServerId> {
    app.servers.iter().chain(&app.backups)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Severity;
    use super::*;
    use crate::config;

    fn app(more: &str) -> App {
        let text = format!(
            r#"
            [balancers.lb1]
            socket = "/run/haproxy/admin.sock"
            [apps.web]
            servers = ["srvs/webA"]
            backups = ["srvs/bkpA"]
            listen = "127.0.0.1:1000"
            service = {{ systemd = "web.service" }}
            ready = [{{ tcp = "127.0.0.1:1000" }}]
            {more}
            "#
        );
        let settings = config::parse("pitstop.toml".as_ref(), &text).unwrap();
        settings.app("web").unwrap().clone()
    }

    fn found(app: &App, lines: &str) -> Vec<(Severity, String)> {
        let text = format!("backend srvs\n{lines}\n server bkpA 127.0.0.1:1000 backup\n");
        let config = Config::parse("haproxy.cfg", &text).unwrap();
        let findings = inspect(app, "lb1", &config);
        findings.into_iter().map(|finding| (finding.severity, finding.what)).collect()
    }

    #[test]
    fn a_configuration_that_suits_a_restart_is_passed_in_silence() {
        let calm = "retries 2\n option redispatch\n balance roundrobin\n server webA 127.0.0.1:1000";
        assert_eq!(found(&app(""), calm), []);
        assert_eq!(found(&app("ramp = { from = \"10%\", over = \"30s\" }"), calm), []);
        let unknown = ".if defined(X)\n option persist\n .endif\n option redispatch";
        assert_eq!(found(&app(""), unknown), []);
    }

    #[test]
    fn every_option_that_costs_requests_is_named() {
        for (lines, severity, named) in [
            ("", Severity::Note, "redispatch"),
            ("option redispatch\n retries 0", Severity::Note, "retries"),
            ("option redispatch\n option persist", Severity::Warning, "option persist"),
            (
                "option redispatch\n server webA 127.0.0.1:1000 on-marked-up shutdown-backup-sessions",
                Severity::Warning,
                "srvs/webA",
            ),
        ] {
            let found = found(&app(""), lines);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found.iter().all(|(how, what)| *how == severity && what.contains(named)), "{found:?}");
        }
    }

    #[test]
    fn a_ramp_is_refused_where_weights_are_fixed_and_nowhere_else() {
        let ramp = app("ramp = { from = \"10%\", over = \"30s\" }");
        for (lines, refused) in [
            ("balance static-rr", true),
            ("balance source", true),
            ("balance hdr(Host)\n hash-type map-based", true),
            ("balance uri\n hash-type consistent sdbm", false),
            ("balance leastconn", false),
            ("", false),
        ] {
            let lines = format!("option redispatch\n {lines}");
            let ramped = found(&ramp, &lines);
            assert_eq!(ramped.iter().any(|(how, _)| *how == Severity::Error), refused, "{ramped:?}");
            assert_eq!(found(&app(""), &lines), []);
        }
    }

    #[test]
    fn a_file_is_read_once_and_one_that_is_not_there_tells_nothing() {
        let mut app = app("");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.cfg");
        let balancer = app.balancers.first_mut().unwrap();
        balancer.config = Some(path.clone());
        assert!(Configs::read(&app.balancers).of(app.balancers.first().unwrap()).is_none());
        let unreadable = super::read(&path).unwrap_err();
        let (what, hint) = (fault::chain(&unreadable), unreadable.hint(&"lb1".parse().unwrap()));
        assert!(what.contains(&path.display().to_string()) && what.contains("No such file"), "{what}");
        assert!(hint.contains("`config` in [balancers.lb1]"), "{hint}");
        fs::write(&path, "backend srvs\n").unwrap();
        let configs = Configs::read(&app.balancers);
        fs::remove_file(&path).unwrap();
        assert!(configs.of(app.balancers.first().unwrap()).is_some());
    }
}
