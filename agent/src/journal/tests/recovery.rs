//! What a journal tells of runs that died, of those that recovered them, and of leases.

use std::collections::BTreeMap;

use super::super::{Found, History, Journal, Record, Recovers, Until, history};
use crate::process::Process;
use crate::run::{Ending, Goal, Outcome, Policy, Run, Step};
use crate::service::{Identity, Note};

const POLICY: Policy = Policy { on_timeout: crate::config::settings::OnTimeout::Abort, attempts: 1, can_revert: false };
const BOOT: &str = "this boot";

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, run: &str, records: impl IntoIterator<Item = Record>) {
        let records: Vec<_> = records.into_iter().collect();
        Journal::open(self.0.path(), "web", run).unwrap().append(&records).unwrap();
    }

    fn history(&self) -> History {
        history(self.0.path(), "web").unwrap()
    }
}

fn begin(goal: Goal, recovers: Option<Recovers>, until: Option<Until>) -> [Record; 2] {
    let begin = Record::Begin { goal, who: "me".into(), reason: None, boot_id: BOOT.into(), until, recovers };
    let found =
        Found { server: "srvs/webA".parse().unwrap(), backup: false, admin: 0, up: true, weight: 100, checked: true };
    let balancers = BTreeMap::from([("lb1".parse().unwrap(), vec![found])]);
    [begin, Record::Found { balancers, redirect: Some(true), process: None }]
}

fn asked(goal: Goal) -> [Record; 2] {
    begin(goal, None, None)
}

/// The outcomes of the steps up to `last`, whose intent is all that was written of it.
fn until(last: Step) -> Vec<Record> {
    use Step::{AwaitOut, Drain, LastLook, Ready, Restart, Settle, Soften, TakeOut};
    let mut records = vec![Record::StepOutcome { step: Step::Claim, outcome: Outcome::Done, why: None }];
    for step in [Soften, Settle, TakeOut, AwaitOut, Drain, LastLook, Restart, Ready] {
        records.push(Record::StepIntent { step });
        if step == Soften {
            records.push(Record::ActIntent { on: "lb1".into(), what: "set server srvs/webA state drain".into() });
        }
        if step == last {
            break;
        }
        records.push(Record::StepOutcome { step, outcome: Outcome::Done, why: None });
    }
    records
}

fn end(ending: Ending) -> Record {
    Record::End { ending, out: false }
}

fn signalling() -> Record {
    Record::Service { note: Note::Signalling { what: "TERM to 7".into() } }
}

/// Where the run that recovers the last one begins.
fn recovery(history: &History) -> Run {
    history.interrupted().unwrap().state(&POLICY).unwrap().recovery(history.death(BOOT))
}

#[test]
fn a_run_that_died_is_interrupted_until_a_recovery_has_ended() {
    let world = World::new();
    world.run("one", asked(Goal::Restart).into_iter().chain(until(Step::Drain)));
    let first = world.history();
    assert_eq!(recovery(&first).first_step(), Step::Undo);
    let recovers = Some(Recovers { run: "one".into(), from: recovery(&first) });
    // Its recovery dies as well, before it has done anything.
    world.run("two", begin(Goal::Recover, recovers.clone(), None));
    assert_eq!(world.history().interrupted().map(|run| run.run.as_str()), Some("two"));
    assert_eq!(recovery(&world.history()).first_step(), Step::Undo);
    // One that could not begin changes nothing.
    world.run("three", begin(Goal::Recover, recovers.clone(), None).into_iter().chain([end(Ending::Held)]));
    assert_eq!(world.history().interrupted().map(|run| run.run.as_str()), Some("two"));
    assert!(world.history().debt.is_some());
    world.run("four", begin(Goal::Recover, recovers, None).into_iter().chain([end(Ending::Undone)]));
    assert_eq!(world.history().interrupted(), None);
    assert_eq!(world.history().debt, None);
}

#[test]
fn a_recovery_that_could_not_begin_and_died_forgets_nothing() {
    let world = World::new();
    world.run("one", asked(Goal::Restart).into_iter().chain(until(Step::Drain)));
    let recovers = Some(Recovers { run: "one".into(), from: recovery(&world.history()) });
    let refused = Record::StepOutcome { step: Step::Claim, outcome: Outcome::Failed, why: None };
    // Its end could not be written.
    world.run("two", begin(Goal::Recover, recovers, None).into_iter().chain([refused]));
    assert_eq!(recovery(&world.history()).first_step(), Step::Undo);
}

