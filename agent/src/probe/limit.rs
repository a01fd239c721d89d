//! The time that one try may take.

use std::future::Future;
use std::time::{Duration, Instant};

use super::Failure;

/// The longest that one HTTP or TCP try may take, whatever the deadline: an app that was asked too early and
/// hangs is asked again on a new connection.
const LONGEST_TRY: Duration = Duration::from_secs(5);

/// A span of the monotonic clock, for one try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    start: Instant,
    end: Instant,
}

impl Limit {
    /// From now to the deadline, or for [`LONGEST_TRY`] if that is sooner.
    pub(super) fn of_a_try(deadline: Instant) -> Self {
        let start = now();
        Self { start, end: deadline.min(start + LONGEST_TRY) }
    }

    /// From now to the deadline.
    pub(super) fn until(deadline: Instant) -> Self {
        Self { start: now(), end: deadline }
    }

    /// From now, the same part of what is left for each of `shares`.
    pub(super) fn share(self, shares: u32) -> Self {
        let start = now();
        let left = self.end.saturating_duration_since(start);
        Self { start, end: start + left / shares.max(1) }
    }

    /// When it is over.
    pub(super) fn end(self) -> Instant {
        self.end
    }

    /// What the future gives, or `missing within 2 s`.
    pub(super) async fn run<T>(self, missing: &str, future: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::time::timeout_at(self.end.into(), future).await.map_err(|_| self.late(missing))
    }

    /// `missing within 2 s`
    pub(super) fn late(self, missing: &str) -> Failure {
        let length = self.end.saturating_duration_since(self.start);
        Failure::late(&format!("{missing} within {}", for_people(length)))
    }
}

/// The monotonic clock, as tokio has it: a test may stop it.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// `2 s`, `1.5 s`, `37 ms`
pub(super) fn for_people(length: Duration) -> String {
    // Rounded, for a deadline is always a little nearer than when it was set.
    let milliseconds = (length.as_micros() + 500) / 1000;
    let tenths = (milliseconds + 50) / 100;
    match (milliseconds, tenths % 10) {
        (..1000, _) => format!("{milliseconds} ms"),
        (_, 0) => format!("{} s", tenths / 10),
        (_, tenth) => format!("{}.{tenth} s", tenths / 10),
    }
}
