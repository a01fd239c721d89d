//! Promises of the core, over random outcomes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod crashes;

use proptest::prelude::*;

use super::{Ending, Goal, Outcome, Policy, Run, Step};
use crate::config::settings::OnTimeout;

/// More steps than any run can take with the attempts used here.
const ENOUGH: usize = 100;

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Done),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Interrupted),
        1 => Just(Outcome::Held),
        1 => Just(Outcome::BelowGuard),
        1 => Just(Outcome::NotOut),
        1 => Just(Outcome::Untouched),
        1 => Just(Outcome::Partly),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let on_timeout = prop_oneof![Just(OnTimeout::Abort), Just(OnTimeout::Proceed), Just(OnTimeout::ShutdownSessions)];
    (on_timeout, 1..4_u32, any::<bool>()).prop_map(|(on_timeout, attempts, can_revert)| Policy {
        on_timeout,
        attempts,
        can_revert,
    })
}

fn goal() -> impl Strategy<Value = Goal> {
    prop_oneof![4 => Just(Goal::Restart), 1 => Just(Goal::Out), 1 => Just(Goal::In)]
}

/// The steps that a run takes, with what came of each, and how it ends.
fn trace(goal: Goal, policy: &Policy, outcomes: &[Outcome]) -> (Vec<(Step, Outcome)>, Run) {
    let mut run = Run::new(goal);
    let mut steps = Vec::new();
    for outcome in outcomes.iter().copied().chain(std::iter::repeat(Outcome::Done)).take(ENOUGH) {
        let Some(step) = run.step else { break };
        steps.push((step, outcome));
        run = run.after(outcome, policy);
    }
    (steps, run)
}

fn place(steps: &[(Step, Outcome)], step: Step) -> Option<usize> {
    steps.iter().position(|(taken, _)| *taken == step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_run_always_ends(goal in goal(), policy in policy(), outcomes in prop::collection::vec(outcome(), 0..40)) {
        let (_, run) = trace(goal, &policy, &outcomes);
        prop_assert_eq!(run.step, None);
    }

    #[test]
    fn the_app_is_stopped_only_after_a_last_look_saw_it_out(
        goal in goal(), policy in policy(), outcomes in prop::collection::vec(outcome(), 0..40),
    ) {
        let (steps, _) = trace(goal, &policy, &outcomes);
        if let Some(first) = place(&steps, Step::Restart) {
            prop_assert_eq!(goal, Goal::Restart);
            prop_assert_eq!(steps[first - 1], (Step::LastLook, Outcome::Done));
            let drained = steps[..first].iter().any(|taken| match taken {
                (Step::Drain | Step::ShutdownSessions, Outcome::Done) => true,
                (Step::Drain | Step::ShutdownSessions, Outcome::TimedOut) => policy.on_timeout != OnTimeout::Abort,
                _ => false,
            });
            prop_assert!(drained);
        }
    }

    #[test]
    fn nothing_is_put_back_unproven(
        goal in goal(), policy in policy(), outcomes in prop::collection::vec(outcome(), 0..40),
    ) {
        let (steps, _) = trace(goal, &policy, &outcomes);
        for (index, (step, _)) in steps.iter().enumerate() {
            if *step == Step::PutBack {
                prop_assert_eq!(steps[index - 1], (Step::Ready, Outcome::Done));
            }
        }
    }

    #[test]
    fn what_was_taken_out_without_a_stop_is_undone(
        policy in policy(), outcomes in prop::collection::vec(outcome(), 0..40),
    ) {
        let (steps, run) = trace(Goal::Restart, &policy, &outcomes);
        let Some(softened) = place(&steps, Step::Soften) else { return Ok(()) };
        let touched = steps.iter().enumerate().any(|(index, (step, outcome))| {
            *step == Step::Restart && !(*outcome == Outcome::Untouched && index > 0 && steps[index - 1].0 == Step::LastLook)
        });
        if !touched {
            let undone = steps[softened..].iter().any(|(step, _)| *step == Step::Undo);
            prop_assert!(undone);
            prop_assert!(matches!(run.ending, Ending::Undone | Ending::PartlyIn | Ending::Stuck));
        }
    }

    #[test]
    fn an_app_that_was_stopped_ends_in_and_proven_or_out_and_said_aloud(
        policy in policy(), outcomes in prop::collection::vec(outcome(), 0..40),
    ) {
        let (steps, run) = trace(Goal::Restart, &policy, &outcomes);
        if run.stopped {
            match run.ending {
                Ending::Done => {
                    let last_in = steps.iter().rposition(|taken| *taken == (Step::AwaitIn, Outcome::Done));
                    prop_assert!(last_in.is_some());
                    prop_assert!(steps[last_in.unwrap()..].iter().all(|(step, _)| *step != Step::PullBack));
                }
                Ending::StaysOut | Ending::PartlyIn | Ending::Stuck => {
                    prop_assert!(place(&steps, Step::Alert).is_some());
                }
                ending => prop_assert!(false, "ended {:?}", ending),
            }
        }
    }

    #[test]
    fn a_refused_or_held_run_has_touched_nothing(
        goal in goal(), policy in policy(), outcomes in prop::collection::vec(outcome(), 0..40),
    ) {
        let (steps, run) = trace(goal, &policy, &outcomes);
        if matches!(run.ending, Ending::Refused | Ending::Held) {
            prop_assert!(steps.iter().all(|(step, _)| matches!(step, Step::Preflight | Step::Claim | Step::Release)));
        }
    }
}

#[test]
fn a_run_without_trouble_takes_the_steps_in_order() {
    let policy = Policy { on_timeout: OnTimeout::Abort, attempts: 1, can_revert: false };
    let (steps, run) = trace(Goal::Restart, &policy, &[]);
    let names: Vec<_> = steps.iter().map(|(step, _)| step.name()).collect();
    assert_eq!(
        names,
        [
            "preflight",
            "claim",
            "soften",
            "settle",
            "take out",
            "await out",
            "drain",
            "last look",
            "restart",
            "ready",
            "put back",
            "await in",
            "release",
        ]
    );
    assert_eq!(run.ending, Ending::Done);
}

#[test]
fn an_app_that_never_becomes_ready_is_tried_again_then_reverted_once_then_stays_out() {
    let policy = Policy { on_timeout: OnTimeout::Abort, attempts: 2, can_revert: true };
    let mut run = Run::new(Goal::Restart);
    let mut steps = Vec::new();
    while let Some(step) = run.step {
        steps.push(step);
        run = run.after(if step == Step::Ready { Outcome::TimedOut } else { Outcome::Done }, &policy);
    }
    let tail = &steps[8..];
    use Step::{Alert, Ready, Release, Restart, Revert};
    assert_eq!(tail, [Restart, Ready, Restart, Ready, Revert, Restart, Ready, Alert, Release]);
    assert_eq!(run.ending, Ending::StaysOut);
}

#[test]
fn a_guard_that_fails_at_the_last_look_is_tried_once_more_then_undone() {
    let policy = Policy { on_timeout: OnTimeout::Abort, attempts: 1, can_revert: false };
    let mut run = Run::new(Goal::Restart);
    let mut undone = 0;
    while let Some(step) = run.step {
        undone += u32::from(step == Step::Undo);
        run = run.after(if step == Step::LastLook { Outcome::BelowGuard } else { Outcome::Done }, &policy);
    }
    assert_eq!(undone, 2);
    assert_eq!(run.ending, Ending::Undone);
}
