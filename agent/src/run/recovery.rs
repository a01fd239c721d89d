//! Where a run goes on that died, or whose end left something owing: the first step of the run that recovers it.

use super::next::{Look, Run, SecondTry};
use super::step::{Ending, Goal, Step};

/// What the journal and the host tell of an interrupted run, beside its outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// Whether it announced any act. If not, nothing was touched.
    pub acted: bool,
    /// Whether the app may have got its stop or reload signal.
    pub signalled: bool,
    /// Whether the host was booted since: rules are gone, and every process is another.
    pub rebooted: bool,
}

impl Run {
    /// What this run, which was `born` so and died, leaves to be recovered. A recovery that could not begin leaves what it was to
    /// recover.
    #[must_use]
    pub fn died(self, born: &Self) -> Self {
        let could_not_begin = matches!(self.ending, Ending::Refused | Ending::Held);
        if could_not_begin && self.goal == Goal::Recover { *born } else { self }
    }

    /// The run that finishes or undoes this one, which died.
    ///
    /// | it died | the recovery |
    /// |---|---|
    /// | before its first act, or when all was over | releases |
    /// | before its first step, being a recovery itself | begins where that was to begin |
    /// | before the stop signal | undoes; after a reboot, proves and puts back |
    /// | from the stop signal until the proof | takes out again, finishes the restart, proves, puts back |
    /// | while it put back | proves and puts back, or else takes out again |
    /// | while it took out an app that did not hold, or raised the alert | does that again |
    #[must_use]
    pub fn recovery(&self, death: Death) -> Self {
        let run = Self { goal: Goal::Recover, step: Some(Step::Preflight), second_try: SecondTry::Used, ..*self };
        let from = |first| Self { first, ..run };
        let stopped = |look| Self { stopped: true, look, ..from(Step::Soften) };
        let unsignalled = !death.signalled && self.attempts <= 1 && !self.reverted;
        match self.step {
            Some(_) if !death.acted => Self { ending: Ending::Undone, ..from(Step::Release) },
            Some(Step::Preflight | Step::Claim) if self.first == Step::Undo && death.rebooted => {
                run.proving(Ending::StaysOut)
            }
            Some(Step::Preflight | Step::Claim) if self.goal == Goal::Recover => run,
            None | Some(Step::Release) if matches!(self.ending, Ending::Refused | Ending::Held) => {
                Self { ending: Ending::Undone, ..from(Step::Release) }
            }
            None | Some(Step::Release) => from(Step::Release),
            Some(step @ (Step::PullBack | Step::Alert)) => from(step),
            Some(Step::PutBack | Step::AwaitIn) => {
                Self { may_be_in: true, only_proves: false, ending: Ending::StaysOut, ..from(Step::Ready) }
            }
            Some(Step::Ready) if self.may_be_in || self.only_proves => from(Step::Ready),
            Some(Step::Ready) => stopped(Look::BeforeReady),
            // The revert is run again if the restart brings no healthy app either.
            Some(Step::Revert) => Self { reverted: false, ..stopped(Look::BeforeRestart) },
            Some(Step::Restart) if !unsignalled => stopped(Look::BeforeRestart),
            Some(step) if self.stopped && step != Step::Restart => from(Step::Soften),
            Some(_) if death.rebooted => Self { stopped: false, ..run.proving(Ending::StaysOut) },
            Some(_) => Self { stopped: false, ..from(Step::Undo) },
        }
    }

    /// The run that pays what one with this ending left owing: it proves and puts back, and else leaves things as they are.
    #[must_use]
    pub fn paying(ending: Ending) -> Self {
        Self::new(Goal::Recover).proving(ending)
    }

    /// What follows the claim.
    pub fn first_step(&self) -> Step {
        self.first
    }

    /// Whether it is to finish a restart, so that the app may be stopped once more.
    pub fn finishes_restart(&self) -> bool {
        self.first == Step::Soften && self.look == Look::BeforeRestart
    }

    fn proving(self, ending: Ending) -> Self {
        Self { ending, only_proves: true, first: Step::Ready, ..self }
    }
}