#[test]
fn a_refused_run_whose_end_could_not_be_written_has_nothing_undone() {
    let world = World::new();
    let outcome = |step, outcome| Record::StepOutcome { step, outcome, why: None };
    let steps = [outcome(Step::Claim, Outcome::Failed), outcome(Step::Release, Outcome::Done)];
    world.run("one", asked(Goal::Restart).into_iter().chain(steps));
    let recovery = recovery(&world.history());
    assert_eq!((recovery.first_step(), recovery.ending), (Step::Release, Ending::Undone));
}

#[test]
fn an_undo_of_a_run_comes_back_to_what_was_owed_before_it() {
    let world = World::new();
    world.run("stays out", asked(Goal::Restart).into_iter().chain(until(Step::Soften)).chain([end(Ending::StaysOut)]));
    let owed = world.history().debt;
    assert!(owed.is_some());
    world.run("dies", asked(Goal::Restart).into_iter().chain(until(Step::Drain)));
    let recovers = Some(Recovers { run: "dies".into(), from: recovery(&world.history()) });
    world.run("undoes", begin(Goal::Recover, recovers, None).into_iter().chain([end(Ending::Undone)]));
    assert_eq!(world.history().debt, owed);
}

#[test]
fn only_a_word_of_the_service_driver_makes_a_restart_one_that_is_finished() {
    let world = World::new();
    world.run("unsignalled", asked(Goal::Restart).into_iter().chain(until(Step::Restart)));
    assert_eq!(recovery(&world.history()).first_step(), Step::Undo);
    let world = World::new();
    world.run("signalled", asked(Goal::Restart).into_iter().chain(until(Step::Restart)).chain([signalling()]));
    assert_eq!(recovery(&world.history()).first_step(), Step::Soften);
    assert_eq!(world.history().notes().count(), 1);
    // What an alert runs is no word of that kind.
    let world = World::new();
    let alert = [Record::StepIntent { step: Step::Alert }, signalling()];
    world.run("alerted", asked(Goal::Restart).into_iter().chain(until(Step::Soften)).chain(alert));
    assert_eq!(world.history().notes().count(), 0);
}

#[test]
fn a_step_that_a_person_broke_off_is_where_it_died() {
    let world = World::new();
    let broken = Record::StepOutcome { step: Step::Restart, outcome: Outcome::Interrupted, why: None };
    let records = asked(Goal::Restart).into_iter().chain(until(Step::Restart)).chain([signalling(), broken]);
    world.run("one", records);
    assert_eq!(world.history().interrupted().unwrap().state(&POLICY).unwrap().step, Some(Step::Restart));
}

#[test]
fn another_boot_is_noticed() {
    let world = World::new();
    world.run("one", asked(Goal::Restart).into_iter().chain(until(Step::Drain)));
    let history = world.history();
    assert!(!history.death(BOOT).rebooted);
    assert!(history.death("the next").rebooted);
    let run = history.interrupted().unwrap().state(&POLICY).unwrap().recovery(history.death("the next"));
    assert_eq!(run.first_step(), Step::Ready);
}

#[test]
fn an_app_that_is_in_is_known_to_be_so_in_its_boot_until_it_is_taken_out() {
    let world = World::new();
    let since = || world.history().in_since.map(|since| (since.run, since.boot_id));
    let known = |run: &str| Some((run.to_owned(), BOOT.to_owned()));
    // Undone, it is as it was found, and that was in.
    world.run("undone", asked(Goal::Restart).into_iter().chain([end(Ending::Undone)]));
    assert_eq!(since(), known("undone"));
    world.run("in", asked(Goal::In).into_iter().chain([end(Ending::Done)]));
    assert_eq!(since(), known("in"));
    world.run("refused", asked(Goal::Restart).into_iter().chain([end(Ending::Refused)]));
    assert_eq!(since(), known("in"));
    world.run("out", asked(Goal::Out).into_iter().chain([Record::End { ending: Ending::Done, out: true }]));
    assert_eq!(since(), None);
    world.run("undone", asked(Goal::In).into_iter().chain([end(Ending::Undone)]));
    assert_eq!(since(), None);
}

#[test]
fn an_out_that_a_recovery_ends_is_no_app_that_is_in() {
    let world = World::new();
    world.run("out", asked(Goal::Out).into_iter().chain(until(Step::LastLook)));
    let recovers = Some(Recovers { run: "out".into(), from: recovery(&world.history()) });
    world.run("ends it", begin(Goal::Recover, recovers, None).into_iter().chain([end(Ending::Done)]));
    assert!(world.history().lease.is_some());
    assert_eq!(world.history().in_since, None);
}

