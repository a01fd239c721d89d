//! One pit stop, measured from outside: by the app's own notes, and by the times of the call and its return.

use std::collections::HashMap;
use std::time::Duration;

use integration::app::status_of;
use integration::pitstop::{Outcome, Run};
use integration::wait;

use crate::app::{Moment, Note, NotedApp, What, now};
use crate::method::Method;
use crate::scene::Scene;

/// Between two looks for the first healthy answer.
const LOOK: Duration = Duration::from_millis(2);
/// How long HAProxy may take to send the first request after the method has ended.
const SERVED: Duration = Duration::from_secs(30);

/// What one pit stop cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// From the call to the stop signal, less the time in which no request came any more and some were in flight.
    pub(crate) until_stop: Duration,
    /// Requests in flight when the stop signal came.
    pub(crate) in_flight: usize,
    /// From the end of the last request to the stop signal; `None` where some were in flight.
    pub(crate) idle: Option<Duration>,
    /// From the stop signal to the first healthy answer: the app's own restart.
    pub(crate) restart: Duration,
    /// From the first healthy answer to the first request that came through HAProxy.
    pub(crate) until_served: Duration,
    /// From the call to its return.
    pub(crate) whole: Duration,
}

impl Cost {
    /// What the method adds to what the requests and the app themselves take, until the new process serves.
    pub(crate) fn added(&self) -> Duration {
        self.until_stop + self.until_served
    }
}

/// Calls the method, and says what it cost and how the call ended.
pub(crate) fn measure(scene: &Scene, app: &NotedApp, method: Method) -> (Cost, Outcome) {
    let old = app.pid().expect("the app runs");
    let mut command = method.command(scene, app);
    command.stdin(std::process::Stdio::null());
    let (called, returned, outcome) = std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe_the_successor(app, old));
        let called = now();
        let outcome = Run::start(command).wait();
        let returned = called + outcome.duration;
        prober.join().expect("probing");
        (called, returned, outcome)
    });
    let mut notes = app.notes();
    let cost = wait::within(SERVED, || cost(notes.all(), old, called, returned));
    let cost = cost.unwrap_or_else(|| {
        panic!("{} of {} did not lead to a new process that serves: {}", method.name(), app.name(), outcome.stderr)
    });
    (cost, outcome)
}

/// Asks for `/health` from the moment the old master is gone until its successor has answered; an old worker that is
/// about to end would be kept busy otherwise.
fn probe_the_successor(app: &NotedApp, old: i32) {
    let mut notes = app.notes_from_now();
    let deadline = now() + Duration::from_secs(150);
    while now() < deadline {
        if !wait::is_running(old) {
            status_of(app.listen(), "/health");
            if notes.all().iter().any(|note| note.master != old && note.what == What::End && !note.traffic) {
                return;
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// The figures, once the new process has served.
fn cost(notes: &[Note], old: i32, called: Moment, returned: Moment) -> Option<Cost> {
    let stop = notes.iter().find(|note| note.what == What::Stop && note.master == old)?.at;
    let new = |note: &&Note| note.master != old && note.at > stop;
    let ready = notes.iter().filter(new).find(|note| note.what == What::End && !note.traffic)?.at;
    let served = notes.iter().filter(new).find(|note| note.what == What::Begin && note.traffic)?.at;
    let mut open: HashMap<&str, Moment> = HashMap::new();
    let (mut last_begin, mut last_end) = (Duration::ZERO, Duration::ZERO);
    for note in notes.iter().filter(|note| note.master == old && note.traffic && note.at <= stop) {
        match note.what {
            What::Begin => {
                open.insert(&note.thread, note.at);
                last_begin = last_begin.max(note.at);
            }
            What::End => {
                open.remove(note.thread.as_str());
                last_end = last_end.max(note.at);
            }
            What::Stop => {}
        }
    }
    let in_flight = open.len();
    let drained = if in_flight == 0 { last_end } else { stop };
    let draining = drained.max(called).saturating_sub(last_begin.max(called));
    Some(Cost {
        until_stop: stop.saturating_sub(called).saturating_sub(draining),
        in_flight,
        idle: (in_flight == 0).then(|| stop.saturating_sub(last_end.max(called))),
        restart: ready.saturating_sub(stop),
        until_served: served.saturating_sub(ready),
        whole: returned.saturating_sub(called),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: i32 = 10;
    const NEW: i32 = 20;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn note(at: u64, what: What, master: i32, thread: &str, traffic: bool) -> Note {
        Note { at: ms(at), what, master, thread: thread.to_owned(), traffic }
    }

    #[test]
    fn what_is_in_flight_after_the_last_request_came_is_not_added_time() {
        let notes = [
            note(90, What::Begin, OLD, "a", true),
            note(120, What::Begin, OLD, "b", true),
            note(130, What::End, OLD, "b", true),
            note(1090, What::End, OLD, "a", true),
            note(1100, What::Stop, OLD, "m", false),
            note(1500, What::End, NEW, "c", false),
            note(1507, What::Begin, NEW, "c", true),
        ];
        let cost = cost(&notes, OLD, ms(100), ms(4000)).unwrap();
        assert_eq!(cost.until_stop, ms(20 + 10));
        assert_eq!((cost.idle, cost.in_flight), (Some(ms(10)), 0));
        assert_eq!((cost.restart, cost.until_served), (ms(400), ms(7)));
        assert_eq!(cost.added(), ms(37));
    }

    #[test]
    fn what_is_still_in_flight_at_the_stop_is_counted() {
        let notes = [
            note(90, What::Begin, OLD, "a", true),
            note(110, What::Stop, OLD, "m", false),
            note(200, What::End, OLD, "a", true),
            note(300, What::Begin, NEW, "c", true),
            note(301, What::End, NEW, "d", false),
        ];
        let cost = cost(&notes, OLD, ms(100), ms(400)).unwrap();
        assert_eq!((cost.idle, cost.in_flight), (None, 1));
        assert_eq!(cost.until_served, Duration::ZERO);
    }
}
