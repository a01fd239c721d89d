//! Witnesses: sources that say how much is in flight.

pub mod sockets;
pub mod workers;

mod sock_diag;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What one witness saw at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Who saw it: a balancer's name, or `kernel`.
    pub witness: String,
    /// The process it is a statement about (HAProxy's pid); zero must be seen several times in a row from the same.
    pub pid: Option<u32>,
    /// What is left; empty means quiet.
    pub left: Vec<Left>,
}

/// Something in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Where: `srvs/webA`, or a peer's address.
    pub place: String,
    /// How many sessions or connections.
    pub sessions: u64,
    /// How many wait in a queue.
    pub queued: u64,
}

/// Pause between polls: a hundredth of the time waited so far, at least 2 ms and at most 50 ms. So looking costs little in a long wait, and
/// seldom adds more than 1 % to a wait of any length.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    since: Instant,
}

impl Pace {
    /// The shortest pause.
    pub const FIRST: Duration = Duration::from_millis(2);
    /// The longest pause.
    pub const LAST: Duration = Duration::from_millis(50);

    /// For a wait that begins now.
    pub fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// The pause to make now.
    pub fn pause(&self) -> Duration {
        (self.since.elapsed() / 100).clamp(Self::FIRST, Self::LAST)
    }

    /// Back to the shortest, as after the first zero.
    pub fn quicken(&mut self) {
        *self = Self::new();
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = &self.place;
        match (self.sessions, self.queued) {
            (sessions, 0) => write!(f, "{sessions} in {place}"),
            (0, queued) => write!(f, "{queued} waiting for {place}"),
            (sessions, queued) => write!(f, "{sessions} in {place} and {queued} waiting"),
        }
    }
}
