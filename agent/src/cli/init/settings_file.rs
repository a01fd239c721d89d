//! `pitstop.toml`, as it is written for what was found: commented, and accepted by `pitstop check` but for what only a person can say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use haproxy_cfg::{Config, Place};

use super::health::{Health, HttpHealth};
use super::host::HostApp;
use crate::cli::args::ADMIN_SOCKET;
use crate::haproxy::Address;

/// How a line begins that says what only a person knows.
pub(super) const FILL_IN: &str = "# FILL IN ";

/// All that stands in the file.
#[derive(Debug)]
pub(super) struct SettingsFile<'a> {
    pub(super) config: &'a Config,
    pub(super) from: &'a [PathBuf],
    pub(super) socket: Option<Address>,
    /// HAProxy's files and folders, as paths from the root.
    pub(super) files: Vec<PathBuf>,
    pub(super) apps: Vec<AppTable<'a>>,
}

/// All that is said of one app.
#[derive(Debug)]
pub(super) struct AppTable<'a> {
    pub(super) app: &'a HostApp,
    /// Backup entries that the recipe adds.
    pub(super) twins: Vec<String>,
    pub(super) check_port: Option<u16>,
    pub(super) health: Health,
    /// The port on which that is asked.
    pub(super) health_port: u16,
    /// The systemd unit, if it is known.
    pub(super) unit: Option<String>,
    /// Whether a backend has no other main entry.
    pub(super) is_alone: bool,
    /// Whether backends in which it is alone have backup entries that are not its own: other hosts that take over.
    pub(super) has_stand_in: bool,
}

impl SettingsFile<'_> {
    /// Whether it says what may be nobody else's business: the headers of checks, which often prove who asks.
    pub(super) fn has_secrets(&self) -> bool {
        self.apps.iter().any(|table| matches!(&table.health, Health::Http(http) if !http.headers.is_empty()))
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let from: Vec<_> = self.from.iter().map(|path| one_line(&path.display().to_string())).collect();
        line(&format!("# Written by `pitstop init` from {}. All keys: docs/configuration.md", from.join(", ")));
        line("# `pitstop check` says what is wrong, and touches nothing.\n");
        line("# The HAProxy that sends to the apps below. One on another host is reached by \"tcp:ADDRESS:PORT\".");
        line("[balancers.lb1]");
        match &self.socket {
            Some(socket) => line(&format!("socket = {}", quoted(&socket.to_string()))),
            None => line(&format!(
                "{FILL_IN}its socket of level admin, which is not plain to see in haproxy.cfg.\n# socket = {}",
                quoted(ADMIN_SOCKET)
            )),
        }
        line("# Where HAProxy is started with -S, what old workers still serve after a reload is seen there:");
        line("# master = \"/run/haproxy/master.sock\"");
        match self.files.iter().map(|path| quoted(&path.display().to_string())).collect::<Vec<_>>().as_slice() {
            [] => {}
            [one] => line(&format!("config = {one}")),
            several => line(&format!("config = [{}]", several.join(", "))),
        }
        self.apps.iter().for_each(|table| self.app(table, &mut line));
        text
    }

    fn app(&self, table: &AppTable<'_>, line: &mut impl FnMut(&str)) {
        let (app, name) = (table.app, &table.app.name);
        let at = app.mains.first().map(|main| self.config.document().describe(main.server.place)).unwrap_or_default();
        line(&format!("\n# {}", one_line(&at)));
        line(&format!("[apps.{}]", key(name.as_str())));
        let names =
            |names: &mut dyn Iterator<Item = String>| names.map(|name| quoted(&name)).collect::<Vec<_>>().join(", ");
        line(&format!("servers = [{}]", names(&mut app.mains.iter().map(|main| main.id.to_string()))));
        let backups = app.backups.iter().map(|backup| backup.id.to_string()).chain(table.twins.iter().cloned());
        let backups = names(&mut backups.into_iter());
        if !backups.is_empty() {
            line(&format!("backups = [{backups}]"));
        }
        line(&format!("listen = \"{}\"", app.listen));
        if let Some(port) = table.check_port {
            redirect(table, port, line);
        }
        service(table, line);
        self.ready(table, line);
        guard(table, line);
    }

    fn ready(&self, table: &AppTable<'_>, line: &mut impl FnMut(&str)) {
        let reached = reached(SocketAddr::new(table.app.listen.ip(), table.health_port));
        let describe = |place: &Place| one_line(&self.config.document().describe(*place));
        line("\n# What proves that it is healthy after a restart, before it gets a request.");
        line(&format!("[[apps.{}.ready]]", key(table.app.name.as_str())));
        match &table.health {
            Health::Connect(asked) => {
                line("# A connect says little: an app that has a page for its health is better asked for that.");
                line("# http = \"http://ADDRESS:PORT/health\"   # instead of `tcp`");
                if let Some(place) = asked {
                    line(&format!("# HAProxy asks more than that: {}", describe(place)));
                }
                line(&format!("tcp = \"{reached}\""));
            }
            Health::Http(http) => {
                http_probe(http, reached, line);
                if let Some(place) = &http.more {
                    line(&format!("# HAProxy expects more than could be taken over: {}", describe(place)));
                }
            }
        }
    }
}

