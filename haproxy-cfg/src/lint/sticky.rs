//! Rules on clients that stick, and on the main and backup entries of one server.

use super::{Backend, Report, Rule};
use crate::server::Server;

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    for backend in backends {
        persist(report, backend);
        twins(report, backend);
    }
}

fn persist(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    let place = backend.proxy.place;
    if settings.persist.is(&true) {
        let what = format!("{}: `option persist`", backend.name());
        report.setting(Rule::Persist, &settings.persist, place, "persist", what, "leave it out");
    }
    if settings.force_persist.is(&true) {
        let what = format!("{}: `force-persist`", backend.name());
        let fix = "leave it out, or let it count only for those who test a server that is out";
        report.setting(Rule::Persist, &settings.force_persist, place, "force-persist", what, fix);
    }
}

/// A backup entry and the main entry of the same address.
fn twins(report: &mut Report<'_>, backend: &Backend<'_>) {
    let is_backup = |server: &&Server| server.settings.backup.is(&true);
    let backups: Vec<_> = backend.servers.iter().filter(is_backup).collect();
    let mains: Vec<_> = backend.servers.iter().filter(|server| server.settings.backup.is(&false)).collect();
    let same_address =
        |one: &Server, other: &Server| one.address.known().is_some() && one.address.known() == other.address.known();
    let with_twin = |main: &&&Server| backups.iter().any(|backup| same_address(main, backup));
    let has_twins = mains.iter().any(|main| with_twin(&main));
    for main in &mains {
        match backups.iter().find(|backup| same_address(main, backup)) {
            Some(backup) => twin(report, main, backup),
            None => no_twin(report, backend, main, &backups, has_twins),
        }
    }
}

fn twin(report: &mut Report<'_>, main: &Server, backup: &Server) {
    let (cookie, other) = (main.settings.cookie.known(), backup.settings.cookie.known());
    if let (Some(cookie), Some(other)) = (cookie, other)
        && cookie != other
    {
        let show = |cookie: &Option<String>| cookie.as_ref().map_or("none".to_owned(), |cookie| format!("`{cookie}`"));
        let what = format!(
            "{} and {} are one server, and their cookie values are {} and {}",
            main.name,
            backup.name,
            show(cookie),
            show(other)
        );
        report.beside(Rule::TwinCookie, [backup.place, main.place], "cookie", what, "give both the same `cookie`");
    }
    let both_checked = main.settings.check.is(&true) && backup.settings.check.is(&true);
    if both_checked
        && let (Some(Some(port)), Some(Some(other))) = (main.check_port.known(), backup.check_port.known())
        && port == other
    {
        let what = format!("{} and {} are both checked on port {port}", main.name, backup.name);
        let fix = format!("give {} a check port of its own, such as `port {}`", main.name, port.saturating_add(1000));
        report.beside(Rule::TwinCheckPort, [main.place, backup.place], "port", what, fix);
    }
}

/// A main entry without a backup entry of its own, in a backend whose clients stick.
fn no_twin(report: &mut Report<'_>, backend: &Backend<'_>, main: &Server, backups: &[&Server], has_twins: bool) {
    if !backend.proxy.settings.cookie.known().is_some_and(Option::is_some) {
        return;
    }
    let Some(Some(cookie)) = main.settings.cookie.known() else { return };
    if let Some(backup) = backups.iter().find(|backup| backup.settings.cookie.is(&Some(cookie.clone()))) {
        if let (Some(address), Some(other)) = (main.address.known(), backup.address.known()) {
            let what = format!(
                "{} and {} have the cookie value `{cookie}`, and their addresses are {address} and {other}",
                main.name, backup.name
            );
            report.beside(Rule::TwinAddress, [backup.place, main.place], other, what, format!("write {address}"));
        }
        return;
    }
    let is_redirected = report.context.redirect_of(backend.name(), &main.name).is_some();
    if has_twins || is_redirected {
        let address = main.address.known().map_or("ADDRESS", String::as_str);
        let what = format!("clients stick to {} by `{cookie}`, and it has no backup entry", main.name);
        let fix = format!("add `server {}-backup {address} cookie {cookie} check backup`", main.name);
        report.at(Rule::CookieWithoutTwin, main.place, "cookie", what, fix);
    }
}
