//! The one stream of events that a person, a pipeline and (later) a page or metric see.
//!
//! Steps are lifecycle events and never lost; progress may be dropped. Order is the sequence number, never wall time.

use serde::Serialize;

use crate::drain::Sighting;
use crate::run::{Ending, Goal, Outcome, Receipt, Step};

/// One event, as it stands on a line of `--output json`.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Counts up from 1 within a run.
    pub seq: u64,
    /// Wall time (RFC 3339), for people only.
    pub at: String,
    /// The run.
    pub run: String,
    /// The app.
    pub app: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happened. Readers must tolerate kinds they do not know.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A run begins.
    RunStarted {
        /// What it is for.
        goal: Goal,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: Step,
    },
    /// An act on the outside world begins; its intent is on disk.
    Act {
        /// Where it is done: a balancer, `redirect`, `gate`, `service`.
        on: String,
        /// What is done, in the words of the tool that does it.
        what: String,
    },
    /// Something that a person should know, and that does not stop the run.
    Remark {
        /// What.
        what: String,
    },
    /// What is left in flight; may be dropped.
    Draining {
        /// By witness.
        sightings: Vec<Sighting>,
    },
    /// What the proof still waits for; may be dropped.
    Proving {
        /// The probe.
        probe: String,
        /// Why it did not pass, the last time.
        failure: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The weight on the way back; may be dropped.
    Weight {
        /// Percent of the full weight.
        percent: u8,
    },
    /// A step ends.
    StepEnded {
        /// The step.
        step: Step,
        /// What came of it.
        outcome: Outcome,
        /// How long it took, in microseconds.
        micros: u64,
        /// Why, where it did not go well.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Trouble>,
    },
    /// The run ends.
    RunEnded {
        /// How.
        ending: Ending,
        /// The exit code of the command line.
        exit_code: u8,
        /// What state things are in now, in one sentence.
        state: String,
        /// The first thing that went wrong, if anything did, and what to type next.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Trouble>,
        /// What it cost.
        receipt: Receipt,
    },
}

/// What went wrong, and what to type next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What went wrong, with its causes.
    pub what: String,
    /// What to type next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Receives events as they happen.
pub trait Listener {
    /// One event. Must not block for long: the run waits.
    fn hear(&mut self, event: &Event);
}
