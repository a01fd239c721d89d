//! What an app's journal asks a keeper for.

use crate::journal::{Debt, History, Last, Lease, Record};
use crate::run::{Ending, Outcome};

/// What is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Duty {
    /// Nothing: the app is in, or a person is needed, who must not be disturbed.
    Nothing,
    /// This run died; it is to be finished or undone.
    Finish(String),
    /// The app stays out.
    KeepOut {
        /// What is ours, and how it was before.
        debt: Debt,
        /// Who wants that, where somebody does; otherwise it was not proven.
        lease: Option<Box<Lease>>,
    },
    /// The app is proven, and not back everywhere.
    Pay(Debt),
}

impl Duty {
    /// By an app's history, while no run is at it.
    pub fn of(history: &History) -> Self {
        if let Some(run) = history.interrupted() {
            return if was_broken_off(run) { Self::Nothing } else { Self::Finish(run.run.clone()) };
        }
        let lease = history.lease.clone();
        if let Some(running) = lease.clone().filter(|lease| !lease.is_over()) {
            return Self::KeepOut { debt: running.owes, lease: lease.map(Box::new) };
        }
        match history.owing() {
            Some(debt) if debt.ending == Ending::PartlyIn => Self::Pay(debt),
            Some(debt) if debt.ending != Ending::Stuck => Self::KeepOut { debt, lease: lease.map(Box::new) },
            _ => Self::Nothing,
        }
    }
}

