//! Rules on the socket by which servers are taken out.

use super::{Backend, Report, Rule, Severity};
use crate::address::Address;
use crate::document::Place;
use crate::global::{Level, StatsSocket};

/// Nothing is said of a part of a configuration, which other files may give a socket.
pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    let config = report.config;
    let Some(global) = report.global() else { return };
    let sockets = &config.global().sockets;
    if sockets.is_empty() {
        none(report, global.place, backends);
    }
    let is_enough = |socket: &StatsSocket| socket.level.known().is_none_or(|level| *level == Level::Admin);
    if let Some(first) = sockets.first().filter(|_| !sockets.iter().any(is_enough)) {
        let place = first.level.place().or(first.address.place()).unwrap_or(global.place);
        let level = if first.level.is(&Level::User) { "user" } else { "operator" };
        let what = format!("no `stats socket` is of level admin, and this one is of level {level}");
        let word = first.address.known().map_or("socket", String::as_str);
        let word = if first.level.place().is_some() { "level" } else { word };
        report.at(Rule::SocketLevel, place, word, what, "write `level admin`");
    }
    for socket in sockets.iter().filter(|socket| socket.level.is(&Level::Admin)) {
        reach(report, socket);
    }
    if report.context.master_socket == Some(false) {
        let what = "no master socket is known";
        let fix = "start HAProxy with `-W -S /run/haproxy/master.sock`, and name it as `master` in pitstop.toml";
        report.at(Rule::NoMasterSocket, global.place, "global", what, fix);
    }
}

/// Without a second server nothing can be taken out; with redirects alone, much can.
fn none(report: &mut Report<'_>, global: Place, backends: &[Backend<'_>]) {
    if !backends.iter().any(|backend| backend.is_balanced) {
        return;
    }
    let severity = if report.context.redirects.is_empty() { Rule::NoSocket.severity() } else { Severity::Note };
    let span = report.find(global, "global");
    let fix = "add `stats socket /run/haproxy/admin.sock mode 660 level admin`";
    report.with(Rule::NoSocket, severity, span, "there is no `stats socket`", fix);
}

/// Who may write to it.
fn reach(report: &mut Report<'_>, socket: &StatsSocket) {
    let (Some(address), Some(place)) = (socket.address.known(), socket.address.place()) else { return };
    let parts = Address::read(address);
    match parts {
        Address::Network { .. } if !parts.is_loopback() => {
            let what = format!("commands of level admin are taken at {address}");
            let fix =
                "write a path; or the address of this host in a network that only those reach who may take servers out";
            // One address may be in a network of its own.
            let severity = if parts.is_any() { Rule::SocketOpen.severity() } else { Severity::Warning };
            let span = report.find(place, address);
            report.with(Rule::SocketOpen, severity, span, what, fix);
        }
        // To connect is to write: unix(7).
        Address::Path(_) if socket.mode.known().is_some_and(|mode| mode.as_deref().is_some_and(lets_others_write)) => {
            let what = format!("every user of this host may give commands of level admin at {address}");
            report.at(Rule::SocketOpen, place, "mode", what, "write `mode 660`, with the `group` of those who may");
        }
        Address::Path(_) if socket.mode.is(&None) && socket.owned.is(&false) => {
            let what = format!("{address} has neither `mode` nor an owner");
            report.at(Rule::SocketOwner, place, address, what, "add `mode 660 user root group haproxy`");
        }
        _ => {}
    }
}

/// Octal digits, up to the first character that is none, as C's `strtol()` reads them, and HAProxy with it.
fn lets_others_write(mode: &str) -> bool {
    let end = mode.find(|c: char| !c.is_digit(8)).unwrap_or(mode.len());
    let bits = mode.get(..end).and_then(|digits| u32::from_str_radix(digits, 8).ok());
    bits.is_some_and(|bits| bits & 0o002 != 0)
}
