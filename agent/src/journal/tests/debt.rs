//! What is owed after which runs.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;

use super::super::{Debt, Entry, Found, Journal, Record, app_dir, history};
use crate::config::settings::Label;
use crate::run::{Ending, Goal};

const READY: u32 = 0;
/// `SRV_ADMF_FMAINT`, by a command.
const MAINT: u32 = 1;

struct World(tempfile::TempDir);

/// One server as a run finds it: its name, admin bits and weight.
type Seen<'a> = (&'a str, u32, u32);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A run that finds `found` on each balancer and the redirect as `redirect`, announces an act, and ends so, or is killed.
    fn acts(&self, run: &str, goal: Goal, found: &[(&str, &[Seen<'_>])], redirect: bool, ending: Option<Ending>) {
        let act = Record::ActIntent { on: "lb1".into(), what: "set server srvs/webA state drain".into() };
        self.write(
            run,
            goal,
            found,
            redirect,
            [act].into_iter().chain(ending.map(|ending| Record::End { ending, out: false })),
        );
    }

    /// The same without an act, with the app found out.
    fn looks(&self, run: &str, goal: Goal, ending: Option<Ending>) {
        self.write(
            run,
            goal,
            &[("lb1", &[("srvs/webA", MAINT, 37)])],
            false,
            ending.map(|ending| Record::End { ending, out: false }),
        );
    }

    fn write(
        &self,
        run: &str,
        goal: Goal,
        found: &[(&str, &[Seen<'_>])],
        redirect: bool,
        rest: impl IntoIterator<Item = Record>,
    ) {
        let balancers = balancers(found);
        let found = Record::Found { balancers, redirect: Some(redirect), process: None };
        let records: Vec<_> = [begin(goal), found].into_iter().chain(rest).collect();
        Journal::open(self.0.path(), "web", run).unwrap().append(&records).unwrap();
    }

    /// A restart that took `web` out and could not bring it back.
    fn stays_out(&self, run: &str) {
        self.acts(run, Goal::Restart, &[("lb1", AS_IT_WAS)], true, Some(Ending::StaysOut));
    }

    fn debt(&self) -> Option<Debt> {
        history(self.0.path(), "web").unwrap().debt
    }
}

fn begin(goal: Goal) -> Record {
    Record::Begin { goal, who: "me".into(), reason: None, boot_id: "b".into(), until: None, recovers: None }
}

const AS_IT_WAS: &[Seen<'_>] = &[("srvs/webA", READY, 100), ("srvs/webA2", MAINT, 50)];

fn balancers(found: &[(&str, &[Seen<'_>])]) -> BTreeMap<Label, Vec<Found>> {
    let entry = |(server, admin, weight): &Seen<'_>| Found {
        server: server.parse().unwrap(),
        backup: false,
        admin: *admin,
        up: *admin == READY,
        weight: *weight,
        checked: true,
    };
    found.iter().map(|(name, seen)| (name.parse().unwrap(), seen.iter().map(entry).collect())).collect()
}

fn owed(run: &str) -> Option<Debt> {
    owed_after(run, Ending::StaysOut)
}

fn owed_after(run: &str, ending: Ending) -> Option<Debt> {
    Some(Debt { run: run.into(), ending, found: balancers(&[("lb1", AS_IT_WAS)]), redirect: Some(true) })
}

#[test]
fn without_a_journal_nothing_is_owed() {
    assert_eq!(World::new().debt(), None);
}

#[test]
fn every_run_that_leaves_an_app_otherwise_than_found_opens_a_debt() {
    for ending in [Some(Ending::StaysOut), Some(Ending::PartlyIn), Some(Ending::Stuck), None] {
        let world = World::new();
        world.acts("one", Goal::Restart, &[("lb1", AS_IT_WAS)], true, ending);
        assert_eq!(world.debt(), owed_after("one", ending.unwrap_or(Ending::StaysOut)), "{ending:?}");
    }
}

#[test]
fn a_run_that_changed_nothing_opens_no_debt() {
    for ending in [Ending::Done, Ending::Undone, Ending::Refused, Ending::Held] {
        let world = World::new();
        world.acts("one", Goal::Restart, &[("lb1", AS_IT_WAS)], true, Some(ending));
        assert_eq!(world.debt(), None, "{ending:?}");
    }
    let world = World::new();
    world.looks("killed before its first act", Goal::Restart, None);
    assert_eq!(world.debt(), None);
}

#[test]
fn runs_that_changed_nothing_or_failed_again_leave_a_debt_as_it_was_opened() {
    for goal in [Goal::Restart, Goal::In, Goal::Out] {
        for ending in [Ending::Undone, Ending::Refused, Ending::Held, Ending::StaysOut, Ending::PartlyIn, Ending::Stuck]
        {
            let world = World::new();
            world.stays_out("one");
            world.looks("two", goal, Some(ending));
            world.looks("three", Goal::In, None);
            let left = if matches!(ending, Ending::PartlyIn | Ending::Stuck) { ending } else { Ending::StaysOut };
            assert_eq!(world.debt(), owed_after("one", left), "{goal:?} {ending:?}");
        }
    }
}

#[test]
fn a_killed_run_is_owed_also_after_an_interrupted_in() {
    let world = World::new();
    world.acts("killed", Goal::Restart, &[("lb1", AS_IT_WAS)], true, None);
    world.looks("interrupted", Goal::In, Some(Ending::Undone));
    assert_eq!(world.debt(), owed("killed"));
}

#[test]
fn a_run_that_is_done_ends_the_debt_and_the_next_one_is_another() {
    for goal in [Goal::Restart, Goal::In, Goal::Out] {
        let world = World::new();
        world.stays_out("one");
        world.looks("two", goal, Some(Ending::Done));
        assert_eq!(world.debt(), None, "{goal:?}");
        world.stays_out("three");
        assert_eq!(world.debt(), owed("three"), "{goal:?}");
    }
}

#[test]
fn what_only_a_later_run_of_the_debt_could_see_is_owed_as_that_run_found_it() {
    let world = World::new();
    world.stays_out("without lb2");
    let later: [(&str, &[Seen<'_>]); 2] =
        [("lb1", &[("srvs/webA", MAINT, 37), ("srvs/new", READY, 7)]), ("lb2", &[("srvs/webA", READY, 9)])];
    world.acts("with lb2", Goal::Restart, &later, false, Some(Ending::StaysOut));
    let lb1 = [AS_IT_WAS, &[("srvs/new", READY, 7)]].concat();
    let all = balancers(&[("lb1", &lb1), ("lb2", &[("srvs/webA", READY, 9)])]);
    assert_eq!(
        world.debt(),
        Some(Debt { run: "without lb2".into(), ending: Ending::StaysOut, found: all, redirect: Some(true) })
    );
}

#[test]
fn an_in_that_was_killed_while_the_weight_rose_owes_the_full_weight_and_every_entry() {
    let world = World::new();
    world.acts("out", Goal::Out, &[("lb1", AS_IT_WAS)], true, Some(Ending::Done));
    let out: &[Seen<'_>] = &[("srvs/webA", MAINT, 100), ("srvs/webA2", MAINT, 50)];
    world.acts("killed", Goal::In, &[("lb1", out)], false, None);
    world.acts("again", Goal::In, &[("lb1", &[("srvs/webA", READY, 37)])], true, Some(Ending::StaysOut));
    let all = balancers(&[("lb1", &[("srvs/webA", READY, 100), ("srvs/webA2", READY, 50)])]);
    assert_eq!(
        world.debt(),
        Some(Debt { run: "killed".into(), ending: Ending::StaysOut, found: all, redirect: Some(true) })
    );
}

#[test]
fn a_long_journal_is_folded_one_run_at_a_time() {
    let world = World::new();
    world.stays_out("first");
    let line =
        |run, seq, record| Entry { v: 1, seq, run: format!("run {run}"), at: "t".into(), record }.to_line().unwrap();
    let act = |seq| Record::ActIntent { on: "lb1".into(), what: format!("set weight srvs/webA {seq}") };
    let end = || Record::End { ending: Ending::Undone, out: false };
    let run = |run| {
        let acts = (2..1000).map(move |seq| line(run, seq, act(seq)));
        [line(run, 1, begin(Goal::Restart))].into_iter().chain(acts).chain([line(run, 1000, end())])
    };
    let lines: String = (0..100).flat_map(run).collect();
    let path = app_dir(world.0.path(), "web").join("journal");
    OpenOptions::new().append(true).open(path).unwrap().write_all(lines.as_bytes()).unwrap();

    let history = history(world.0.path(), "web").unwrap();
    assert_eq!(history.debt, owed("first"));
    let last = history.last().map(|last| (last.run.as_str(), last.records.len()));
    assert_eq!(last, Some(("run 99", 1000)));
}
