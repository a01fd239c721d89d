//! What we read in each configuration is what the running HAProxy does: its own record against ours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use haproxy_cfg::{Config, Effective, Mode, Proxy, ProxyKind, Server};
use integration::haproxy::Version;
use integration::netns::Namespace;

use crate::corpus::{self, Case};
use crate::running::{Row, Running};

#[test]
fn what_we_read_is_what_haproxy_2_6_does() {
    compare_all("2.6");
}

#[test]
fn what_we_read_is_what_haproxy_3_2_does() {
    compare_all("3.2");
}

fn compare_all(number: &str) {
    let version = Version::named(number).unwrap();
    let _namespace = Namespace::new();
    let cases: Vec<_> = corpus::all().into_iter().filter(|case| case.is_accepted_by(number)).collect();
    assert!(cases.len() >= 40, "{} configurations", cases.len());
    let wrong: Vec<_> = cases.iter().flat_map(|case| compare(version, case)).collect();
    assert!(wrong.is_empty(), "{number}:\n{}", wrong.join("\n"));
}

/// Everything that differs.
fn compare(version: Version, case: &Case) -> Vec<String> {
    let config = case.config(version);
    let running = Running::start(version, &case.path, &case.variables);
    let record = Record { stat: running.stat(), states: running.states() };
    let mut differences = Differences { case: &case.name, found: Vec::new() };
    differences.names(&config, &record);
    for proxy in config.proxies() {
        differences.proxy(proxy, &record);
        for server in proxy.servers() {
            differences.server(proxy, &server, &record);
        }
    }
    differences.found
}

/// What the running HAProxy says.
struct Record {
    stat: BTreeMap<(String, String), Row>,
    states: BTreeMap<(String, String), Row>,
}

struct Differences<'c> {
    case: &'c str,
    found: Vec<String>,
}

