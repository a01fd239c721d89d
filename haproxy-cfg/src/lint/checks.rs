//! Rules on health checks, and on what happens when one fails.

use super::{Backend, Report, Rule, Severity};
use crate::proxy_settings::Mode;
use crate::server::Server;
use crate::server_settings::{OnMarkedDown, OnMarkedUp};

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    for backend in backends {
        for server in &backend.servers {
            no_check(report, backend, server);
            check_port(report, backend, server);
            kills(report, backend, server);
            agent_port(report, server);
            slowstart(report, server);
        }
        what_is_asked(report, backend);
    }
}

/// Where there is no other server, nothing can be done about one that is down.
fn no_check(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let settings = &server.settings;
    let is_watched = settings.check.known() != Some(&false)
        || settings.track.known().is_none_or(Option::is_some)
        || settings.agent_check.known() != Some(&false);
    if is_watched {
        return;
    }
    let rule = Rule::NoCheck;
    let severity = if backend.servers.len() > 1 { rule.severity() } else { Severity::Note };
    let span = report.config.find(server.place, &server.name);
    let what = format!("{}/{} is never checked", backend.name(), server.name);
    report.with(rule, severity, span, what, "add `check`, to this line or to a `default-server` before it");
}

fn check_port(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let name = format!("{}/{}", backend.name(), server.name);
    let checked = server.check_port.known().copied().flatten();
    match report.context.redirect_of(backend.name(), &server.name).map(|redirected| redirected.check_port) {
        Some(port) if checked.is_some_and(|checked| checked != port) => {
            let what = format!(
                "{name} is checked on port {}, and the redirect is of port {port}",
                checked.unwrap_or_default()
            );
            report.setting(
                Rule::CheckPort,
                &server.check_port,
                server.place,
                "port",
                what,
                format!("write `port {port}`"),
            );
        }
        _ => {}
    }
}

fn kills(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let (settings, name) = (&server.settings, format!("{}/{}", backend.name(), server.name));
    if settings.on_marked_down.is(&OnMarkedDown::ShutdownSessions) {
        report.setting(
            Rule::KillsSessions,
            &settings.on_marked_down,
            server.place,
            "on-marked-down",
            format!("{name}: `on-marked-down shutdown-sessions`"),
            "leave it out; where it is wanted, pitstop waits until nothing is in flight before it takes the server out",
        );
    }
    if settings.on_marked_up.is(&OnMarkedUp::ShutdownBackupSessions) {
        report.setting(
            Rule::KillsBackupSessions,
            &settings.on_marked_up,
            server.place,
            "on-marked-up",
            format!("{name}: `on-marked-up shutdown-backup-sessions`"),
            "leave it out",
        );
    }
}

fn agent_port(report: &mut Report<'_>, server: &Server) {
    let settings = &server.settings;
    if settings.agent_check.is(&true) && settings.agent_port.is(&None) {
        report.setting(
            Rule::AgentPort,
            &settings.agent_check,
            server.place,
            "agent-check",
            format!("{} has `agent-check` and no `agent-port`", server.name),
            "add `agent-port PORT`",
        );
    }
}

fn slowstart(report: &mut Report<'_>, server: &Server) {
    let settings = &server.settings;
    let (Some(slowstart), Some(inter)) = (settings.slowstart.known(), settings.inter.known()) else { return };
    if slowstart.is_zero() || slowstart > inter {
        return;
    }
    report.setting(
        Rule::SlowstartShort,
        &settings.slowstart,
        server.place,
        "slowstart",
        format!("{}: `slowstart` of {slowstart:?} is not above `inter`, which is {inter:?}", server.name),
        format!("let it last several checks, such as {:?}", *inter * 5),
    );
}

/// What a check asks the app.
fn what_is_asked(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    let is_checked = backend.servers.iter().any(|server| server.settings.check.is(&true));
    if !is_checked || !settings.mode.is(&Mode::Http) {
        return;
    }
    let place = backend.proxy.place;
    match settings.httpchk.known() {
        Some(None) if settings.httpchk.place().is_none() => {
            let what = format!("{} is checked by a connect alone", backend.name());
            let fix =
                "add `option httpchk` and `http-check send meth GET uri /health`, or whatever the app has for that";
            report.at(Rule::CheckByConnect, place, backend.name(), what, fix);
        }
        Some(Some(uri)) if settings.http_check_expect.is(&false) => {
            let sent = settings.http_check_uri.known().cloned().flatten();
            let Some(_) = settings.http_check_uri.known() else { return };
            let uri = sent.or_else(|| uri.clone()).unwrap_or_else(|| "/".to_owned());
            if uri == "/" {
                report.setting(
                    Rule::CheckRoot,
                    &settings.httpchk,
                    place,
                    "httpchk",
                    format!("{} is checked by asking for `/`, and any answer below 400 counts", backend.name()),
                    "ask for a page that knows whether the app can serve, or say what is expected: `http-check expect status 200`",
                );
            }
        }
        _ => {}
    }
}
