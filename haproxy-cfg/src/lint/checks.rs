//! Rules on health checks, and on what happens when one fails.

use super::{Backend, Report, Rule, Severity, time};
use crate::proxy_settings::Mode;
use crate::server::Server;
use crate::server_settings::{OnMarkedDown, OnMarkedUp};

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    for backend in backends {
        let has_backups = backend.servers.iter().any(|server| !server.settings.backup.is(&false));
        for server in &backend.servers {
            no_check(report, backend, server);
            check_port(report, backend, server);
            kills(report, backend, server);
            if has_backups {
                kills_backups(report, backend, server);
            }
            agent_port(report, backend, server);
            slowstart(report, backend, server);
        }
        if backend.is_balanced {
            what_is_asked(report, backend);
        }
    }
}

/// Where there is no other server, nothing can be done about one that is down; and a slot in maintenance serves nobody.
fn no_check(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let settings = &server.settings;
    let is_watched = settings.check.known() != Some(&false)
        || settings.track.known().is_none_or(Option::is_some)
        || settings.agent_check.known() != Some(&false);
    let is_redirected = report.context.redirect_of(backend.name(), &server.name).is_some();
    if is_watched || !settings.disabled.is(&false) || !(backend.is_balanced || is_redirected) {
        return;
    }
    if !is_redirected && is_last_resort(report, backend, server) {
        return;
    }
    let severity = if is_redirected { Severity::Error } else { Rule::NoCheck.severity() };
    let span = report.name_of(server);
    let what = format!("{} is never checked", backend.server(server));
    report.with(Rule::NoCheck, severity, span, what, "add `check`, to this line or to a `default-server` before it");
}

/// Whether it is used only when nothing else is left, so that nothing better could be done if it were known to be down: the only backup
/// entry, to which nobody sticks.
fn is_last_resort(report: &Report<'_>, backend: &Backend<'_>, server: &Server) -> bool {
    let mut others = backend.servers.iter().filter(|other| other.place != server.place);
    let address = server.address.known();
    let is_same = |other: &Server| address.is_some() && other.address.known() == address;
    let is_another_main = |other: &Server| !other.settings.backup.is(&true) && !is_same(other);
    server.settings.backup.is(&true)
        && server.settings.cookie.known().is_none_or(Option::is_none)
        && !report.is_template(server.place)
        && others.all(is_another_main)
}

/// Where the redirect of the app is known.
fn check_port(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let Some(redirected) = report.context.redirect_of(backend.name(), &server.name) else { return };
    if !backend.is_checked_by_its_line(server) {
        return;
    }
    let port = redirected.check_port;
    let Some(checked) = server.check_port.known().copied().flatten().filter(|checked| *checked != port) else { return };
    let name = backend.server(server);
    let what = match server.port.is(&Some(checked)) {
        true => format!("{name} is checked on {checked}, the port of its traffic, and the redirect is of port {port}"),
        false => format!("{name} is checked on port {checked}, and the redirect is of port {port}"),
    };
    let fix = format!("write `check port {port}`");
    // Where no `port` is written, `check` is the word that has to get one.
    let (place, word) = match server.settings.port.place() {
        Some(place) => (place, "port"),
        None => (server.settings.check.place().unwrap_or(server.place), "check"),
    };
    report.at(Rule::CheckPort, place, word, what, fix);
}

fn kills(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let setting = &server.settings.on_marked_down;
    if setting.is(&OnMarkedDown::ShutdownSessions) {
        let what = format!("{}: `on-marked-down shutdown-sessions`", backend.server(server));
        let fix =
            "leave it out; where it is wanted, let nothing be in flight before the server goes out, as pitstop does";
        report.setting(Rule::KillsSessions, setting, server.place, "on-marked-down", what, fix);
    }
}

/// A backup server's own return cuts nothing (configuration manual, 5.2, `on-marked-up`).
fn kills_backups(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let setting = &server.settings.on_marked_up;
    if setting.is(&OnMarkedUp::ShutdownBackupSessions) && server.settings.backup.is(&false) {
        let what = format!("{}: `on-marked-up shutdown-backup-sessions`", backend.server(server));
        report.setting(Rule::KillsBackupSessions, setting, server.place, "on-marked-up", what, "leave it out");
    }
}

fn agent_port(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let settings = &server.settings;
    if settings.agent_check.is(&true) && settings.agent_port.is(&None) {
        let what = format!("{} has `agent-check` and no `agent-port`", backend.server(server));
        let fix = "write `agent-check agent-port` and the agent's port";
        report.setting(Rule::AgentPort, &settings.agent_check, server.place, "agent-check", what, fix);
    }
}

fn slowstart(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let settings = &server.settings;
    let (Some(slowstart), Some(inter)) = (settings.slowstart.known(), settings.inter.known()) else { return };
    if slowstart.is_zero() || slowstart > inter || !settings.check.is(&true) {
        return;
    }
    let (name, [short, pause]) = (backend.server(server), [*slowstart, *inter].map(time));
    let what = format!("{name}: `slowstart` of {short} is not above `inter`, which is {pause}");
    let fix = format!("let it last several checks: `slowstart {}`", time(inter.saturating_mul(5)));
    report.setting(Rule::SlowstartShort, &settings.slowstart, server.place, "slowstart", what, fix);
}

/// What a check asks the app.
fn what_is_asked(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    let has_the_check = |server: &Server| server.settings.check.is(&true) && server.settings.healthcheck.is(&None);
    let is_checked = backend.servers.iter().any(has_the_check);
    if !is_checked || !settings.mode.is(&Mode::Http) {
        return;
    }
    let place = backend.proxy.place;
    match settings.httpchk.known() {
        Some(None) if settings.httpchk.place().is_none() => {
            let what = format!("{} is checked by a connect alone", backend.name());
            let fix = "add `option httpchk` and `http-check send meth GET uri /health`, or what the app has for that";
            report.at(Rule::CheckByConnect, place, backend.name(), what, fix);
        }
        Some(Some(uri)) if settings.http_check_expect.is(&false) && settings.check_connect.is(&false) => {
            let Some(sent) = settings.http_check_uri.known() else { return };
            let uri = sent.as_ref().or(uri.as_ref());
            if uri.is_none_or(|uri| uri == "/") {
                let what = format!("{} is checked by asking for `/`, and any answer below 400 counts", backend.name());
                let fix = "ask for a page that knows whether the app can serve, or add `http-check expect status 200`";
                report.setting(Rule::CheckRoot, &settings.httpchk, place, "httpchk", what, fix);
            }
        }
        _ => {}
    }
}
