//! What the balancers' own configurations, and the app's programs, make of a run: risks that no socket shows.

use std::collections::BTreeSet;

use haproxy_cfg::Config;
use haproxy_cfg::lint::{self, Context, Redirected, Rule, lint};

use super::Engine;
use super::configs::Configs;
use super::preflight::{Finding, Severity};
use crate::config::settings::{App, Balancer};
use crate::haproxy::ServerId;
use crate::service::mark::Purpose;

impl Engine<'_> {
    /// What stands in the way of a run, or makes it lose something, by the rules of `haproxy-cfg lint`.
    pub(super) fn inspect_configs(&self, configs: &Configs) -> Vec<Finding> {
        let readable =
            self.app.balancers.iter().filter_map(|balancer| Some((balancer, configs.of(balancer.name.as_str())?)));
        readable.flat_map(|(balancer, config)| advise(self.app, balancer, config)).collect()
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

fn advise(app: &App, balancer: &Balancer, config: &Config) -> Vec<Finding> {
    let findings = lint(config, &context(app, balancer)).into_iter().filter(|finding| concerns(app, finding));
    let told = findings.filter_map(|finding| told(app, balancer, config, finding));
    ramps(app, balancer, config).into_iter().chain(told).collect()
}

/// What the file itself does not tell.
pub(crate) fn context(app: &App, balancer: &Balancer) -> Context {
    let backend = |server: &ServerId| server.backend.as_str().to_owned();
    let name = |server: &ServerId| (backend(server), server.server.as_str().to_owned());
    let redirected = |server: &ServerId| {
        let (backend, server) = name(server);
        Some(Redirected { backend, server, check_port: app.redirect.as_ref()?.check_port })
    };
    Context {
        backends: Some(own(app).map(backend).collect()),
        redirects: app.servers.iter().filter_map(redirected).collect(),
        ramps: own(app).filter(|_| app.ramp.is_some()).map(name).collect(),
        master_socket: Some(balancer.master.is_some()),
    }
}

/// Not what is said of servers that are all others'.
fn concerns(app: &App, finding: &lint::Finding) -> bool {
    let is_own = |(backend, server): &(String, String)| {
        own(app).any(|id| id.backend.as_str() == backend && id.server.as_str() == server)
    };
    finding.servers.is_empty() || finding.servers.iter().any(is_own)
}

fn told(app: &App, balancer: &Balancer, config: &Config, finding: lint::Finding) -> Option<Finding> {
    let severity = severity(app, finding.rule, finding.severity)?;
    let place = config.document().describe(finding.span.place);
    let what = format!("balancer {}: {} ({place}): {}", balancer.name, finding.what, finding.rule.why());
    let hint = format!("{}; or allow it there: `# pitstop: allow {}`", finding.fix, finding.rule);
    Some(Finding { severity, what, hint: Some(hint) })
}

/// What a finding means for a run, never more than for the configuration: a warning where it makes a run lose something, and a note where the
/// run sees to it itself. Nothing of this refuses a run.
fn severity(app: &App, rule: Rule, severity: lint::Severity) -> Option<Severity> {
    match rule {
        // Looked at over the socket; done again after a reload; of the comments alone; refused as `ramp` says.
        Rule::SameAddress | Rule::StateForgotten | Rule::UnknownAllow | Rule::FixedWeights => None,
        _ if severity == lint::Severity::Note => Some(Severity::Note),
        Rule::NoCheck | Rule::TwinCheckPort if app.redirect.is_some() => Some(Severity::Warning),
        Rule::Persist
        | Rule::KillsBackupSessions
        | Rule::CheckPort
        | Rule::PlainCheck
        | Rule::TwinCookie
        | Rule::TwinAddress => Some(Severity::Warning),
        _ => Some(Severity::Note),
    }
}

/// A ramp where weights are fixed would end with the app out: no comment allows that.
fn ramps(app: &App, balancer: &Balancer, config: &Config) -> Vec<Finding> {
    let backends: BTreeSet<&str> = own(app).filter(|_| app.ramp.is_some()).map(|id| id.backend.as_str()).collect();
    let fixed = backends.into_iter().filter_map(|name| config.backend(name)).filter_map(|backend| {
        let settings = &backend.settings;
        let is_fixed = settings.has_fixed_weights() == Some(true);
        is_fixed.then(|| {
            let algorithm = settings.balance.known().cloned().flatten().unwrap_or_default();
            let name = backend.name.as_deref().unwrap_or_default();
            let what = format!(
                "balancer {}, backend {name}: weights can't change while HAProxy runs with `balance {algorithm}`, so there is no ramp",
                balancer.name
            );
            let hint =
                format!("remove [apps.{}.ramp], or set `hash-type consistent` or another `balance` there", app.name);
            Finding::error(what, Some(hint))
        })
    });
    fixed.collect()
}

fn own(app: &App) -> impl Iterator<Item = &ServerId> {
    app.servers.iter().chain(&app.backups)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    fn app(more: &str) -> App {
        let text = format!(
            r#"
            [balancers.lb1]
            socket = "/run/haproxy/admin.sock"
            master = "/run/haproxy/master.sock"
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
        let backup = "server bkpA 127.0.0.1:1000 check backup";
        let text = format!("backend srvs\n mode http\n option httpchk GET /health\n{lines}\n {backup}\n");
        let config = Config::parse("haproxy.cfg", &text).unwrap();
        let findings = advise(app, app.balancers.first().unwrap(), &config);
        findings.into_iter().map(|finding| (finding.severity, finding.what)).collect()
    }

    const MAIN: &str = "server webA 127.0.0.1:1000 check port 2000";

    #[test]
    fn a_configuration_that_suits_a_restart_is_passed_in_silence() {
        let calm = format!("option redispatch\n balance roundrobin\n {MAIN}");
        assert_eq!(found(&app(""), &calm), []);
        assert_eq!(found(&app("ramp = { from = \"10%\", over = \"30s\" }"), &calm), []);
        assert_eq!(found(&app("redirect.check_port = 2000"), &calm), []);
        let unknown = format!(".if defined(X)\n option persist\n .endif\n{calm}");
        assert_eq!(found(&app(""), &unknown), []);
        let elsewhere = format!("{calm}\nbackend other\n option persist\n server x 127.0.0.2:1000\n");
        let config = Config::parse("haproxy.cfg", &format!("backend srvs\n{elsewhere}")).unwrap();
        let app = app("");
        let findings = advise(&app, app.balancers.first().unwrap(), &config);
        assert!(findings.iter().all(|finding| !finding.what.contains("other")), "{findings:?}");
    }

    #[test]
    fn every_option_that_costs_requests_is_named() {
        for (lines, severity, named) in [
            (MAIN.to_owned(), Severity::Note, "redispatch"),
            (format!("option redispatch\n retries 0\n {MAIN}"), Severity::Note, "retries"),
            (format!("option redispatch\n option persist\n {MAIN}"), Severity::Warning, "option persist"),
            (
                format!("option redispatch\n {MAIN} on-marked-up shutdown-backup-sessions"),
                Severity::Warning,
                "srvs/webA",
            ),
        ] {
            let found = found(&app(""), &lines);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found.iter().all(|(how, what)| *how == severity && what.contains(named)), "{found:?}");
        }
    }

    #[test]
    fn a_redirect_of_a_port_that_is_not_checked_is_named() {
        let other = format!("option redispatch\n {MAIN}\n server other 127.0.0.3:1000");
        assert_eq!(found(&app(""), &other), [], "of another server");
        let found = found(&app("redirect.check_port = 2001"), &format!("option redispatch\n {MAIN}"));
        assert_eq!(found.len(), 1, "{found:?}");
        let (severity, what) = found.first().unwrap();
        assert!(*severity == Severity::Warning && what.contains("port 2000") && what.contains("2001"), "{what}");
        assert!(what.contains("haproxy.cfg:5"), "{what}");
    }

    #[test]
    fn neither_a_comment_nor_a_lone_server_lets_a_ramp_fail() {
        let text = "# pitstop: allow fixed-weights\nbackend srvs\n # pitstop: allow fixed-weights\n balance source\n server webA :1\n";
        let config = Config::parse("haproxy.cfg", text).unwrap();
        let app = app("ramp = { from = \"10%\", over = \"30s\" }");
        let findings = advise(&app, app.balancers.first().unwrap(), &config);
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "{findings:?}");
    }

    #[test]
    fn what_a_run_sees_to_itself_and_what_is_a_note_in_the_file_is_a_note_at_most() {
        let twins = "option redispatch\n server webA 127.0.0.1:1000 check";
        assert!(found(&app(""), twins).iter().all(|(how, _)| *how == Severity::Note), "{:?}", found(&app(""), twins));
        let redirected = app("redirect.check_port = 2000");
        assert!(found(&redirected, twins).iter().any(|(how, _)| *how == Severity::Warning));
        let forced = format!("option redispatch\n force-persist if {{ src 127.0.0.9 }}\n {MAIN}");
        assert!(
            found(&app(""), &forced).iter().all(|(how, _)| *how == Severity::Note),
            "{:?}",
            found(&app(""), &forced)
        );
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
            let lines = format!("option redispatch\n {lines}\n {MAIN}");
            let ramped = found(&ramp, &lines);
            assert_eq!(ramped.iter().any(|(how, _)| *how == Severity::Error), refused, "{ramped:?}");
            assert_eq!(found(&app(""), &lines), []);
        }
    }
}
