//! What comes next: the pure function that every run follows, also after a failure.
//!
//! ```text
//! Preflight ► Claim ► Soften ► Settle ► TakeOut ► AwaitOut ► Drain ► LastLook ► Restart ► Ready ► PutBack ► AwaitIn ► Release
//!     │         │        └────────┴─────────┴──────────┴────────┴────────┘          │        │        │         │
//!  refused    held                          Undo                                 Revert, Alert: stays out   PullBack
//! ```
//!
//! A run that recovers another one goes from the claim to the step that [`Run::recovery`] tells.

use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::step::{Ending, Goal, Outcome, Step};
use crate::config::settings::OnTimeout;

/// How often a lost MAINT is asserted again before the run gives up.
const REASSERTS: u32 = 3;

/// After the guard's second look failed, everything is undone and tried once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecondTry {
    Unused,
    Due,
    Used,
}

/// What follows once the last look saw the app out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// The restart.
    BeforeRestart,
    /// The proof: the restart has happened.
    BeforeReady,
}

/// Where a run stands. Folding a run's outcomes over [`Run::after`] gives it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What it is for.
    pub goal: Goal,
    /// What is to be done now; `None` once it has ended.
    pub step: Option<Step>,
    /// How it will end, as far as is known now.
    pub ending: Ending,
    /// Whether the stop signal may have been sent.
    pub stopped: bool,
    /// How often the restart was tried.
    pub(super) attempts: u32,
    /// Whether `revert` was run.
    pub(super) reverted: bool,
    /// The second try after the guard's second look failed.
    pub(super) second_try: SecondTry,
    /// How often a lost MAINT was asserted again.
    pub(super) reasserts: u32,
    /// What follows the claim.
    pub(super) first: Step,
    /// What follows the last look.
    pub(super) look: Look,
    /// Whether a run that died had begun to put the app back: without a proof now it must go out again.
    pub(super) may_be_in: bool,
    /// Whether nothing but proof and put-back is to be tried; without a proof it ends as it began.
    pub(super) only_proves: bool,
}

