//! Promises of the core where a run dies at any step, and the runs that recover it die too.

use proptest::prelude::*;

use super::super::{Death, Ending, Goal, Outcome, Policy, Run, Step};
use super::{ENOUGH, goal, outcome, policy};

/// A run is born again so often at the most; then one gets to its end.
const LIVES: usize = 6;

/// Together with the properties without crashes more than 100,000.
const CASES: u32 = 25_000;

/// What happens at one step.
#[derive(Debug, Clone, Copy)]
enum Event {
    Comes(Outcome),
    /// Death within the step, before (`false`) or after its act was announced.
    Dies {
        announced: bool,
        rebooted: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => outcome().prop_map(Event::Comes),
        1 => (any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(announced, rebooted)| Event::Dies { announced, rebooted }),
    ]
}

/// One step that was taken, by the how-manieth run of the story.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Taken {
    life: usize,
    step: Step,
    /// `None` where it died there.
    outcome: Option<Outcome>,
    announced: bool,
    /// Whether, when it began, the stop signal may have been sent.
    signalled: bool,
}

struct Story {
    taken: Vec<Taken>,
    last: Run,
}

fn acts(step: Step) -> bool {
    !matches!(step, Step::Preflight | Step::Claim | Step::Release | Step::Ready | Step::Pause)
}

/// What somebody asks for, or what an earlier end left owing.
fn begun() -> impl Strategy<Value = Run> {
    let owing = prop_oneof![Just(Ending::StaysOut), Just(Ending::PartlyIn), Just(Ending::Stuck)];
    prop_oneof![3 => goal().prop_map(Run::new), 1 => owing.prop_map(Run::paying)]
}

/// A run with its recoveries, until one ends.
fn story(mut run: Run, policy: &Policy, events: &[Event]) -> Story {
    let mut taken: Vec<Taken> = Vec::new();
    // What is owing was left by a run that acted, and perhaps signalled.
    let owing = run.goal == Goal::Recover;
    let (mut life, mut acted, mut signalled) = (0, owing, owing);
    let mut born = run;
    let more = std::iter::repeat(Event::Comes(Outcome::Done));
    for event in events.iter().copied().chain(more).take(ENOUGH * LIVES) {
        let Some(step) = run.step else { break };
        let event = match event {
            Event::Dies { .. } if life + 1 == LIVES => Event::Comes(Outcome::Done),
            event => event,
        };
        let announced = match event {
            Event::Comes(outcome) => acts(step) && !(step == Step::Restart && outcome == Outcome::Untouched),
            Event::Dies { announced, .. } => announced && acts(step),
        };
        let outcome = if let Event::Comes(outcome) = event { Some(outcome) } else { None };
        taken.push(Taken { life, step, outcome, announced, signalled });
        acted |= announced;
        signalled |= announced && matches!(step, Step::Restart | Step::Revert);
        match event {
            Event::Comes(outcome) => run = run.after(outcome, policy),
            Event::Dies { rebooted, .. } => {
                life += 1;
                run = run.died(&born).recovery(Death { acted, signalled, rebooted });
                born = run;
            }
        }
    }
    Story { taken, last: run }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_run_and_its_recoveries_always_end(run in begun(), policy in policy(), events in events()) {
        prop_assert_eq!(story(run, &policy, &events).last.step, None);
    }

    #[test]
    fn no_app_is_stopped_but_by_a_run_that_has_just_seen_it_out(
        run in begun(), policy in policy(), events in events(),
    ) {
        let taken = story(run, &policy, &events).taken;
        for (index, Taken { life, .. }) in taken.iter().enumerate().filter(|(_, taken)| taken.step == Step::Restart) {
            let own = taken[..index].iter().rev().take_while(|before| before.life == *life);
            // Since the last look saw it out, nothing was done that puts it in.
            let look = own.into_iter().find(|before| {
                matches!(before.step, Step::LastLook | Step::PutBack | Step::Undo)
            });
            prop_assert_eq!(look.map(|look| (look.step, look.outcome)), Some((Step::LastLook, Some(Outcome::Done))));
        }
    }

    #[test]
    fn nothing_is_put_back_unproven_by_whoever_puts_it_back(
        run in begun(), policy in policy(), events in events(),
    ) {
        let taken = story(run, &policy, &events).taken;
        for (index, put_back) in taken.iter().enumerate().filter(|(_, taken)| taken.step == Step::PutBack) {
            let before = &taken[index - 1];
            prop_assert_eq!((before.life, before.step, before.outcome), (put_back.life, Step::Ready, Some(Outcome::Done)));
        }
    }

    #[test]
    fn an_app_whose_stop_may_have_been_sent_is_never_just_put_back(
        run in begun(), policy in policy(), events in events(),
    ) {
        let taken = story(run, &policy, &events).taken;
        // The one exception is a restart that is known to have left the app untouched; then nothing was announced here.
        prop_assert!(taken.iter().all(|taken| taken.step != Step::Undo || !taken.signalled));
    }

    #[test]
    fn a_run_that_is_done_has_put_back_what_held(run in begun(), policy in policy(), events in events()) {
        let Story { taken, last } = story(run, &policy, &events);
        if last.ending == Ending::Done && run.goal != Goal::Out {
            let held = taken.iter().rposition(|taken| taken.step == Step::AwaitIn);
            let has_held = held.is_some_and(|held| {
                taken[held].outcome == Some(Outcome::Done) && taken[held..].iter().all(|taken| taken.step != Step::PullBack)
            });
            prop_assert!(has_held);
        }
    }

    #[test]
    fn every_act_is_followed_by_its_undo_or_by_a_word_said_aloud(
        run in begun(), policy in policy(), events in events(),
    ) {
        let Story { taken, last } = story(run, &policy, &events);
        let out = |step| matches!(step, Step::Soften | Step::TakeOut | Step::PullBack);
        let Some(took) = taken.iter().rposition(|taken| taken.announced && out(taken.step)) else { return Ok(()) };
        let after = &taken[took..];
        let did = |step| after.iter().any(|taken| taken.step == step && taken.outcome == Some(Outcome::Done));
        match last.ending {
            Ending::Done if run.goal == Goal::Out && !did(Step::PutBack) => {
                prop_assert!(after.iter().any(|taken| taken.step == Step::LastLook && taken.outcome == Some(Outcome::Done)));
            }
            Ending::Done => prop_assert!(did(Step::PutBack)),
            Ending::Undone => prop_assert!(did(Step::Undo)),
            Ending::StaysOut | Ending::PartlyIn | Ending::Stuck => {
                prop_assert!(after.iter().any(|taken| taken.step == Step::Alert));
            }
            // A recovery that may not even begin leaves the debt in the journal, and its exit code says so.
            Ending::Refused | Ending::Held => {
                let own = taken.iter().filter(|step| step.life == taken[taken.len() - 1].life);
                let begins = |step| matches!(step, Step::Preflight | Step::Claim);
                prop_assert!(own.clone().any(|taken| begins(taken.step) && taken.outcome != Some(Outcome::Done)));
                prop_assert!(after[0].life < taken[taken.len() - 1].life);
            }
        }
    }
}

