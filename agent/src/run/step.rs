//! The steps of a pit stop, what can come of one, and how a run can end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The whole pit stop.
    Restart,
    /// Take out, drain, and leave out.
    Out,
    /// Prove and put back.
    In,
    /// Finish or undo what died, pay what is owing.
    Recover,
}

/// One step. The order of the variants is the order of a run without trouble; the ways back come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Looks at everything the run will need; touches nothing.
    Preflight,
    /// Claims the app, then records what is found on every balancer.
    Claim,
    /// `drain` on every balancer: no new clients; those who stick go on.
    Soften,
    /// Waits until those who stick may be moved: `sticky_grace`, or nothing left where going down kills sessions.
    Settle,
    /// `maint` on every balancer, then the redirect is removed: nobody comes any more.
    TakeOut,
    /// Waits until every balancer itself says that the server is out.
    AwaitOut,
    /// Waits until nothing is in flight.
    Drain,
    /// Lets HAProxy end the sessions that outlived the drain.
    ShutdownSessions,
    /// Looks again, right before the stop: still out everywhere, guard still kept.
    LastLook,
    /// Restarts or reloads the app.
    Restart,
    /// Proves the new process by our own probes.
    Ready,
    /// Redirect first, then `ready` on every balancer: main entries, then backups.
    PutBack,
    /// Holds: the same process, and HAProxy's own next check passed; weight rises where a ramp is configured.
    AwaitIn,
    /// Restores exactly what was found.
    Undo,
    /// A random moment after the guard's second look failed, so that two hosts do not try in step.
    Pause,
    /// Runs the configured `revert`, before one more restart.
    Revert,
    /// Takes out again an app that did not hold.
    PullBack,
    /// Says aloud that the app stays out.
    Alert,
    /// Gives the claim back.
    Release,
}

impl Step {
    /// The name as it stands in the journal, in events and on a terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Claim => "claim",
            Self::Soften => "soften",
            Self::Settle => "settle",
            Self::TakeOut => "take out",
            Self::AwaitOut => "await out",
            Self::Drain => "drain",
            Self::ShutdownSessions => "shutdown sessions",
            Self::LastLook => "last look",
            Self::Restart => "restart",
            Self::Ready => "ready",
            Self::PutBack => "put back",
            Self::AwaitIn => "await in",
            Self::Undo => "undo",
            Self::Pause => "pause",
            Self::Revert => "revert",
            Self::PullBack => "pull back",
            Self::Alert => "alert",
            Self::Release => "release",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it is for.
    Done,
    /// It did not.
    Failed,
    /// Its deadline passed first.
    TimedOut,
    /// Someone asked us to stop.
    Interrupted,
    /// `Preflight` or `Claim`: another run holds the app.
    Held,
    /// `Soften` or `LastLook`: too few others are up now.
    BelowGuard,
    /// `LastLook`: a balancer no longer shows the server out.
    NotOut,
    /// `Restart`: it failed before the app was touched, which runs as before.
    Untouched,
    /// `PutBack`: in on some balancers, not on all.
    Partly,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The goal is reached.
    Done,
    /// Refused; nothing was touched.
    Refused,
    /// Another run holds the app; nothing was touched.
    Held,
    /// Everything is as it was found.
    Undone,
    /// The app is out of rotation and stays there.
    StaysOut,
    /// The app is in on some balancers only.
    PartlyIn,
    /// Needs a person.
    Stuck,
}

impl Ending {
    /// In plain words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused, nothing touched",
            Self::Held => "held by another run",
            Self::Undone => "undone",
            Self::StaysOut => "the app stays out",
            Self::PartlyIn => "the app is in on some balancers only",
            Self::Stuck => "stuck, needs a person",
        }
    }

    /// The exit code of the command line.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 3,
            Self::Held => 4,
            Self::Undone => 5,
            Self::StaysOut | Self::PartlyIn => 6,
            Self::Stuck => 7,
        }
    }
}
