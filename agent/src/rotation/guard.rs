//! The guard: how little may stay up. Pure.

use std::fmt;

use crate::config::settings::{Guard, MinUp};
use crate::haproxy::{ServerId, StatKind, StatRow, Status};

/// What is up in one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The backend.
    pub backend: String,
    /// Whether an entry of the app itself is up there; if not, taking it out changes nothing.
    pub own_up: bool,
    /// Whether the app has only `backup` entries here: it serves when no main server is up, and so may other backups.
    own_backups_only: bool,
    mains: Tally,
    backups: Tally,
}

/// Servers and their weight, in the unit of HAProxy's `weight`, 0 to 256 a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Servers that are up, without the app's own.
    pub others: u32,
    /// All servers, whatever their state, with the app's own.
    pub entries: u32,
    /// The weight of `others`.
    pub others_weight: u64,
    /// The weight of `entries`.
    pub weight: u64,
}

/// Less would stay up than the guard asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooFew {
    /// Against `min_up`.
    #[error(
        "without this app {others} of {entries} servers of backend {backend} would be up, and the guard asks for {wanted}"
    )]
    Servers {
        /// The backend.
        backend: String,
        /// Other servers that are up.
        others: u32,
        /// The backend's servers.
        entries: u32,
        /// How many must stay up.
        wanted: u32,
    },
    /// Against `min_weight`.
    #[error(
        "without this app {others} of the weight {all} of backend {backend} would be up, and the guard asks for {percent}% of it"
    )]
    Weight {
        /// The backend.
        backend: String,
        /// The weight of the other servers that are up.
        others: u64,
        /// The backend's weight.
        all: u64,
        /// What share of it must stay up.
        percent: u8,
    },
}

impl TooFew {
    /// What to type next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Servers { .. } => {
                "bring the others up first; for a single server set `min_up = 0` in its [guard], or give --force once"
            }
            Self::Weight { .. } => {
                "bring the others up, or their weights, first; or set a smaller `min_weight` in its [guard], or give --force once"
            }
        }
    }
}

impl Count {
    /// Counts one backend's rows of `show stat`.
    ///
    /// Up are those that HAProxy shows running, which excludes maintenance and drain, with a weight above 0. The weights are those
    /// that were set, which drain and maintenance leave as they are; 2.2 shows only the one in force, which is less during `slowstart`.
    pub fn of(rows: &[StatRow], own: &[ServerId]) -> Self {
        let is_own = |row: &StatRow| own.iter().any(|server| row.is(server));
        let is_main = |row: &StatRow| row.bck == 0;
        let servers = || rows.iter().filter(|row| row.kind == StatKind::Server);
        let (mut mains, mut backups) = (Tally::default(), Tally::default());
        for row in servers() {
            let tally = if is_main(row) { &mut mains } else { &mut backups };
            tally.add(row, is_own(row));
        }
        Self {
            backend: rows.first().map(|row| row.proxy.clone()).unwrap_or_default(),
            own_up: servers().any(|row| is_main(row) && is_own(row) && is_up(row))
                // A backup serves new clients when no main server is up, also that of a main entry which is down.
                || (servers().any(|row| is_own(row) && is_up(row)) && !servers().any(|row| is_main(row) && is_up(row))),
            own_backups_only: !servers().any(|row| is_main(row) && is_own(row)),
            mains,
            backups,
        }
    }

    /// Whether enough others are up; if so, how much. A percentage of servers is of the configured entries, rounded up.
    ///
    /// Backups count where the guard says so, or where the app has nothing else.
    ///
    /// # Errors
    ///
    /// The first of the guard's demands that is not met.
    pub fn check(&self, guard: Guard) -> Result<Tally, TooFew> {
        let tally =
            if guard.count_backups || self.own_backups_only { self.mains.plus(self.backups) } else { self.mains };
        let Tally { others, entries, others_weight, weight } = tally;
        let backend = || self.backend.clone();
        let wanted = match guard.min_up {
            MinUp::Servers(servers) => servers,
            MinUp::Percent(percent) => percent_of(entries, percent),
        };
        if others < wanted {
            return Err(TooFew::Servers { backend: backend(), others, entries, wanted });
        }
        let percent = guard.min_weight;
        if others_weight * 100 < weight * u64::from(percent) {
            return Err(TooFew::Weight { backend: backend(), others: others_weight, all: weight, percent });
        }
        Ok(tally)
    }
}

impl Tally {
    fn add(&mut self, row: &StatRow, is_own: bool) {
        let weight = u64::from(weight(row));
        self.entries += 1;
        self.weight += weight;
        if !is_own && is_up(row) {
            self.others += 1;
            self.others_weight += weight;
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            others: self.others + other.others,
            entries: self.entries + other.entries,
            others_weight: self.others_weight + other.others_weight,
            weight: self.weight + other.weight,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { others, entries, others_weight, weight } = self;
        write!(f, "{others} of {entries} servers (weight {others_weight} of {weight})")
    }
}

/// Rounded up.
fn percent_of(entries: u32, percent: u8) -> u32 {
    let wanted = (u64::from(entries) * u64::from(percent)).div_ceil(100);
    u32::try_from(wanted).unwrap_or(u32::MAX)
}

fn is_up(row: &StatRow) -> bool {
    matches!(row.status, Status::Up(_) | Status::NoCheck) && weight(row) > 0
}

fn weight(row: &StatRow) -> u32 {
    row.uweight.or(row.weight).unwrap_or(1)
}

#[cfg(test)]
mod tests;
