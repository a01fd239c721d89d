//! Rules on where servers are.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Backend, Report, Rule, Severity};
use crate::server::Server;

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    let mut elsewhere: HashMap<String, (String, &Server)> = HashMap::new();
    for backend in backends {
        let mut here: HashMap<(&str, bool), &Server> = HashMap::new();
        for server in &backend.servers {
            init_addr(report, server);
            let Some(address) = server.address.known() else { continue };
            // A server-template gives many for one name; a socket of a name is one.
            if server.port.known().is_none_or(Option::is_none) && !address.starts_with('/') {
                continue;
            }
            let is_backup = server.settings.backup.is(&true);
            if let Some(first) = here.get(&(address.as_str(), is_backup)) {
                let what = format!("{} and {} are both {address}", first.name, server.name);
                let fix = "leave one out; for twice the traffic give one twice the weight";
                report.beside(Rule::SameAddress, [server.place, first.place], address, what, fix);
                continue;
            }
            here.insert((address, is_backup), server);
            let name = backend.name().to_owned();
            match elsewhere.get(address) {
                Some((other, first)) if *other != name && !is_backup => {
                    let span = report.config.find(server.place, address);
                    let what = format!("{other}/{} and {name}/{} are both {address}", first.name, server.name);
                    let fix = "list both as `servers` of the app in pitstop.toml";
                    report.with(Rule::SameAddress, Severity::Note, span, what, fix);
                }
                Some(_) => {}
                None => {
                    elsewhere.insert(address.clone(), (name, server));
                }
            }
        }
    }
}

/// A name that can't be resolved at the start is fatal unless there is another way to begin: an address, or none at all. By default
/// there is one only with `resolvers` (configuration manual, 5.2, `init-addr`).
fn init_addr(report: &mut Report<'_>, server: &Server) {
    let settings = &server.settings;
    let Some(address) = server.address.known() else { return };
    let begins_without = match settings.init_addr.known() {
        Some(Some(methods)) => methods.split(',').any(|method| method == "none" || method.parse::<IpAddr>().is_ok()),
        Some(None) => !settings.resolvers.is(&None),
        None => true,
    };
    if begins_without || !is_name(address) {
        return;
    }
    let what = format!("{} is found by the name {address}", server.name);
    let fix = "write its address, or add `init-addr last,libc,none` and `resolvers`";
    report.at(Rule::InitAddr, server.place, address, what, fix);
}

/// Whether an address has to be resolved.
fn is_name(address: &str) -> bool {
    let prefixes = ["/", "unix@", "abns@", "abnsz@", "fd@", "sockpair@", "uxst@", "rev@", "rhttp@", "@", "*", ":"];
    if address.is_empty() || prefixes.iter().any(|prefix| address.starts_with(prefix)) {
        return false;
    }
    let address = address.rsplit('@').next().unwrap_or(address);
    let without_port = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let is_ip = |host: &str| host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    // HAProxy's own tools answer as localhost without asking anybody.
    !is_ip(address) && !is_ip(without_port) && without_port != "localhost" && !without_port.is_empty()
}
