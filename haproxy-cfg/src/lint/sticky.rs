//! Rules on clients that stick, and on the main and backup entries of one server.

use std::collections::HashMap;

use super::{Backend, Report, Rule, Severity};
use crate::proxy_settings::Mode;
use crate::server::Server;

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    for backend in backends {
        persist(report, backend);
        twins(report, backend);
        if has_cookie(backend) {
            same_cookie(report, backend);
        }
    }
}

/// Only of HTTP does HAProxy read cookies.
fn has_cookie(backend: &Backend<'_>) -> bool {
    let settings = &backend.proxy.settings;
    settings.mode.is(&Mode::Http) && settings.cookie.known().is_some_and(Option::is_some)
}

fn persist(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    let sticks = has_cookie(backend) || settings.sticks.is(&true);
    // A backend that says so itself sticks by something; one that inherits it may not.
    let says_so = settings.persist.place().is_some_and(|place| place > backend.proxy.place);
    if settings.persist.is(&true) && (sticks || says_so) {
        let what = format!("{}: `option persist`", backend.name());
        report.setting(Rule::Persist, &settings.persist, backend.proxy.place, "persist", what, "leave it out");
    }
    if let (true, Some(place)) = (settings.force_persist.is(&true), settings.force_persist.place()) {
        let what = format!("{}: `force-persist`", backend.name());
        let fix = "leave it out, or let it count only for those who test a server that is out";
        // It always has a condition, and is meant for tests.
        let span = report.find(place, "force-persist");
        report.with(Rule::Persist, Severity::Note, span, what, fix);
    }
}

/// The main and backup entries of a backend. A twin is a backup entry of the same address.
struct Entries<'s> {
    mains: Vec<&'s Server>,
    by_address: HashMap<&'s str, &'s Server>,
    by_cookie: HashMap<&'s str, &'s Server>,
    has_twins: bool,
}

impl<'s> Entries<'s> {
    fn of(servers: &'s [Server]) -> Self {
        let (mut by_address, mut by_cookie) = (HashMap::new(), HashMap::new());
        for backup in servers.iter().filter(|server| server.settings.backup.is(&true)) {
            if let Some(address) = backup.address.known() {
                by_address.entry(address.as_str()).or_insert(backup);
            }
            if let Some(Some(cookie)) = backup.settings.cookie.known() {
                by_cookie.entry(cookie.as_str()).or_insert(backup);
            }
        }
        let mains: Vec<_> = servers.iter().filter(|server| server.settings.backup.is(&false)).collect();
        let has_twins =
            mains.iter().any(|main| main.address.known().is_some_and(|a| by_address.contains_key(a.as_str())));
        Self { mains, by_address, by_cookie, has_twins }
    }

    fn twin(&self, main: &Server) -> Option<&'s Server> {
        self.by_address.get(main.address.known()?.as_str()).copied()
    }
}

fn twins(report: &mut Report<'_>, backend: &Backend<'_>) {
    let entries = Entries::of(&backend.servers);
    for main in &entries.mains {
        match entries.twin(main) {
            Some(backup) => {
                if has_cookie(backend) {
                    twin_cookie(report, main, backup);
                }
                twin_check_port(report, backend, main, backup);
                plain_check(report, backend, main);
                // Where it is the app's own port, that speaks as the app does.
                if backup.port.known().is_some_and(|port| backup.settings.port.is(port)) {
                    plain_check(report, backend, backup);
                }
            }
            None => {
                if has_cookie(backend) {
                    no_twin(report, backend, main, &entries);
                }
                if report.context.redirect_of(backend.name(), &main.name).is_some() {
                    plain_check(report, backend, main);
                }
            }
        }
    }
}

fn twin_cookie(report: &mut Report<'_>, main: &Server, backup: &Server) {
    let (Some(cookie), Some(other)) = (main.settings.cookie.known(), backup.settings.cookie.known()) else { return };
    if cookie == other {
        return;
    }
    let show = |cookie: &Option<String>| cookie.as_ref().map_or("none".to_owned(), |cookie| format!("`{cookie}`"));
    let (main_name, backup_name) = (&main.name, &backup.name);
    let what = format!(
        "{main_name} and {backup_name} are one server, and their cookie values are {} and {}",
        show(cookie),
        show(other)
    );
    let fix = match cookie {
        Some(cookie) => format!("write `cookie {cookie}` for {backup_name}"),
        None => format!("give {main_name} the same `cookie` as {backup_name}"),
    };
    let spans = [backup, main].map(|server| report.find(server.place, "cookie"));
    report.beside((Rule::TwinCookie, Rule::TwinCookie.severity()), spans, what, fix);
}

