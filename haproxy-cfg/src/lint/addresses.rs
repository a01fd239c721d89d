//! Rules on where servers are.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{Backend, Report, Rule, Severity};
use crate::address::Address;
use crate::server::Server;

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    let mut elsewhere: HashMap<&str, (&Backend<'_>, &Server)> = HashMap::new();
    let mut pairs = HashSet::new();
    for backend in backends {
        twice(report, backend);
        for server in &backend.servers {
            init_addr(report, backend, server);
            let Some(address) = address_of_one(server).filter(|_| !server.settings.backup.is(&true)) else { continue };
            let (other, first) = *elsewhere.entry(address).or_insert((backend, server));
            // Of two backends for the same app, one line says so.
            if other.name() != backend.name() && pairs.insert((other.name(), backend.name())) {
                let spans = [server, first].map(|server| report.find(server.place, address));
                let what = format!("{} is {address}, and so is {}", backend.server(server), other.server(first));
                let fix = "name both as `servers` of the app in pitstop.toml, and likewise for others that the two backends share";
                report.beside((Rule::SameAddress, Severity::Note), spans, what, fix);
            }
        }
    }
}

/// Two entries of one backend; a main and a backup entry of one server are the recipe for clients that stick.
fn twice(report: &mut Report<'_>, backend: &Backend<'_>) {
    let mut here: HashMap<(&str, bool), &Server> = HashMap::new();
    for server in &backend.servers {
        let Some(address) = address_of_one(server) else { continue };
        let Some(is_backup) = server.settings.backup.known() else { continue };
        let first = *here.entry((address, *is_backup)).or_insert(server);
        if first.place != server.place {
            let spans = [server, first].map(|server| report.find(server.place, address));
            let what = format!("{} is {address}, and so is {}", backend.server(server), first.name);
            let fix = "leave one out; `weight` gives a server more than one share";
            report.beside((Rule::SameAddress, Rule::SameAddress.severity()), spans, what, fix);
        }
    }
}

/// The address, where it is that of one app: not a name that stands for many, not where the client wants to go, and not a slot that
/// waits in maintenance for its address.
fn address_of_one(server: &Server) -> Option<&str> {
    let address = server.address.known()?.as_str();
    let parts = Address::read(address);
    let is_one = match parts {
        Address::Path(_) | Address::Abstract(_) => true,
        Address::Network { port, .. } => port.is_some() && !parts.is_any(),
        Address::Descriptor(_) | Address::Reverse(_) => false,
    };
    (is_one && server.settings.disabled.is(&false)).then_some(address)
}

/// A name that can't be resolved at the start is fatal unless there is another way to begin: an address, or none at all. By default
/// there is one only with `resolvers` (configuration manual, 5.2, `init-addr`).
fn init_addr(report: &mut Report<'_>, backend: &Backend<'_>, server: &Server) {
    let settings = &server.settings;
    let Some(address) = server.address.known() else { return };
    let begins_without = match settings.init_addr.known() {
        Some(Some(methods)) => methods.split(',').any(|method| method == "none" || method.parse::<IpAddr>().is_ok()),
        Some(None) => !settings.resolvers.is(&None),
        None => true,
    };
    let parts = Address::read(address);
    // HAProxy's own tools answer as localhost without asking anybody.
    if begins_without || !parts.is_name() || parts.is_loopback() {
        return;
    }
    let what = format!("{} is found by the name {address}", backend.server(server));
    let fix = "write its address, or add `init-addr last,libc,none` and `resolvers`";
    report.at(Rule::InitAddr, server.place, address, what, fix);
}
