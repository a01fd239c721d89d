//! Witnesses: sources that say how much is in flight.

pub mod sockets;

mod sock_diag;

use std::time::Duration;

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

/// Pause between polls: 2 ms, rising by half each time to 50 ms.
#[derive(Debug, Clone, Copy)]
pub struct Pace(Duration);

impl Pace {
    /// The shortest pause.
    pub const FIRST: Duration = Duration::from_millis(2);
    /// The longest pause.
    pub const LAST: Duration = Duration::from_millis(50);

    /// Starts at the shortest.
    pub fn new() -> Self {
        Self(Self::FIRST)
    }

    /// The pause to make now; the next will be longer.
    pub fn pause(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 3 / 2).min(Self::LAST);
        now
    }

    /// Back to the shortest, as after the first zero.
    pub fn quicken(&mut self) {
        self.0 = Self::FIRST;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}