#[test]
fn a_run_that_died_before_its_first_act_owes_nothing() {
    let died = Run::new(Goal::Restart).recovery(Death { acted: false, signalled: false, rebooted: false });
    assert_eq!(steps(died), [Step::Preflight, Step::Claim, Step::Release]);
}

#[test]
fn a_run_that_died_while_it_drained_is_undone() {
    let died = dies_at(Step::Drain, false);
    assert_eq!(steps(died), [Step::Preflight, Step::Claim, Step::Undo, Step::Release]);
}

#[test]
fn a_run_that_died_while_it_restarted_is_finished() {
    use Step::{
        AwaitIn, AwaitOut, Claim, Drain, LastLook, Preflight, PutBack, Ready, Release, Restart, Settle, Soften, TakeOut,
    };
    let again = [Preflight, Claim, Soften, Settle, TakeOut, AwaitOut, Drain, LastLook];
    let finished = [again.as_slice(), &[Restart, Ready, PutBack, AwaitIn, Release]].concat();
    assert_eq!(steps(dies_at(Restart, true)), finished);
    let proven = [again.as_slice(), &[Ready, PutBack, AwaitIn, Release]].concat();
    assert_eq!(steps(dies_at(Ready, true)), proven);
    assert_eq!(steps(dies_at(AwaitIn, true)), [Preflight, Claim, Ready, PutBack, AwaitIn, Release]);
}

const POLICY: Policy = Policy { on_timeout: crate::config::settings::OnTimeout::Abort, attempts: 1, can_revert: false };

/// The run that recovers one that died at `step`.
fn dies_at(step: Step, signalled: bool) -> Run {
    let mut run = Run::new(Goal::Restart);
    while run.step != Some(step) {
        run = run.after(Outcome::Done, &POLICY);
    }
    run.recovery(Death { acted: true, signalled, rebooted: false })
}

fn steps(mut run: Run) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = run.step {
        steps.push(step);
        run = run.after(Outcome::Done, &POLICY);
    }
    steps
}