#[test]
fn maintenance_is_ours_where_a_run_of_the_chain_or_one_before_it_may_have_set_it() {
    let takes_none = || asked(Goal::Restart).into_iter().chain(until(Step::Soften));
    let world = World::new();
    world.run("softens", takes_none());
    assert!(!world.history().may_have_taken_out());
    world.run("stays out", asked(Goal::Restart).into_iter().chain(until(Step::TakeOut)).chain([end(Ending::StaysOut)]));
    world.run("softens", takes_none());
    assert!(world.history().may_have_taken_out());

    let world = World::new();
    world.run("out", asked(Goal::Out).into_iter().chain([Record::End { ending: Ending::Done, out: true }]));
    world.run("softens", takes_none());
    assert!(world.history().may_have_taken_out());

    // Whoever says `in` says so of all maintenance.
    let world = World::new();
    world.run("in", asked(Goal::In).into_iter().chain([Record::StepIntent { step: Step::PutBack }]));
    assert!(world.history().may_have_taken_out());
}

#[test]
fn what_a_recovery_found_set_by_somebody_else_is_what_the_next_one_restores() {
    let world = World::new();
    world.run("dies", asked(Goal::Restart).into_iter().chain(until(Step::Soften)));
    let recovers = Some(Recovers { run: "dies".into(), from: recovery(&world.history()) });
    let mut finds_maintenance = begin(Goal::Recover, recovers, None);
    if let Record::Found { balancers, .. } = &mut finds_maintenance[1] {
        balancers.values_mut().flatten().for_each(|found| found.admin = 1);
    }
    world.run("dies too", finds_maintenance);
    let admin = |history: &History| history.found_on("lb1").map(|found| found[0].admin);
    assert_eq!(admin(&world.history()), Some(1));
    assert_eq!(world.history().found_on("lb2"), None);
}

#[test]
fn what_a_recovery_after_a_reboot_could_not_restore_is_owed() {
    let world = World::new();
    world.run("in", asked(Goal::In).into_iter().chain([end(Ending::Done)]));
    let recovers = Some(Recovers { run: "in".into(), from: Run::paying(Ending::StaysOut) });
    let after = begin(Goal::Recover, recovers, None).into_iter().chain([end(Ending::StaysOut)]);
    world.run("could not", after);
    let debt = world.history().debt.unwrap();
    assert_eq!((debt.ending, debt.redirect), (Ending::StaysOut, Some(true)));
}

#[test]
fn a_lease_lasts_until_the_app_is_in_again() {
    let world = World::new();
    let out = || Record::End { ending: Ending::Done, out: true };
    let for_a_minute = Until::after(std::time::Duration::from_mins(1));
    world.run("out", begin(Goal::Out, None, Some(for_a_minute.clone())).into_iter().chain([out()]));
    let lease = world.history().lease.unwrap();
    assert_eq!((lease.run.as_str(), lease.until.as_ref()), ("out", Some(&for_a_minute)));
    // A restart leaves it out, as it found it.
    world.run("restart", asked(Goal::Restart).into_iter().chain([out()]));
    world.run("refused", asked(Goal::In).into_iter().chain([end(Ending::Undone)]));
    assert!(world.history().lease.is_some());
    world.run("in", asked(Goal::In).into_iter().chain([end(Ending::Done)]));
    assert_eq!(world.history().lease, None);
}

#[test]
fn the_process_that_was_seen_last_is_the_one_before_the_restart_that_is_finished() {
    let process = |pid| Identity { main: Process { pid, start_time: 1 }, invocation: None };
    let restarting = |pid| Record::Restarting { process: Some(process(pid)) };
    let restarted = |pid| Record::Restarted { process: process(pid) };
    let after = |records: &[Record]| {
        let world = World::new();
        world.run("one", asked(Goal::Restart).into_iter().chain(until(Step::Restart)).chain(records.iter().cloned()));
        world.history().process()
    };
    assert_eq!(after(&[]), None);
    assert_eq!(after(&[restarting(7)]), Some(process(7)));
    assert_eq!(after(&[restarting(7), restarted(8)]), Some(process(8)));
    assert_eq!(after(&[restarting(7), restarted(8), restarting(9)]), Some(process(9)));
    assert_eq!(after(&[Record::Restarting { process: None }]), None);
}
