//! Row 1: pitstop is killed, at any moment. What `scripts/sweep` does at every call is done here at a few, spread over each run.

use std::sync::Mutex;

use integration::sweep::lane::{Lane, Trial};
use integration::sweep::point::Point;
use integration::sweep::scenario::{Scenario, Sweep};
use integration::sweep::tracer::Whose;

use crate::firewall::private_locks;

/// Scenes side by side.
const LANES: usize = 3;

/// So many of all points, from the first to the last.
fn spread(points: &[Point], count: usize) -> Vec<Point> {
    (0..count).map(|number| points[number * (points.len() - 1) / (count - 1)].clone()).collect()
}

/// Tries so many points in several scenes, and returns what came of each. A lock of pitstop's is per host, and each scene is one.
fn try_all(sweep: Sweep, count: usize) -> Vec<Trial> {
    private_locks();
    let first = Lane::new(sweep);
    let points = Mutex::new(spread(&first.record().0, count));
    let trials = Mutex::new(Vec::new());
    let work = |lane: &Lane| {
        while let Some(point) = { points.lock().unwrap().pop() } {
            let trial = lane.strike(&point);
            let is_used_up = trial.wrong.is_some();
            trials.lock().unwrap().push(trial);
            if is_used_up {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..LANES {
            scope.spawn(|| {
                private_locks();
                let lane = Lane::new(sweep);
                work(&lane);
                lane.finish().unwrap();
            });
        }
        work(&first);
    });
    first.finish().unwrap();
    trials.into_inner().unwrap()
}

fn assert_survived(sweep: Sweep, count: usize) {
    let trials = try_all(sweep, count);
    let wrong: Vec<_> = trials.iter().filter(|trial| trial.wrong.is_some()).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", sweep.name());
    assert_eq!(trials.len(), count);
    let killed = trials.iter().filter(|trial| trial.at.is_some()).count();
    assert!(killed * 2 > count, "{killed} of {count} were killed");
}

#[test]
fn row_01_killed_at_any_call_of_a_restart_the_app_ends_in_and_healthy() {
    assert_survived(Sweep { scenario: Scenario::Restart, whose: Whose::Own }, 25);
}

#[test]
fn row_01_killed_at_any_call_of_out_or_in_the_app_ends_in_or_out_as_it_is_said() {
    assert_survived(Sweep { scenario: Scenario::Out, whose: Whose::Own }, 6);
    assert_survived(Sweep { scenario: Scenario::In, whose: Whose::Own }, 6);
}

#[test]
fn row_01_killed_while_an_app_never_becomes_ready_it_ends_out_and_said_aloud() {
    assert_survived(Sweep { scenario: Scenario::NeverReady, whose: Whose::Own }, 8);
}

#[test]
fn row_01_killed_while_it_undoes_everything_is_as_it_was_found() {
    assert_survived(Sweep { scenario: Scenario::DrainTimeout, whose: Whose::Own }, 8);
}

#[test]
fn row_01_a_child_that_is_killed_leaves_nothing_forgotten() {
    assert_survived(Sweep { scenario: Scenario::Restart, whose: Whose::Children }, 8);
}