impl Run {
    /// A run at its first step.
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            step: Some(Step::Preflight),
            ending: Ending::Done,
            stopped: false,
            attempts: 0,
            reverted: false,
            second_try: SecondTry::Unused,
            reasserts: 0,
            first: if goal == Goal::In { Step::Ready } else { Step::Soften },
            look: Look::BeforeRestart,
            may_be_in: false,
            only_proves: false,
        }
    }

    /// The run after `outcome` of its present step. A run that has ended stays ended.
    #[must_use]
    pub fn after(mut self, outcome: Outcome, policy: &Policy) -> Self {
        if let Some(step) = self.step {
            self.step = self.follow(step, outcome, policy);
        }
        self
    }

    fn follow(&mut self, step: Step, outcome: Outcome, policy: &Policy) -> Option<Step> {
        use Outcome::{BelowGuard, Done, Held, Interrupted, NotOut, Partly, TimedOut, Untouched};
        match (step, outcome) {
            (Step::Preflight, Done) => Some(Step::Claim),
            (Step::Preflight, Held) => self.end(Ending::Held),
            (Step::Preflight, Interrupted) if self.goal != Goal::Recover => self.end(Ending::Undone),
            (Step::Preflight, _) => self.end(Ending::Refused),

            (Step::Claim, Done) => Some(self.first),
            (Step::Claim, Held) => self.end(Ending::Held),
            (Step::Claim, _) => self.release(Ending::Refused),

            (Step::Soften, Done) => Some(Step::Settle),
            (Step::Settle, Done) => Some(Step::TakeOut),
            // The restart has happened already: what is in flight is not on the old process, and nothing will be stopped.
            (Step::Settle, TimedOut) if self.look == Look::BeforeReady => Some(Step::TakeOut),
            (Step::Drain, TimedOut) if self.look == Look::BeforeReady => Some(Step::LastLook),
            // Where going down kills sessions, `maint` is their end: that is what was asked for.
            (Step::Settle, TimedOut) if policy.on_timeout != OnTimeout::Abort => Some(Step::TakeOut),
            (Step::TakeOut, Done) => Some(Step::AwaitOut),
            (Step::AwaitOut, Done) => Some(Step::Drain),

            (Step::Drain, Done) => Some(Step::LastLook),
            (Step::Drain, TimedOut) => Some(match policy.on_timeout {
                OnTimeout::Abort => self.undo(),
                OnTimeout::Proceed => Step::LastLook,
                OnTimeout::ShutdownSessions => Step::ShutdownSessions,
            }),
            (Step::ShutdownSessions, Done | TimedOut) => Some(Step::LastLook),

            (Step::LastLook, Done) if self.goal == Goal::Out => Some(Step::Release),
            (Step::LastLook, Done) if self.look == Look::BeforeReady => Some(Step::Ready),
            (Step::LastLook, Done) => {
                self.stopped = true;
                self.attempts = self.attempts.max(1);
                Some(Step::Restart)
            }
            (Step::LastLook, NotOut) if self.reasserts < REASSERTS => {
                self.reasserts += 1;
                Some(Step::Soften)
            }
            (Step::Soften | Step::LastLook, BelowGuard) if self.second_try == SecondTry::Unused && !self.stopped => {
                self.second_try = SecondTry::Due;
                Some(Step::Undo)
            }
            (Step::Undo, Done) if self.second_try == SecondTry::Due => {
                self.second_try = SecondTry::Used;
                Some(Step::Pause)
            }
            (Step::Pause, Done) => Some(Step::Soften),
            (Step::Pause, _) => self.release(Ending::Undone),

            (Step::Restart, Done) => Some(Step::Ready),
            (Step::Restart, Untouched) if self.attempts == 1 && !self.reverted && self.goal != Goal::Recover => {
                self.stopped = false;
                Some(self.undo())
            }
            (Step::Restart, _) => Some(self.again(policy)),
            (Step::Revert, Done) => Some(Step::Restart),
            (Step::Revert, _) => Some(self.stays_out()),

            (Step::Ready, Done) => {
                self.ending = Ending::Done;
                Some(Step::PutBack)
            }
            (Step::Ready, _) if self.may_be_in => Some(Step::PullBack),
            (Step::Ready, _) if self.only_proves => Some(Step::Alert),
            (Step::Ready, Interrupted | Untouched) if self.goal == Goal::In => self.release(Ending::Undone),
            (Step::Ready, _) if self.goal == Goal::In => Some(self.stays_out()),
            (Step::Ready, _) => Some(self.again(policy)),

            (Step::PutBack, Done) => Some(Step::AwaitIn),
            (Step::PutBack, Partly) => {
                self.ending = Ending::PartlyIn;
                Some(Step::AwaitIn)
            }
            // It may be in by half.
            (Step::PutBack, _) => Some(Step::PullBack),
            (Step::AwaitIn, Done) if self.ending == Ending::PartlyIn => Some(Step::Alert),
            (Step::AwaitIn, Done) => Some(Step::Release),
            (Step::AwaitIn, _) => Some(Step::PullBack),
            (Step::PullBack, Done) => Some(self.stays_out()),
            (Step::PullBack, _) => Some(self.stuck()),

            (Step::Undo, Done) => self.release(Ending::Undone),
            // What can't be reached is as we left it, and owing.
            (Step::Undo, Partly) => {
                self.ending = Ending::PartlyIn;
                Some(Step::Alert)
            }
            (Step::Undo, _) => Some(self.stuck()),
            (Step::Alert, _) => Some(Step::Release),
            (Step::Release, _) => None,

            (
                Step::Soften
                | Step::Settle
                | Step::TakeOut
                | Step::AwaitOut
                | Step::Drain
                | Step::ShutdownSessions
                | Step::LastLook,
                _,
            ) => Some(self.undo()),
        }
    }

    /// The app did not come up: once more, or the revert first, or it stays out.
    fn again(&mut self, policy: &Policy) -> Step {
        if self.reverted {
            self.stays_out()
        } else if self.attempts < policy.attempts {
            self.attempts += 1;
            Step::Restart
        } else if policy.can_revert {
            self.reverted = true;
            Step::Revert
        } else {
            self.stays_out()
        }
    }

    /// What is done where a run can't go on before the restart. Once an app may have been stopped it can't be put back unproven.
    fn undo(&mut self) -> Step {
        if self.stopped {
            return self.stays_out();
        }
        self.ending = Ending::Undone;
        Step::Undo
    }

    fn stays_out(&mut self) -> Step {
        self.ending = Ending::StaysOut;
        Step::Alert
    }

    fn stuck(&mut self) -> Step {
        self.ending = Ending::Stuck;
        Step::Alert
    }

    fn release(&mut self, ending: Ending) -> Option<Step> {
        self.ending = ending;
        Some(Step::Release)
    }

    fn end(&mut self, ending: Ending) -> Option<Step> {
        self.ending = ending;
        None
    }
}
