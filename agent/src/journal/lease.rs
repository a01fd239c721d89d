//! An app that is out by somebody's wish: whose, why, and until when.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::debt::Debt;
use super::replay::Last;
use crate::process;
use crate::run::Ending;

/// An app that `pitstop out` took out, and nobody has put in since.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lease {
    /// The run that took it out.
    pub run: String,
    /// Who asked.
    pub who: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// Since when (RFC 3339).
    pub since: String,
    /// Until when; `None`: until somebody says `in`.
    pub until: Option<Until>,
    /// The boot in which it began.
    #[serde(skip)]
    pub boot_id: String,
    /// What its end puts back: the app as it was before anything of ours.
    #[serde(skip)]
    pub owes: Debt,
}

/// Who asked, and why in parentheses, for people.
pub fn who_and_why(who: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| who.to_owned(), |reason| format!("{who} ({reason})"))
}

/// The end of a lease: by the clock of the boot, which no one sets, and by wall time for people and for the next boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until {
    /// Wall time (RFC 3339).
    pub wall: String,
    /// Milliseconds of `CLOCK_BOOTTIME` (clock_gettime(2)), which goes on while the host sleeps.
    pub boot_ms: u64,
}

impl Until {
    /// So long from now.
    pub fn after(duration: Duration) -> Self {
        let wall = jiff::Timestamp::now().saturating_add(duration).unwrap_or(jiff::Timestamp::MAX);
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { wall: format!("{wall:.0}"), boot_ms: boot_ms().saturating_add(millis) }
    }

    /// How long it is until then; zero when it is over. `boot_id` is that of the boot in which it was set.
    pub fn left(&self, boot_id: &str) -> Duration {
        if process::boot_id().is_ok_and(|now| now == boot_id) {
            return Duration::from_millis(self.boot_ms.saturating_sub(boot_ms()));
        }
        let wall = self.wall.parse::<jiff::Timestamp>().unwrap_or(jiff::Timestamp::MIN);
        Duration::try_from(wall.duration_since(jiff::Timestamp::now())).unwrap_or_default()
    }
}

fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000
}

impl Lease {
    /// How long it lasts from now; `None` where it has no end.
    pub fn left(&self) -> Option<Duration> {
        self.until.as_ref().map(|until| until.left(&self.boot_id))
    }

    /// Whose, why and until when, for people.
    pub fn describe(&self) -> String {
        let until = self.until.as_ref().map(|until| format!(", until {}", until.wall)).unwrap_or_default();
        format!("{}{until}", who_and_why(&self.who, self.reason.as_deref()))
    }

    /// Whether it has run out.
    pub fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// The lease that a run began, given that it ended with the app out as it was asked, and what was owed before it.
    pub(super) fn of(run: &Last, before: Option<Debt>) -> Option<Self> {
        let begin = run.begin()?;
        Some(Self {
            run: run.run.clone(),
            who: begin.who,
            reason: begin.reason,
            since: run.began.clone(),
            until: begin.until,
            boot_id: begin.boot_id,
            owes: Debt::joined(before, run, Ending::StaysOut),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_clock_that_somebody_sets_neither_ends_a_lease_nor_prolongs_it() {
        let boot = process::boot_id().unwrap();
        for wall in ["1990-01-01T00:00:00Z", "2990-01-01T00:00:00Z", "no time"] {
            let until = Until { wall: wall.into(), ..Until::after(HOUR) };
            assert!(until.left(&boot) > HOUR / 2 && until.left(&boot) <= HOUR);
        }
    }

    #[test]
    fn after_a_reboot_wall_time_counts() {
        let until = Until { boot_ms: 0, ..Until::after(HOUR) };
        assert!(until.left("another boot") > HOUR / 2 && until.left("another boot") <= HOUR);
        for wall in ["1990-01-01T00:00:00Z", "no time"] {
            assert_eq!(Until { wall: wall.into(), boot_ms: u64::MAX }.left("another boot"), Duration::ZERO);
        }
    }
}