fn guard(table: &AppTable<'_>, line: &mut impl FnMut(&str)) {
    if !table.is_alone {
        return;
    }
    let (says, setting) = match table.has_stand_in {
        true => (
            "# The only main entry of a backend, whose backup entries are others: they take over, and count as those who are up.",
            "count_backups = true",
        ),
        false => (
            "# It is the only server of a backend, so a restart is refused: nobody else would be up. Where that is wanted:",
            "# min_up = 0",
        ),
    };
    line(&format!("\n{says}"));
    let comment = if table.has_stand_in { "" } else { "# " };
    line(&format!("{comment}[apps.{}.guard]\n{setting}", key(table.app.name.as_str())));
}

fn redirect(table: &AppTable<'_>, port: u16, line: &mut impl FnMut(&str)) {
    line(
        "\n# HAProxy checks the main entry on this port, and a redirect on this host leads it to the app. Without the redirect HAProxy",
    );
    line("# takes the main entry out by itself, and those who stick are still served by the backup entry.");
    line(&format!("[apps.{}.redirect]", key(table.app.name.as_str())));
    line(&format!("check_port = {port}"));
    let Some(settings) = table.app.mains.first().map(|main| &main.server.settings) else { return };
    match settings.inter.known() {
        Some(inter) if *inter != Duration::from_secs(2) && !inter.is_zero() => {
            line(&format!("inter = \"{}\"", humantime::format_duration(*inter)));
        }
        _ => {}
    }
    for (key, value, default) in [("fall", &settings.fall, 3), ("rise", &settings.rise, 2)] {
        if let Some(value) = value.known().filter(|value| (1..=100).contains(*value) && **value != default) {
            line(&format!("{key} = {value}"));
        }
    }
}

fn service(table: &AppTable<'_>, line: &mut impl FnMut(&str)) {
    line("");
    match &table.unit {
        Some(unit) => {
            line(&format!("[apps.{}.service]", key(table.app.name.as_str())));
            line(&format!("systemd = {}", quoted(unit)));
        }
        None => {
            line(&format!("{FILL_IN}who restarts {}: one of these.", table.app.name));
            line(&format!("[apps.{}.service]", key(table.app.name.as_str())));
            line("# systemd = \"web.service\"");
            line("# pidfile = \"/run/web.pid\"                     # with: start = [\"/usr/bin/gunicorn\", \"…\"]");
            line("# restart = [\"/usr/local/bin/web-restart\"]");
        }
    }
}

fn http_probe(http: &HttpHealth, reached: SocketAddr, line: &mut impl FnMut(&str)) {
    let scheme = if http.tls { "https" } else { "http" };
    line(&format!("http = {}", quoted(&format!("{scheme}://{reached}{}", http.path))));
    if http.tls {
        line("insecure = true   # or `ca` and `server_name`, to know who answers");
    }
    let status: Vec<_> = http.status.iter().map(u16::to_string).collect();
    line(&format!("status = [{}]", status.join(", ")));
    if !http.headers.is_empty() {
        let headers = http.headers.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
        line(&format!("request_headers = {{ {} }}", headers.collect::<Vec<_>>().join(", ")));
    }
    if let Some(contains) = &http.contains {
        line(&format!("contains = {}", quoted(contains)));
    }
}

/// Where a probe of this host reaches it.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key as TOML has it: a dot would end it.
fn key(name: &str) -> String {
    if name.contains('.') { quoted(name) } else { name.to_owned() }
}

/// Nothing that comes from outside may end a comment.
fn one_line(text: &str) -> String {
    crate::text::escape(text)
}

/// Where a balancer's socket is, for whoever is on its host; `None` where that can't be said.
pub(super) fn address_of_socket(written: &str) -> Option<Address> {
    match haproxy_cfg::Address::read(written) {
        haproxy_cfg::Address::Path(path) if path.starts_with('/') => path.parse().ok(),
        haproxy_cfg::Address::Network { host, port: Some(port) } => {
            let ip: IpAddr = match host {
                "" | "*" | "localhost" => Ipv4Addr::LOCALHOST.into(),
                host => host.parse().ok()?,
            };
            Some(Address::Tcp(reached(SocketAddr::new(ip, port))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_socket_is_named_as_pitstop_reaches_it() {
        let all = [
            ("/run/a.sock", "/run/a.sock"),
            ("unix@/run/a.sock", "/run/a.sock"),
            ("ipv4@10.0.0.5:9999", "tcp:10.0.0.5:9999"),
            ("*:9999", "tcp:127.0.0.1:9999"),
            (":9999", "tcp:127.0.0.1:9999"),
            ("[::]:9999", "tcp:[::1]:9999"),
        ];
        for (written, wanted) in all {
            assert_eq!(address_of_socket(written).map(|address| address.to_string()).as_deref(), Some(wanted));
        }
        assert_eq!(address_of_socket("abns@x"), None);
        assert_eq!(address_of_socket("fd@3"), None);
    }
}
