//! What a pit stop cost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::step::{Outcome, Step};

/// HAProxy's counters of an app's entries on one balancer, as `show stat` gives them
/// (HAProxy management guide, 9.1 "CSV format").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// `stot`: sessions.
    pub sessions: u64,
    /// `econ`: connects that failed for good.
    pub connect_errors: u64,
    /// `eresp`: answers that failed.
    pub response_errors: u64,
    /// `srv_abrt`: transfers that the app cut.
    pub server_aborts: u64,
    /// `cli_abrt`: transfers that the client cut.
    pub client_aborts: u64,
    /// `wretr`: connects tried again.
    pub retries: u64,
    /// `wredis`: requests sent to another server.
    pub redispatches: u64,
    /// `hrsp_5xx`: answers with 5xx, the app's own ones included.
    pub answers_5xx: u64,
}

impl Counters {
    /// Adds up two entries.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.each(before, u64::saturating_sub)
    }

    /// Requests that failed. An answer cut by the app may count as response error and as abort: the larger is taken.
    pub fn failed(&self) -> u64 {
        self.connect_errors + self.response_errors.max(self.server_aborts)
    }

    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            sessions: f(self.sessions, other.sessions),
            connect_errors: f(self.connect_errors, other.connect_errors),
            response_errors: f(self.response_errors, other.response_errors),
            server_aborts: f(self.server_aborts, other.server_aborts),
            client_aborts: f(self.client_aborts, other.client_aborts),
            retries: f(self.retries, other.retries),
            redispatches: f(self.redispatches, other.redispatches),
            answers_5xx: f(self.answers_5xx, other.answers_5xx),
        }
    }
}

/// The change of one balancer's counters over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// The change, summed over every process of HAProxy that was seen.
    pub counters: Counters,
    /// False when a process ended unseen: then the figures are "at least".
    pub complete: bool,
    /// Where HAProxy was reloaded while the app was out: for how many milliseconds, at most, the new process may have sent it traffic
    /// until it was told again; all times together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ms: Option<u64>,
}

/// Keeps the counters of one balancer by HAProxy's pid, so that a reload in between loses as little as possible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    seen: BTreeMap<u32, (Counters, Counters)>,
    first: Option<u32>,
}

impl Ledger {
    /// Takes down what `pid` says now. A process first seen later began at zero.
    pub fn note(&mut self, pid: u32, now: Counters) {
        let start = if self.first.is_none() { now } else { Counters::default() };
        self.first.get_or_insert(pid);
        self.seen.entry(pid).or_insert((start, now)).1 = now;
    }

    /// The change since the first note.
    pub fn delta(&self) -> Delta {
        let counters = self.seen.values().fold(Counters::default(), |sum, (start, now)| sum.plus(now.since(*start)));
        Delta { counters, complete: self.seen.len() <= 1, exposed_ms: None }
    }
}

/// How long a step took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step.
    pub step: Step,
    /// What came of it.
    pub outcome: Outcome,
    /// Its time, in microseconds.
    pub micros: u64,
}

/// What one pit stop cost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Each step's time, in order.
    pub steps: Vec<StepTime>,
    /// The change of each balancer's counters.
    pub balancers: BTreeMap<String, Delta>,
    /// The most sessions and queued requests that the drain saw at one moment.
    pub drained: u64,
}

impl Receipt {
    /// The whole time.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.steps.iter().map(|step| step.micros).sum())
    }

    /// Requests that failed, and whether that is all of them (`false`: at least so many).
    pub fn failed(&self) -> (u64, bool) {
        let failed = self.balancers.values().map(|delta| delta.counters.failed()).sum();
        (failed, self.balancers.values().all(|delta| delta.complete))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(sessions: u64) -> Counters {
        Counters { sessions, ..Counters::default() }
    }

    #[test]
    fn a_ledger_adds_up_the_processes_of_a_reload_and_says_that_it_may_have_missed_some() {
        let mut ledger = Ledger::default();
        ledger.note(1, sessions(100));
        ledger.note(1, sessions(110));
        assert_eq!(ledger.delta(), Delta { counters: sessions(10), complete: true, exposed_ms: None });
        ledger.note(2, sessions(5));
        assert_eq!(ledger.delta(), Delta { counters: sessions(15), complete: false, exposed_ms: None });
    }

    #[test]
    fn an_answer_cut_by_the_app_counts_once() {
        let counters = Counters { response_errors: 2, server_aborts: 3, connect_errors: 1, ..Counters::default() };
        assert_eq!(counters.failed(), 4);
    }
}
