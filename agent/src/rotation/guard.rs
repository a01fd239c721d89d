//! The guard: how little may stay up. Pure.

use crate::config::settings::Guard;
use crate::haproxy::{ServerId, StatKind, StatRow, Status};

/// Fewer would stay up than the guard asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "without this app only {others} of {entries} servers of backend {backend} would be up, and the guard asks for {wanted}"
)]
pub struct TooFew {
    /// The backend.
    pub backend: String,
    /// Other servers that are up.
    pub others: u32,
    /// The backend's configured servers, backups not counted.
    pub entries: u32,
    /// How many must stay up.
    pub wanted: u32,
}

/// Whether enough other servers are up in one backend, given all its rows of `show stat`.
///
/// Up are those that HAProxy shows running (which excludes maintenance and drain) with a weight above 0. Backups do not
/// count. Where no entry of the app is up, taking it out changes nothing and the guard is kept.
pub fn check(rows: &[StatRow], own: &[ServerId], guard: Guard) -> Result<(), TooFew> {
    let servers = || rows.iter().filter(|row| row.kind == StatKind::Server && row.bck == 0);
    let is_own = |row: &StatRow| own.iter().any(|server| row.is(server));
    if !servers().any(|row| is_own(row) && is_up(row)) {
        return Ok(());
    }
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let entries = count(servers().count());
    let others = count(servers().filter(|row| !is_own(row) && is_up(row)).count());
    let wanted = match guard {
        Guard::Servers(servers) => servers,
        Guard::Percent(percent) => (entries * u32::from(percent)).div_ceil(100),
    };
    if others >= wanted {
        return Ok(());
    }
    let backend = rows.first().map(|row| row.proxy.clone()).unwrap_or_default();
    Err(TooFew { backend, others, entries, wanted })
}

fn is_up(row: &StatRow) -> bool {
    matches!(row.status, Status::Up(_) | Status::NoCheck) && row.uweight.or(row.weight).unwrap_or(1) > 0
}
