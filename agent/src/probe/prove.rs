//! Trying all probes until each has passed.

use std::fmt;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::limit::{for_people, now};
use super::{Failure, Requirement};

/// Pause between passes: the first has shown that the app is there, the rest show that it stays.
const BETWEEN_PASSES: Duration = Duration::from_millis(5);

/// Shortest pause while a probe fails, so that an app that is starting is not kept from it.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// A try that was cut shorter than this has shown nothing.
const TELLING: Duration = Duration::from_millis(500);

/// How far one probe is, after each of its tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which one: its index in what was given to [`prove`].
    pub index: usize,
    /// What is asked.
    pub probe: String,
    /// Tries so far.
    pub tries: u32,
    /// Passes in a row; 0 after a failure.
    pub passes: u32,
    /// Passes in a row that are wanted.
    pub rise: u32,
    /// What was seen instead, by the last try that failed.
    pub last: Option<Failure>,
}

/// Every probe passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Each of them, in the order given.
    pub probes: Vec<Proven>,
    /// How long it took until the last had passed.
    pub took: Duration,
}

/// A probe that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// What was asked.
    pub probe: String,
    /// Tries, with those that failed.
    pub tries: u32,
    /// How long it took.
    pub took: Duration,
}

/// The app is not healthy: every probe that did not pass in its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Each of them, in the order given; never empty.
    pub probes: Vec<Unproven>,
}

/// A probe that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// What was asked.
    pub probe: String,
    /// Tries.
    pub tries: u32,
    /// How long it was tried.
    pub took: Duration,
    /// Passes in a row at the end, if the last try passed.
    pub passes: u32,
    /// Passes in a row that were wanted.
    pub rise: u32,
    /// What was seen instead, by the last try that failed; `None` if none failed.
    pub last: Option<Failure>,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.probe)?;
        match (self.passes, &self.last) {
            (0, Some(last)) => write!(f, "{last}")?,
            (passes, None) => write!(f, "only {passes} of {} passes", self.rise)?,
            (passes, Some(last)) => {
                write!(f, "only {passes} of {} passes after: {last}", self.rise)?;
            }
        }
        let tries = if self.tries == 1 { "try" } else { "tries" };
        write!(f, " ({} {tries} in {})", self.tries, for_people(self.took))
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, probe) in self.probes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{probe}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotReady {}

/// Tries all probes at the same time until each has passed `rise` times in a row, or its `timeout` is over. After a
/// pass the next try follows 5 ms later, after a failure `interval` later and the count begins anew. `on_progress` is
/// called after every try.
///
/// Returns when the last probe is decided, so the longest `timeout` is the deadline of the whole. Can be dropped at any
/// time.
///
/// # Errors
///
/// Every probe that did not pass.
pub async fn prove(probes: &[Requirement], on_progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Proof, NotReady> {
    let start = now();
    let each = probes.iter().enumerate();
    let ends = join_all(each.map(|(index, probe)| prove_one(index, probe, on_progress))).await;
    let (mut proven, mut unproven) = (Vec::new(), Vec::new());
    for end in ends {
        match end {
            Ok(passed) => proven.push(passed),
            Err(failed) => unproven.push(failed),
        }
    }
    match unproven.is_empty() {
        true => Ok(Proof { probes: proven, took: now().saturating_duration_since(start) }),
        false => Err(NotReady { probes: unproven }),
    }
}

async fn prove_one(
    index: usize,
    requirement: &Requirement,
    on_progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Proven, Unproven> {
    let start = now();
    let deadline = start + requirement.timeout;
    let mut progress = Progress {
        index,
        probe: requirement.probe.describe(),
        tries: 0,
        passes: 0,
        rise: requirement.rise.max(1),
        last: None,
    };
    loop {
        let pause = one_try(requirement, deadline, &mut progress).await;
        on_progress(progress.clone());
        let took = now().saturating_duration_since(start);
        if progress.passes >= progress.rise {
            return Ok(Proven { probe: progress.probe, tries: progress.tries, took });
        }
        if took + pause >= requirement.timeout {
            return Err(Unproven {
                probe: progress.probe,
                tries: progress.tries,
                took,
                passes: progress.passes,
                rise: progress.rise,
                last: progress.last,
            });
        }
        tokio::time::sleep(pause).await;
    }
}

/// Tries once and returns the pause before the next try.
async fn one_try(requirement: &Requirement, deadline: Instant, progress: &mut Progress) -> Duration {
    let start = now();
    let result = requirement.probe.once(deadline).await;
    progress.tries = progress.tries.saturating_add(1);
    match result {
        Ok(()) => {
            progress.passes += 1;
            BETWEEN_PASSES
        }
        Err(failure) => {
            progress.passes = 0;
            // A try that our own deadline cut short must not hide what the tries before it saw.
            let cut_short = failure.is_late() && now() >= deadline;
            let telling = now().saturating_duration_since(start) >= TELLING;
            progress.last = Some(match progress.last.take() {
                Some(earlier) if cut_short && telling => failure.after(&earlier),
                Some(earlier) if cut_short => earlier,
                _ => failure,
            });
            requirement.interval.max(SHORTEST_INTERVAL)
        }
    }
}

#[cfg(test)]
mod tests;
