//! A step that did not go well: what comes of it for the core, and what a person is told.

use std::error::Error;

use crate::events::Trouble;
use crate::journal::{ClaimError, JournalError};
use crate::rotation::RotationError;
use crate::rotation::guard::TooFew;
use crate::run::Outcome;
use crate::service::ServiceError;

/// A step that did not go well.
#[derive(Debug)]
pub struct Fault {
    /// What the core makes of it.
    pub outcome: Outcome,
    /// What a person is told.
    pub trouble: Trouble,
}

impl Fault {
    /// A failure in plain words.
    pub fn new(outcome: Outcome, what: impl Into<String>, hint: Option<String>) -> Self {
        Self { outcome, trouble: Trouble { what: what.into(), hint } }
    }

    /// Someone asked us to stop.
    pub fn interrupted() -> Self {
        Self::new(Outcome::Interrupted, "interrupted", None)
    }

    /// The same trouble with another outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some messages already end with their cause.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl From<RotationError> for Fault {
    fn from(error: RotationError) -> Self {
        Self::new(Outcome::Failed, chain(&error), error.hint())
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::new(Outcome::Failed, chain(&error), error.hint())
    }
}

impl From<ClaimError> for Fault {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Journal(error) => error.into(),
            ClaimError::Kept => {
                let hint =
                    "try again; if it lasts, see what the keeper says in keeper.log of the state directory".to_owned();
                Self::new(Outcome::Held, error.to_string(), Some(hint))
            }
            ClaimError::Held(_) => {
                let hint = "wait for it to end; `pitstop status` shows its step".to_owned();
                Self::new(Outcome::Held, error.to_string(), Some(hint))
            }
        }
    }
}

impl From<TooFew> for Fault {
    fn from(error: TooFew) -> Self {
        Self::new(Outcome::BelowGuard, error.to_string(), Some(error.hint().to_owned()))
    }
}

impl From<ServiceError> for Fault {
    fn from(error: ServiceError) -> Self {
        let outcome = if error.touched { Outcome::Failed } else { Outcome::Untouched };
        Self::new(outcome, chain(&error), error.hint)
    }
}
