//! The guard: how little may stay up. Pure.

use crate::config::settings::Guard;
use crate::haproxy::{ServerId, StatKind, StatRow, Status};

/// How many servers are up in one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The backend.
    pub backend: String,
    /// Whether an entry of the app itself is up there; if not, taking it out changes nothing.
    pub own_up: bool,
    /// Other servers that are up.
    pub others: u32,
    /// The backend's configured servers.
    pub entries: u32,
}

/// Fewer would stay up than the guard asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "without this app {others} of {entries} servers of backend {backend} would be up, and the guard asks for {wanted}"
)]
pub struct TooFew {
    /// The backend.
    pub backend: String,
    /// Other servers that are up.
    pub others: u32,
    /// The backend's configured servers.
    pub entries: u32,
    /// How many must stay up.
    pub wanted: u32,
}

impl TooFew {
    /// What to type next.
    pub const HINT: &str =
        "bring the others up first; for a single server set `min_up = 0` in its [guard], or give --force once";
}

impl Count {
    /// Counts one backend's rows of `show stat`.
    ///
    /// Up are those that HAProxy shows running, which excludes maintenance and drain, with a weight above 0. Backups do not count,
    /// unless the app has no other entry here: then it serves when no other server is up, and so may other backups.
    pub fn of(rows: &[StatRow], own: &[ServerId]) -> Self {
        let is_own = |row: &StatRow| own.iter().any(|server| row.is(server));
        let all = || rows.iter().filter(|row| row.kind == StatKind::Server);
        let is_backup = !all().any(|row| row.bck == 0 && is_own(row));
        let servers = || all().filter(|row| is_backup || row.bck == 0);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            backend: rows.first().map(|row| row.proxy.clone()).unwrap_or_default(),
            own_up: all().any(|row| row.bck == 0 && is_own(row) && is_up(row))
                // A backup serves new clients when no main server is up, also that of a main entry which is down.
                || (all().any(|row| is_own(row) && is_up(row)) && !all().any(|row| row.bck == 0 && is_up(row))),
            others: count(servers().filter(|row| !is_own(row) && is_up(row)).count()),
            entries: count(servers().count()),
        }
    }

    /// Whether enough others are up; a percentage is of the configured entries, rounded up.
    pub fn check(&self, guard: Guard) -> Result<(), TooFew> {
        let wanted = match guard {
            Guard::Servers(servers) => servers,
            Guard::Percent(percent) => (self.entries * u32::from(percent)).div_ceil(100),
        };
        if self.others >= wanted {
            return Ok(());
        }
        Err(TooFew { backend: self.backend.clone(), others: self.others, entries: self.entries, wanted })
    }
}

fn is_up(row: &StatRow) -> bool {
    matches!(row.status, Status::Up(_) | Status::NoCheck) && row.uweight.or(row.weight).unwrap_or(1) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(others: u32, entries: u32) -> Count {
        Count { backend: "srvs".to_owned(), own_up: true, others, entries }
    }

    #[test]
    fn a_percentage_is_of_the_configured_entries_and_rounded_up() {
        assert_eq!(count(2, 3).check(Guard::Percent(50)), Ok(()));
        assert_eq!(count(1, 3).check(Guard::Percent(50)).map_err(|few| few.wanted), Err(2));
    }

    #[test]
    fn a_single_server_may_go_only_where_the_guard_asks_for_none() {
        assert!(count(0, 1).check(Guard::Servers(1)).is_err());
        assert_eq!(count(0, 1).check(Guard::Servers(0)), Ok(()));
    }
}
