//! Asking every probe once.

use std::time::Duration;

use futures::future::join_all;

use super::limit::now;
use super::{Failure, Requirement};

/// What came of one try of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub probe: String,
    /// Whether it passed, or what was seen instead.
    pub result: Result<(), Failure>,
}

/// Tries every probe once, all at the same time, for `limit` at most or its own `timeout` if that is shorter. The answers are in
/// the order given. One pass is no proof: see [`prove`](super::prove).
pub async fn ask_once(probes: &[Requirement], limit: Duration) -> Vec<Answer> {
    join_all(probes.iter().map(|requirement| ask(requirement, limit.min(requirement.timeout)))).await
}

async fn ask(Requirement { probe, .. }: &Requirement, limit: Duration) -> Answer {
    Answer { probe: probe.describe(), result: probe.once(now() + limit).await }
}
