//! How an app may end after a run that was killed and recovered, by where that was.

use serde::{Deserialize, Serialize};

use super::lane::Trial;
use super::scenario::{Scenario, Sweep};
use super::tracer::Whose;

/// Where an app is in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// In and healthy; nothing is owing.
    In,
    /// Out and healthy, by somebody's wish, which is recorded.
    OnLease,
    /// Out and not proven: owing, and said by the alert.
    Unproven,
}

/// Which process the app is in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Nobody stopped it.
    Same,
    /// It was restarted.
    New,
    /// Either, or none.
    Any,
}

/// The ends that are good ones, or why there is none.
pub(super) fn allowed(sweep: Sweep, trial: &Trial) -> Result<Vec<End>, String> {
    let scenario = sweep.scenario;
    match (sweep.whose, trial.run) {
        (Whose::Own, None) => Ok(allowed_by_step(scenario, step(trial)).into()),
        (Whose::Own, Some(code)) if code == scenario.exit_code() => Ok(vec![as_meant(scenario)]),
        // On a busy machine the request may have ended in time.
        (Whose::Own, Some(0)) if scenario == Scenario::DrainTimeout => Ok(vec![End::In]),
        (Whose::Own, code) => Err(format!("nobody killed the run, and it ends with {code:?}")),
        (_, Some(0)) if scenario != Scenario::NeverReady => Ok(vec![End::In]),
        (_, Some(3 | 5)) => Ok(vec![End::In]),
        (_, Some(6)) if scenario == Scenario::NeverReady => Ok(vec![End::Unproven]),
        // The command that starts the app may have been killed before or after it did so.
        (_, Some(6)) if starts_the_app(trial) => Ok(vec![End::In, End::Unproven]),
        (_, code) => Err(format!("the run ends with {code:?}")),
    }
}

/// Where the app is after a run that nobody kills.
pub(super) fn as_meant(scenario: Scenario) -> End {
    match scenario {
        Scenario::Out => End::OnLease,
        Scenario::NeverReady => End::Unproven,
        _ => End::In,
    }
}

fn allowed_by_step(scenario: Scenario, step: &str) -> &'static [End] {
    match (scenario, step) {
        // It is over once the look's outcome is on disk.
        (Scenario::Out, "last_look") => &[End::In, End::OnLease],
        (Scenario::Out, "release") => &[End::OnLease],
        // Until it announces its first act, it was never there.
        (Scenario::In, "put_back") => &[End::In, End::OnLease],
        (Scenario::In, "preflight" | "claim" | "ready") => &[End::OnLease],
        // Undone before the stop signal, finished after it.
        (Scenario::NeverReady, "restart") => &[End::In, End::Unproven],
        (Scenario::NeverReady, "ready" | "alert" | "release") => &[End::Unproven],
        _ => &[End::In],
    }
}

/// Whether the app must have been restarted then.
pub(super) fn process(sweep: Sweep, trial: &Trial, end: End) -> Process {
    match (sweep.scenario, trial.run) {
        (Scenario::RecoverRestart, _) => Process::New,
        (Scenario::NeverReady, _) if end == End::In => Process::Same,
        (Scenario::NeverReady, _) => Process::Any,
        (Scenario::Restart | Scenario::DrainTimeout, Some(0)) => Process::New,
        (Scenario::Restart, Some(3 | 5)) => Process::Same,
        (Scenario::Restart, Some(_)) => Process::Any,
        (Scenario::Restart, None) => match step(trial) {
            "restart" => Process::Any,
            "ready" | "put_back" | "await_in" | "release" => Process::New,
            _ => Process::Same,
        },
        _ => Process::Same,
    }
}

/// The step in which it was killed, whichever turn of it.
fn step(trial: &Trial) -> &str {
    let step = trial.at.as_ref().map_or("", |at| at.step.as_str());
    step.split_once('#').map_or(step, |(step, _)| step)
}

fn starts_the_app(trial: &Trial) -> bool {
    trial.child.as_ref().is_some_and(|child| child.contains("testapp"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::point::Point;
    use super::*;

    fn killed(name: &str, step: &str) -> Vec<End> {
        let point = Point { step: step.to_owned(), number: 1, call: "close".to_owned(), turn: 1 };
        let trial = Trial { at: Some(point.clone()), ..Trial::of(&point) };
        allowed(Sweep::named(name).unwrap(), &trial).unwrap()
    }

    fn over(name: &str, code: i32, child: &str) -> Option<Vec<End>> {
        let point = Point { step: "child-1".to_owned(), number: 1, call: "execve".to_owned(), turn: 1 };
        let trial = Trial { run: Some(code), child: Some(child.to_owned()), ..Trial::of(&point) };
        allowed(Sweep::named(name).unwrap(), &trial).ok()
    }

    #[test]
    fn an_app_may_be_out_only_where_somebody_wanted_that_or_it_is_broken() {
        for sweep in Sweep::all() {
            let may_be_out = matches!(sweep.scenario, Scenario::Out | Scenario::In | Scenario::NeverReady);
            for step in ["claim", "drain", "restart", "ready", "put_back#2", "release"] {
                let ends = allowed_by_step(sweep.scenario, step);
                assert!(may_be_out || *ends == [End::In], "{sweep} {step}");
            }
        }
        assert_eq!(killed("out", "drain"), [End::In]);
        assert_eq!(killed("out", "release#2"), [End::OnLease]);
        assert_eq!(killed("in", "await_in"), [End::In]);
        assert_eq!(killed("never-ready", "alert"), [End::Unproven]);
    }

    #[test]
    fn after_a_child_died_the_run_itself_says_where_the_app_is() {
        assert_eq!(over("children", 0, "iptables"), Some(vec![End::In]));
        assert_eq!(over("children", 5, "iptables"), Some(vec![End::In]));
        assert_eq!(over("children", 6, "iptables"), None);
        assert_eq!(over("children", 6, "setsid testapp"), Some(vec![End::In, End::Unproven]));
        assert_eq!(over("children", 7, "setsid testapp"), None);
        assert_eq!(over("never-ready-children", 0, "iptables"), None);
        assert_eq!(over("never-ready-children", 6, "sh"), Some(vec![End::Unproven]));
    }
}
