//! What the load has seen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Role;

/// More failures than this are counted, but not described.
const DESCRIBED: usize = 500;

/// A request that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// When it was seen, in seconds since the load began.
    pub at: f64,
    /// The same, in seconds since the epoch.
    pub unix: f64,
    /// Milliseconds since the request was begun.
    pub after_ms: f64,
    /// Whose it was.
    pub role: Role,
    /// What was asked for.
    pub target: String,
    /// What went wrong, in a word.
    pub kind: String,
    /// And in detail.
    pub detail: String,
    /// Whether the connection had been used before.
    pub reused: bool,
}

/// How much longer than asked for the answers took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// One in a hundred took longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// So far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Seconds since the load began.
    pub seconds: f64,
    /// Requests answered or failed.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Requests begun, but not answered yet.
    pub in_flight: u64,
    /// Answers by app.
    pub by_app: BTreeMap<String, u64>,
}

/// Of one role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleCount {
    /// Requests answered or failed.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
}

/// In the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// How long the load lasted, in seconds.
    pub seconds: f64,
    /// Requests answered or failed.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Requests that were sent again, on a new connection, because they had never left.
    pub unsent: u64,
    /// Failures by kind.
    pub kinds: BTreeMap<String, u64>,
    /// By role.
    pub roles: BTreeMap<Role, RoleCount>,
    /// Answers by app.
    pub by_app: BTreeMap<String, u64>,
    /// Answers by app and process, such as `webA:1234`.
    pub by_process: BTreeMap<String, u64>,
    /// Of the answered ones.
    pub added_ms: Latency,
    /// The first few hundred.
    pub failures: Vec<Failure>,
}

impl Summary {
    /// Panics, with the first failures, unless every request was answered, and at least one.
    pub fn assert_nothing_failed(&self) {
        let first = &self.failures[..self.failures.len().min(5)];
        assert!(self.failed == 0, "{} of {} requests failed: {:?}\n{first:#?}", self.failed, self.requests, self.kinds);
        assert!(self.requests > 0, "nothing was asked");
    }
}

/// What went wrong, in a word and in detail.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) kind: String,
    pub(super) detail: String,
}

impl Wrong {
    pub(super) fn new(kind: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind: kind.into(), detail: detail.into() }
    }
}

/// One request, as it went.
pub(super) struct Outcome {
    pub(super) role: Role,
    pub(super) target: String,
    pub(super) begun: Instant,
    pub(super) asked: Duration,
    pub(super) reused: bool,
    /// App and process that answered.
    pub(super) result: Result<(String, String), Wrong>,
}

/// Takes down outcomes.
pub(super) struct Record {
    begun: Instant,
    pub(super) in_flight: u64,
    pub(super) unsent: u64,
    kinds: BTreeMap<String, u64>,
    roles: BTreeMap<Role, RoleCount>,
    by_app: BTreeMap<String, u64>,
    by_process: BTreeMap<String, u64>,
    added_us: Vec<u32>,
    failures: Vec<Failure>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            in_flight: 0,
            unsent: 0,
            kinds: BTreeMap::new(),
            roles: BTreeMap::new(),
            by_app: BTreeMap::new(),
            by_process: BTreeMap::new(),
            added_us: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        let took = outcome.begun.elapsed();
        let count = self.roles.entry(outcome.role).or_default();
        count.requests += 1;
        match outcome.result {
            Ok((app, process)) => {
                let added = took.saturating_sub(outcome.asked).as_micros();
                self.added_us.push(u32::try_from(added).unwrap_or(u32::MAX));
                *self.by_process.entry(format!("{app}:{process}")).or_default() += 1;
                *self.by_app.entry(app).or_default() += 1;
            }
            Err(wrong) => {
                count.failed += 1;
                *self.kinds.entry(wrong.kind.clone()).or_default() += 1;
                if self.failures.len() < DESCRIBED {
                    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
                    self.failures.push(Failure {
                        at: self.begun.elapsed().as_secs_f64(),
                        unix: unix.unwrap_or_default().as_secs_f64(),
                        after_ms: took.as_secs_f64() * 1e3,
                        role: outcome.role,
                        target: outcome.target,
                        kind: wrong.kind,
                        detail: wrong.detail,
                        reused: outcome.reused,
                    });
                }
            }
        }
    }

    fn total(&self) -> RoleCount {
        self.roles.values().fold(RoleCount::default(), |sum, count| RoleCount {
            requests: sum.requests + count.requests,
            failed: sum.failed + count.failed,
        })
    }

    pub(super) fn progress(&self) -> Progress {
        let total = self.total();
        Progress {
            seconds: self.begun.elapsed().as_secs_f64(),
            requests: total.requests,
            failed: total.failed,
            in_flight: self.in_flight,
            by_app: self.by_app.clone(),
        }
    }

    pub(super) fn summary(mut self) -> Summary {
        let total = self.total();
        Summary {
            seconds: self.begun.elapsed().as_secs_f64(),
            requests: total.requests,
            failed: total.failed,
            unsent: self.unsent,
            added_ms: latency(&mut self.added_us),
            kinds: self.kinds,
            roles: self.roles,
            by_app: self.by_app,
            by_process: self.by_process,
            failures: self.failures,
        }
    }
}

fn latency(added_us: &mut [u32]) -> Latency {
    added_us.sort_unstable();
    let at = |hundredths: usize| {
        let last = added_us.len().saturating_sub(1);
        added_us.get(last * hundredths / 100).map_or(0.0, |us| f64::from(*us) / 1e3)
    };
    Latency { p50: at(50), p99: at(99), max: at(100) }
}
