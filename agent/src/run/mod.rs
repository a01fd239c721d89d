//! The pure core of a pit stop: what comes next, and what it cost. No I/O, no clock.

mod next;
mod policy;
mod receipt;
mod recovery;
mod step;
#[cfg(test)]
mod tests;

pub use next::Run;
pub use policy::Policy;
pub use receipt::{Counters, Delta, Ledger, Receipt, StepTime};
pub use recovery::Death;
pub use step::{Ending, Goal, Outcome, Step};