/// Whether a person stopped it at once, by a second Ctrl-C, and so does not want it finished by another.
fn was_broken_off(run: &Last) -> bool {
    matches!(run.records.last(), Some(Record::StepOutcome { outcome: Outcome::Interrupted, .. }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;
    use crate::journal::{Entry, Found, Journal, Record, Recovers, Until, app_dir, history};
    use crate::process;
    use crate::run::{Goal, Run, Step};

    /// `SRV_ADMF_FMAINT`, by a command.
    const MAINT: u32 = 1;

    struct World(tempfile::TempDir);

    impl World {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// A run that finds the app's entry with these admin bits, acts, and ends so.
        fn ran(&self, goal: Goal, lease: Option<Duration>, admin: u32, ending: Option<Ending>, out: bool) -> &Self {
            let recovers = (goal == Goal::Recover)
                .then(|| Recovers { run: "another".into(), from: Run::paying(Ending::StaysOut) });
            let boot_id = process::boot_id().unwrap();
            let until = lease.map(Until::after);
            let begin = Record::Begin { goal, who: "me".into(), reason: None, boot_id, until, recovers };
            let entry = Found {
                server: "srvs/webA".parse().unwrap(),
                backup: false,
                admin,
                up: admin == 0,
                weight: 100,
                checked: true,
            };
            let balancers = [("lb1".parse().unwrap(), vec![entry])].into();
            let found = Record::Found { balancers, redirect: Some(admin == 0), process: None };
            let act = Record::ActIntent { on: "lb1".into(), what: "act".into() };
            let run = format!("{:016x}", rand::random::<u64>());
            let mut journal = Journal::open(self.0.path(), "web", &run).unwrap();
            journal.append(&[begin, found, act]).unwrap();
            journal.append(&ending.map(|ending| Record::End { ending, out }).into_iter().collect::<Vec<_>>()).unwrap();
            self
        }

        /// A second Ctrl-C, as the last word of the run before.
        fn broken_off(&self) -> &Self {
            let run = history(self.0.path(), "web").unwrap().last().unwrap().run.clone();
            let why = None;
            let record = Record::StepOutcome { step: Step::Restart, outcome: Outcome::Interrupted, why };
            let line = Entry { v: 1, seq: 9, run, at: "now".into(), record }.to_line().unwrap();
            let path = app_dir(self.0.path(), "web").join("journal");
            OpenOptions::new().append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
            self
        }

        fn out(&self, lease: Option<Duration>, admin: u32) -> &Self {
            self.ran(Goal::Out, lease, admin, Some(Ending::Done), true)
        }

        fn duty(&self) -> Duty {
            Duty::of(&history(self.0.path(), "web").unwrap())
        }

        /// The admin bits that the end of what is kept out puts back, and whether somebody wants it out.
        fn kept(&self) -> Option<(u32, bool)> {
            let Duty::KeepOut { debt, lease } = self.duty() else { return None };
            Some((debt.found.values().next()?.first()?.admin, lease.is_some()))
        }
    }

    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));
    const OVER: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn an_out_is_kept_until_a_run_puts_the_app_in() {
        let world = World::new();
        assert_eq!(world.duty(), Duty::Nothing);
        assert_eq!(world.out(HOUR, 0).kept(), Some((0, true)));
        // Found out, a restart leaves it so; what failed changes nothing.
        assert_eq!(world.ran(Goal::Restart, None, MAINT, Some(Ending::Done), true).kept(), Some((0, true)));
        assert_eq!(world.ran(Goal::In, None, MAINT, Some(Ending::Undone), false).kept(), Some((0, true)));
        assert_eq!(world.ran(Goal::Restart, None, MAINT, Some(Ending::StaysOut), false).kept(), Some((0, true)));
        assert_eq!(world.ran(Goal::In, None, MAINT, Some(Ending::Done), false).duty(), Duty::Nothing);
    }

    #[test]
    fn a_second_out_owes_what_the_first_found_and_one_after_a_failure_what_that_found() {
        assert_eq!(World::new().out(HOUR, 0).out(None, MAINT).kept(), Some((0, true)));
        let world = World::new();
        world.ran(Goal::Restart, None, 0, Some(Ending::StaysOut), false);
        assert_eq!(world.kept(), Some((0, false)));
        assert_eq!(world.out(HOUR, MAINT).kept(), Some((0, true)));
        // What somebody else had in maintenance is not put back.
        assert_eq!(World::new().out(HOUR, MAINT).kept(), Some((MAINT, true)));
    }

    #[test]
    fn a_lease_that_has_run_out_is_owing_until_a_recovery_puts_the_app_in() {
        let world = World::new();
        world.out(OVER, 0);
        let owing = history(world.0.path(), "web").unwrap().owing().unwrap();
        assert_eq!(owing.ending, Ending::StaysOut);
        assert_eq!(world.kept(), Some((0, true)));
        assert_eq!(world.ran(Goal::Recover, None, 0, Some(Ending::StaysOut), false).kept(), Some((0, true)));
        assert!(matches!(world.ran(Goal::Recover, None, 0, Some(Ending::PartlyIn), false).duty(), Duty::Pay(_)));
        assert_eq!(world.ran(Goal::Recover, None, 0, Some(Ending::Done), false).duty(), Duty::Nothing);
        assert_eq!(history(world.0.path(), "web").unwrap().lease, None);
    }

    #[test]
    fn a_stuck_app_is_left_to_a_person_and_a_dead_run_is_to_be_finished() {
        let world = World::new();
        assert_eq!(world.ran(Goal::Restart, None, 0, Some(Ending::Stuck), false).duty(), Duty::Nothing);
        assert!(matches!(world.ran(Goal::Restart, None, 0, None, false).duty(), Duty::Finish(_)));
        let world = World::new();
        assert_eq!(world.out(OVER, 0).ran(Goal::Recover, None, 0, Some(Ending::Stuck), false).duty(), Duty::Nothing);
    }

    #[test]
    fn a_run_that_a_person_broke_off_is_left_to_them_and_its_recovery_too() {
        let world = World::new();
        assert_eq!(world.ran(Goal::Restart, None, 0, None, false).broken_off().duty(), Duty::Nothing);
        assert!(matches!(world.ran(Goal::Recover, None, 0, None, false).duty(), Duty::Finish(_)));
        assert_eq!(world.broken_off().duty(), Duty::Nothing);
        assert_eq!(world.ran(Goal::Recover, None, 0, Some(Ending::Done), false).duty(), Duty::Nothing);
    }
}
