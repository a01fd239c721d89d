//! A run as a person follows it: a few phases. What only a program needs is in the events and the journal.

use crate::run::Step;

/// What a person waits for; one or more steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Looking, claiming, releasing: worth a word only when it fails.
    Look,
    Out,
    Drain,
    EndSessions,
    Restart,
    Prove,
    In,
    Hold,
    Undo,
    Revert,
    PullBack,
    Alert,
}

impl Phase {
    /// The phase that a step belongs to.
    pub(super) fn of(step: Step) -> Self {
        match step {
            Step::Preflight | Step::Claim | Step::LastLook | Step::Pause | Step::Release => Self::Look,
            Step::Soften | Step::Settle | Step::TakeOut | Step::AwaitOut => Self::Out,
            Step::Drain => Self::Drain,
            Step::ShutdownSessions => Self::EndSessions,
            Step::Restart => Self::Restart,
            Step::Ready => Self::Prove,
            Step::PutBack => Self::In,
            Step::AwaitIn => Self::Hold,
            Step::Undo => Self::Undo,
            Step::Revert => Self::Revert,
            Step::PullBack => Self::PullBack,
            Step::Alert => Self::Alert,
        }
    }

    /// While it lasts.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Look => "looking",
            Self::Out => "taking out",
            Self::Drain => "draining",
            Self::EndSessions => "ending the sessions that are left",
            Self::Restart => "restarting",
            Self::Prove => "proving",
            Self::In => "putting back",
            Self::Hold => "holding",
            Self::Undo => "undoing",
            Self::Revert => "reverting",
            Self::PullBack => "taking out again",
            Self::Alert => "raising the alert",
        }
    }

    /// Once it went well; `None` where nobody wants to know.
    pub(super) fn done(self) -> Option<&'static str> {
        match self {
            // An alert may be configured away; then none was raised.
            Self::Look | Self::Alert => None,
            Self::Out => Some("out"),
            Self::Drain => Some("drained"),
            Self::EndSessions => Some("sessions ended"),
            Self::Restart => Some("restarted"),
            Self::Prove => Some("proven healthy"),
            Self::In => Some("in"),
            Self::Hold => Some("held"),
            Self::Undo => Some("undone"),
            Self::Revert => Some("reverted"),
            Self::PullBack => Some("out again"),
        }
    }

    /// Once it did not.
    pub(super) fn failed(self) -> &'static str {
        match self {
            Self::Look => "goes no further",
            Self::Out => "not out",
            Self::Drain => "not drained",
            Self::EndSessions => "sessions not ended",
            Self::Restart => "not restarted",
            Self::Prove => "not proven healthy",
            Self::In => "not in everywhere",
            Self::Hold => "not held",
            Self::Undo => "not undone",
            Self::Revert => "not reverted",
            Self::PullBack => "not out again",
            Self::Alert => "alert not raised",
        }
    }
}