impl Differences<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: T, theirs: T) {
        if ours != theirs {
            self.found.push(format!("{}: {what}: {ours:?} here, {theirs:?} there", self.case));
        }
    }

    /// The value; everything is told, so nothing may be unknown.
    fn told<'e, T>(&mut self, what: &str, value: &'e Effective<T>) -> Option<&'e T> {
        if value.known().is_none() {
            self.found.push(format!("{}: {what} is unknown because of {:?}", self.case, value.place()));
        }
        value.known()
    }

    /// The same frontends, backends and servers, and none more.
    fn names(&mut self, config: &Config, record: &Record) {
        let serving = |proxy: &&Proxy| proxy.kind != ProxyKind::Defaults && !proxy.settings.disabled.is(&true);
        let named = |proxy: &Proxy, row: &str| (proxy.name.clone().unwrap_or_default(), row.to_owned());
        let mut rows = BTreeSet::new();
        for proxy in config.proxies().iter().filter(serving) {
            rows.extend(proxy.has_servers().then(|| named(proxy, "BACKEND")));
            rows.extend((proxy.kind != ProxyKind::Backend).then(|| named(proxy, "FRONTEND")));
            rows.extend(proxy.servers().map(|server| named(proxy, &server.name)));
        }
        self.same("rows of show stat", rows, record.stat.keys().cloned().collect());
        let servers = config.backends().flat_map(|proxy| proxy.servers().map(|server| named(proxy, &server.name)));
        self.same("servers", servers.collect::<BTreeSet<_>>(), record.states.keys().cloned().collect());
    }

    fn proxy(&mut self, proxy: &Proxy, record: &Record) {
        let name = proxy.name.clone().unwrap_or_default();
        let Some(row) = record.stat.get(&(name.clone(), "BACKEND".to_owned())).filter(|_| proxy.has_servers()) else {
            return;
        };
        let mode = match self.told(&name, &proxy.settings.mode) {
            Some(Mode::Http) => "http",
            Some(Mode::Tcp) => "tcp",
            Some(Mode::Other) | None => "?",
        };
        self.same(&format!("mode of {name}"), mode, &row["mode"]);
        let Some(balance) = self.told(&name, &proxy.settings.balance) else { return };
        // A proxy that has a destination of its own balances nothing.
        let default = if self.case == "dispatch.cfg" { "none" } else { "roundrobin" };
        let balance = balance.as_deref().unwrap_or(default).split('(').next().unwrap();
        // HAProxy has no word of its own for this one (`backend_lb_algo_str()` in its backend.c).
        let balance = if balance == "random" { "unknown" } else { balance };
        self.same(&format!("algorithm of {name}"), balance, &row["algo"]);
        self.told(&name, &proxy.settings.redispatch);
        self.told(&name, &proxy.settings.retries);
    }

    fn server(&mut self, proxy: &Proxy, server: &Server, record: &Record) {
        let key = (proxy.name.clone().unwrap_or_default(), server.name.clone());
        let name = format!("{}/{}", key.0, key.1);
        let Some(state) = record.states.get(&key) else { return };
        self.state(&name, server, state);
        self.address(&name, server, state);
        if let Some(row) = record.stat.get(&key) {
            self.stat(&name, &key.0, server, row, state);
        }
    }

    /// `show servers state`
    fn state(&mut self, name: &str, server: &Server, state: &Row) {
        let settings = &server.settings;
        let bit = |column: &str, bit: u32| state[column].parse::<u32>().unwrap() & bit != 0;
        let weight = self.told(name, &settings.weight).map(u32::to_string);
        self.same(&format!("weight of {name}"), weight, state.get("srv_iweight").cloned());
        let port = self.told(name, &settings.port).map(|port| port.unwrap_or(0).to_string());
        self.same(&format!("check port of {name}"), port, state.get("srv_check_port").cloned());
        let address = self.told(name, &settings.addr).map(|addr| addr.clone().unwrap_or_else(|| "-".to_owned()));
        self.same(&format!("check address of {name}"), address, state.get("srv_check_addr").cloned());
        // 2 is CHK_ST_CONFIGURED of HAProxy's check-t.h, 4 is SRV_ADMF_CMAINT of its server-t.h.
        let check = self.told(name, &settings.check).copied();
        self.same(&format!("check of {name}"), check, Some(bit("srv_check_state", 2)));
        let agent = self.told(name, &settings.agent_check).copied();
        self.same(&format!("agent of {name}"), agent, Some(bit("srv_agent_state", 2)));
        let disabled = self.told(name, &settings.disabled).copied();
        self.same(&format!("{name} is disabled"), disabled, Some(bit("srv_admin_state", 4)));
        if let (Some(true), Some(Some(port))) = (agent, self.told(name, &settings.agent_port)) {
            self.same(&format!("agent port of {name}"), &port.to_string(), &state["srv_agent_port"]);
        }
        for silent in [&settings.inter, &settings.slowstart] {
            self.told(name, silent);
        }
    }

    /// Address, port and name.
    fn address(&mut self, name: &str, server: &Server, state: &Row) {
        let (Some(address), Some(port)) = (self.told(name, &server.address), self.told(name, &server.port)) else {
            return;
        };
        let (host, written) = split(address);
        let port = port.or_else(|| written.strip_prefix('+')?.parse().ok()).unwrap_or(0);
        self.same(&format!("port of {name}"), &port.to_string(), &state["srv_port"]);
        match host.parse::<IpAddr>() {
            Ok(ip) => self.same(&format!("address of {name}"), Ok(ip), state["srv_addr"].parse()),
            Err(_) if is_socket(address) => self.same(&format!("address of {name}"), "-", &state["srv_addr"]),
            Err(_) => {
                let theirs = [&state["srv_fqdn"], &state["srvrecord"]].into_iter().find(|name| *name != "-");
                self.same(&format!("host of {name}"), Some(&host), theirs);
            }
        }
    }

    /// `show stat`
    fn stat(&mut self, name: &str, backend: &str, server: &Server, row: &Row, state: &Row) {
        let settings = &server.settings;
        let backup = self.told(name, &settings.backup).map(|backup| u8::from(*backup).to_string());
        self.same(&format!("{name} is a backup"), backup, row.get("bck").cloned());
        let cookie = self.told(name, &settings.cookie).cloned().flatten();
        self.same(&format!("cookie of {name}"), cookie, row.get("cookie").cloned());
        let track = self.told(name, &settings.track).cloned().flatten();
        let track = track.map(|track| if track.contains('/') { track } else { format!("{backend}/{track}") });
        self.same(&format!("{name} tracks"), track, row.get("tracked").cloned());
        let (rise, fall) = (self.told(name, &settings.rise), self.told(name, &settings.fall));
        // 4 is CHK_ST_ENABLED, 8 is CHK_ST_PAUSED: only then HAProxy shows them.
        if state["srv_check_state"].parse::<u32>().unwrap() & 12 == 4 {
            self.same(&format!("rise of {name}"), rise.map(u32::to_string), row.get("check_rise").cloned());
            self.same(&format!("fall of {name}"), fall.map(u32::to_string), row.get("check_fall").cloned());
        }
    }
}

/// Host and port as written, without the family.
fn split(address: &str) -> (String, &str) {
    let address = address.rsplit('@').next().unwrap();
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (address, ""),
    };
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "*" => "0.0.0.0",
        host => host,
    };
    (host.to_owned(), port)
}

fn is_socket(address: &str) -> bool {
    address.starts_with('/') || address.starts_with("unix@") || address.starts_with("abns@")
}
