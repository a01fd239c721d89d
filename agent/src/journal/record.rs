//! One line of the journal: a checksum, a blank, and a JSON object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lease::Until;
use crate::config::settings::Label;
use crate::haproxy::{AdminState, ServerId};
use crate::run::{Ending, Goal, Outcome, Run, Step};
use crate::service::{Identity, Note};

/// The format's version, in every line.
pub(super) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The format's version, 1.
    pub v: u32,
    /// Counts up from 1 within a run.
    pub seq: u64,
    /// The run.
    pub run: String,
    /// Wall time (RFC 3339), for people only.
    pub at: String,
    /// What is recorded.
    #[serde(flatten)]
    pub record: Record,
}

/// What is recorded. Intents are on disk before the act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A run begins.
    Begin {
        /// What it is for.
        goal: Goal,
        /// Who called.
        who: String,
        /// Why, in the caller's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The kernel's boot id: after a reboot rules are gone and processes are others.
        boot_id: String,
        /// For how long an `out` is asked for; without it, until somebody says `in`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Until>,
        /// The run that this one recovers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovers: Option<Recovers>,
    },
    /// What was found before anything was changed; undo restores this, never more. Written once more where somebody else has put an
    /// entry in maintenance since: that is then what is restored.
    Found {
        /// Entries by balancer.
        balancers: BTreeMap<Label, Vec<Found>>,
        /// Whether the redirect was there; absent where none is configured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect: Option<bool>,
        /// The app's process.
        process: Option<Identity>,
    },
    /// A step is about to begin.
    StepIntent {
        /// The step.
        step: Step,
    },
    /// An act within a step is about to be done.
    ActIntent {
        /// Where.
        on: String,
        /// What, in the words of the tool that does it.
        what: String,
    },
    /// The app is about to be restarted.
    Restarting {
        /// Its process until then, as it was seen last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<Identity>,
    },
    /// What the service driver told.
    Service {
        /// Its note.
        note: Note,
    },
    /// The new process, proven later.
    Restarted {
        /// Who it is.
        process: Identity,
    },
    /// What came of a step.
    StepOutcome {
        /// The step.
        step: Step,
        /// What came of it.
        outcome: Outcome,
        /// Why, where it did not go well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The run has ended.
    End {
        /// How.
        ending: Ending,
        /// Whether it left the app out of rotation, as it was asked or as it had found it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        out: bool,
    },
}

/// What a recovering run recovers, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovers {
    /// The run that died, or left something owing.
    pub run: String,
    /// Where the recovery stood before its first step.
    pub from: Run,
}

/// How one server entry was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The entry.
    pub server: ServerId,
    /// Whether it is one of the app's backup entries.
    pub backup: bool,
    /// HAProxy's `srv_admin_state` bits (management guide, "show servers state").
    pub admin: u32,
    /// Whether HAProxy had it up (`srv_op_state` other than 0).
    pub up: bool,
    /// Its weight.
    pub weight: u32,
    /// Whether HAProxy checks its health.
    pub checked: bool,
}

impl Found {
    /// Whether it was in maintenance, which is somebody else's then, and left so.
    pub fn in_maintenance(&self) -> bool {
        AdminState(self.admin).in_maintenance()
    }
}

impl Record {
    /// Whether an act follows that must not happen before this is on disk. What merely tells how a step went can be seen again by
    /// looking, and is written with the next record that must last.
    pub(super) fn must_last(&self) -> bool {
        match self {
            Self::StepIntent { .. } | Self::StepOutcome { .. } | Self::Restarting { .. } => false,
            Self::Begin { .. }
            | Self::Found { .. }
            | Self::ActIntent { .. }
            | Self::Service { .. }
            | Self::Restarted { .. }
            | Self::End { .. } => true,
        }
    }
}

impl Entry {
    /// The line, with its newline.
    pub fn to_line(&self) -> serde_json::Result<String> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
    }

    /// Reads a line without its newline; the error says what is wrong with it.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let (sum, json) = line.split_once(' ').ok_or("no checksum")?;
        let sum = u32::from_str_radix(sum, 16).map_err(|_| "no checksum")?;
        if sum != crc32fast::hash(json.as_bytes()) {
            return Err("the checksum does not match".to_owned());
        }
        let entry: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if entry.v == VERSION { Ok(entry) } else { Err(format!("version {} is not known", entry.v)) }
    }
}