fn twin_check_port(report: &mut Report<'_>, backend: &Backend<'_>, main: &Server, backup: &Server) {
    let are_checked = [main, backup].into_iter().all(|server| backend.is_checked_by_its_line(server));
    let (Some(Some(port)), Some(Some(other))) = (main.check_port.known(), backup.check_port.known()) else { return };
    if !are_checked || port != other {
        return;
    }
    let what = format!("{} and {} are one server, and both are checked on port {port}", main.name, backup.name);
    let fix =
        format!("check {} on a port of its own, such as `check port {}`", main.name, port.wrapping_add(1000).max(1));
    let word = |server: &Server| if server.settings.port.is(&None) { "check" } else { "port" };
    let spans = [main, backup].map(|server| report.find(server.place, word(server)));
    report.beside((Rule::TwinCheckPort, Rule::TwinCheckPort.severity()), spans, what, fix);
}

/// Checks on a port of their own do not speak as the server is spoken to. That suits a port of another kind; this one is known to lead
/// to the app's own.
fn plain_check(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let settings = &server.settings;
    let Some(Some(port)) = settings.port.known() else { return };
    if !settings.addr.is(&None) || !backend.is_checked_by_its_line(server) {
        return;
    }
    let (words, missing): (Vec<_>, Vec<_>) = settings.plain_checks().unzip();
    if !missing.is_empty() {
        let [words, lacks] = [words, missing.clone()].map(|words| words.join("` and `"));
        let what = format!("{} has `{words}`, and is checked on `port {port}` without `{lacks}`", server.name);
        report.at(Rule::PlainCheck, server.place, "port", what, format!("add `{}`", missing.join(" ")));
    }
}

/// A main entry without a backup entry of its own, in a backend whose clients stick. Only where others have one, or a redirect takes
/// it out, is it missed.
fn no_twin(report: &mut Report<'_>, backend: &Backend<'_>, main: &Server, entries: &Entries<'_>) {
    let (Some(Some(cookie)), Some(address)) = (main.settings.cookie.known(), main.address.known()) else { return };
    let is_recipe = entries.has_twins || report.context.redirect_of(backend.name(), &main.name).is_some();
    if let Some(backup) = entries.by_cookie.get(cookie.as_str()) {
        let Some(other) = backup.address.known() else { return };
        let what = format!(
            "{} and {} have the cookie value `{cookie}`, and are {address} and {other}",
            main.name, backup.name
        );
        // It may be a stand-by that knows the same sessions.
        let severity = if is_recipe { Rule::TwinAddress.severity() } else { Severity::Note };
        let fix = format!("write {address} for {}, or give it a cookie value of its own", backup.name);
        let spans = [report.find(backup.place, other), report.find(main.place, address)];
        report.beside((Rule::TwinAddress, severity), spans, what, fix);
    } else if is_recipe {
        let what = format!("clients stick to {} by `{cookie}`, and it has no backup entry", main.name);
        let fix = format!("add `server {}-backup {address} cookie {cookie} check backup`", main.name);
        report.at(Rule::CookieWithoutTwin, main.place, "cookie", what, fix);
    }
}

/// Two main entries with one cookie value. Of one address they are one server, which has a rule of its own, and a slot that waits in
/// maintenance has no clients.
fn same_cookie(report: &mut Report<'_>, backend: &Backend<'_>) {
    let mut here: HashMap<&str, &Server> = HashMap::new();
    for server in &backend.servers {
        let settings = &server.settings;
        let Some(Some(cookie)) = settings.cookie.known() else { continue };
        if !settings.backup.is(&false) || !settings.disabled.is(&false) {
            continue;
        }
        let first = *here.entry(cookie).or_insert(server);
        let (Some(address), Some(other)) = (server.address.known(), first.address.known()) else { continue };
        if address != other {
            let what = format!("{} and {} have the same cookie value, `{cookie}`", first.name, server.name);
            let spans = [server, first].map(|server| report.find(server.place, "cookie"));
            let fix = format!("give {} a cookie value of its own", server.name);
            report.beside((Rule::SameCookie, Rule::SameCookie.severity()), spans, what, fix);
        }
    }
}
