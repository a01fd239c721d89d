//! Rules on the socket by which servers are taken out.

use super::{Report, Rule};
use crate::global::{Level, StatsSocket};

/// Nothing is said of files without a `global` section: they are a part of a configuration.
pub(super) fn look(report: &mut Report<'_>) {
    let Some(global) = report.config.sections().iter().find(|section| section.keyword == "global") else { return };
    let (place, config) = (global.place, report.config);
    let sockets = &config.global().sockets;
    if sockets.is_empty() {
        let fix = "add `stats socket /run/haproxy/admin.sock mode 660 level admin`";
        report.at(Rule::NoSocket, place, "global", "there is no `stats socket`", fix);
    }
    let is_enough = |socket: &StatsSocket| {
        socket.level.known() != Some(&Level::Operator) && socket.level.known() != Some(&Level::User)
    };
    if let Some(first) = sockets.first().filter(|_| !sockets.iter().any(is_enough)) {
        let place = first.level.place().or(first.address.place()).unwrap_or(place);
        report.at(Rule::SocketLevel, place, "level", "no `stats socket` is of level admin", "write `level admin`");
    }
    for socket in sockets.iter().filter(|socket| socket.level.is(&Level::Admin)) {
        reach(report, socket);
    }
    if report.context.master_socket == Some(false) {
        let what = "no master socket is known";
        let fix = "start HAProxy with `-W -S /run/haproxy/master.sock`, and name it as `master` in pitstop.toml";
        report.at(Rule::NoMasterSocket, place, "global", what, fix);
    }
}

/// Who may write to it.
fn reach(report: &mut Report<'_>, socket: &StatsSocket) {
    let (Some(address), Some(place)) = (socket.address.known(), socket.address.place()) else { return };
    match socket.is_tcp() {
        Some(true) if !is_loopback(address) => {
            let what = format!("commands of level admin are taken at {address}");
            let fix = "write a path, or an address of this host alone such as 127.0.0.1:9999";
            report.at(Rule::SocketOpen, place, address, what, fix);
        }
        Some(false) if socket.mode.is(&None) && socket.owned.is(&false) && address.contains('/') => {
            let what = format!("{address} has neither `mode` nor an owner");
            report.at(Rule::SocketOwner, place, address, what, "add `mode 660 user root group haproxy`");
        }
        _ => {}
    }
}

/// Whether only this host reaches a TCP address.
fn is_loopback(address: &str) -> bool {
    let address = address.rsplit('@').next().unwrap_or(address);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
