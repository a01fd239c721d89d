//! What the configuration lets the core decide.

use crate::config::settings::{App, OnTimeout};

/// The part of an app's settings that decides what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What to do when something is still in flight at the deadline.
    pub on_timeout: OnTimeout,
    /// How often the restart is tried, at least once.
    pub attempts: u32,
    /// Whether a `revert` command is configured.
    pub can_revert: bool,
}

impl Policy {
    /// The policy of one app.
    pub fn of(app: &App) -> Self {
        Self {
            on_timeout: app.drain.on_timeout,
            attempts: app.service.attempts,
            can_revert: !app.service.revert.is_empty(),
        }
    }
}
