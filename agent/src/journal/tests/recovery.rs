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
fn an_app_that_is_in_is_known_to_be_so_in_its_boot() {
    let world = World::new();
    world.run("in", asked(Goal::In).into_iter().chain([end(Ending::Done)]));
    assert_eq!(world.history().in_since_boot(), Some(("in".to_owned(), BOOT.to_owned())));
    world.run("out", asked(Goal::Out).into_iter().chain([Record::End { ending: Ending::Done, out: true }]));
    assert_eq!(world.history().in_since_boot(), None);
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
fn the_process_that_came_last_is_the_one_before_the_next_restart() {
    let world = World::new();
    let process = |pid| Identity { main: Process { pid, start_time: 1 }, invocation: None };
    let restarted = [7, 8].map(|pid| Record::Restarted { process: process(pid) });
    world.run("one", asked(Goal::Restart).into_iter().chain(until(Step::Restart)).chain(restarted));
    assert_eq!(world.history().restarted(), Some(&process(8)));
}
