//! `on-marked-down shutdown-sessions`: `maint` would kill what is in flight, so it comes only when nothing is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use integration::relay::Relay;
use integration::request::{Answer, Held, Pending};
use integration::wait;
use integration::world::{Builder, Redirects, World};
use tokio::sync::{Mutex, OwnedMutexGuard};

const SOON: Duration = Duration::from_secs(30);

/// The client's own pauses between two requests, in turn: half of them are long, as those of the load's client that sticks. Without
/// a moment in which all is quiet nobody could be moved.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];

/// A client that sticks and asks without end, on one connection.
///
/// HAProxy has no conditional command, so what is asked between pitstop's look and its `maint` would be lost, as
/// `docs/pit-stop.md` says; how wide that moment is depends on the machine. Here nothing is asked in it: `maint` waits in the
/// relay for the client's answer, and the client for HAProxy's.
struct Sticky {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    answers: JoinHandle<Vec<Option<Answer>>>,
}

impl Sticky {
    fn start(frontend: SocketAddr, cookie: &'static str, in_flight: Arc<Mutex<()>>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answered));
        let answers = std::thread::spawn(move || {
            let mut client = Held::idle(frontend);
            let asked = PAUSES.into_iter().cycle().take_while(|_| !stopped.load(Ordering::Relaxed)).map(|pause| {
                let one = in_flight.blocking_lock();
                let answer = client.work(Duration::from_millis(2), cookie);
                drop(one);
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(pause);
                answer
            });
            asked.collect()
        });
        Self { stop, answered, answers }
    }

    /// Waits until so many more requests have ended.
    fn wait_for_requests(&self, more: usize) {
        let before = self.answered.load(Ordering::Relaxed);
        wait::until("requests", SOON, || (self.answered.load(Ordering::Relaxed) >= before + more).then_some(()));
    }

    /// What it was answered, request by request.
    fn stop(self) -> Vec<Option<Answer>> {
        self.stop.store(true, Ordering::Relaxed);
        self.answers.join().unwrap()
    }
}

/// A request of five seconds and a client that sticks, both on the app that is restarted.
fn nothing_is_dropped(builder: Builder, tell: impl Fn(&World)) {
    let world = builder.server_words("on-marked-down shutdown-sessions").start();
    tell(&world);
    let in_flight = Arc::new(Mutex::new(()));
    let waits = Arc::clone(&in_flight);
    let at_maint = move |line: &str| -> Option<OwnedMutexGuard<()>> {
        line.contains("state maint").then(|| Arc::clone(&waits).blocking_lock_owned())
    };
    Relay::before_haproxy(&world, at_maint);
    let old = world.apps[0].pid().unwrap();
    let request = Pending::work(world.frontend(), Duration::from_secs(5), Some("SERVER=A"));
    wait::until("the request is in flight", SOON, || (world.haproxy.in_flight("srvs/webA") > 0).then_some(()));
    let sticky = Sticky::start(world.frontend(), "SERVER=A", in_flight);
    sticky.wait_for_requests(5);
    let outcome = world.pitstop.run(&["restart", "webA"]);
    outcome.assert_code(0);
    assert_eq!(request.assert_answered().pid, old);
    assert_ne!(world.apps[0].pid(), Some(old));
    sticky.wait_for_requests(20);
    let answers = sticky.stop();
    assert!(
        answers.iter().all(|answer| answer.as_ref().is_some_and(|it| it.status == 200 && it.complete)),
        "{answers:#?}"
    );
    let apps: Vec<_> = answers.iter().flatten().map(|answer| answer.app.as_str()).collect();
    assert!(apps.contains(&"webA"), "it stuck until `maint`: {apps:?}");
    assert!(apps.iter().any(|app| *app != "webA"), "it was moved by `maint`: {apps:?}");
}

fn know_only_the_socket(world: &World) {
    world.tell_of_balancers(&format!("[balancers.lb1]\nsocket = {:?}", world.haproxy.socket()));
}

#[test]
fn nothing_is_killed_where_the_configuration_says_that_going_down_kills() {
    nothing_is_dropped(World::builder(), |_| ());
}

#[test]
fn nothing_is_killed_where_it_is_not_known() {
    nothing_is_dropped(World::builder(), know_only_the_socket);
}

#[test]
fn nothing_is_killed_with_a_redirect_as_well() {
    nothing_is_dropped(World::builder().redirects(Redirects::ByPitstop), know_only_the_socket);
}

/// A client that sticks asks once more between the moment in which all was quiet and the look before `maint`.
#[test]
fn what_is_asked_right_before_the_last_look_is_waited_for() {
    let world = World::builder().server_words("on-marked-down shutdown-sessions").start();
    // All entries are polled at once, and `-1` are all of a backend; each is looked at by itself right before its `maint`.
    let look = Relay::holding(&world, |line| line.matches("show stat").count() == 1 && !line.contains("-1"));
    let old = world.apps[0].pid().unwrap();
    let run = world.pitstop.start(&["restart", "webA"]);
    look.wait();
    let request = Pending::work(world.frontend(), Duration::from_secs(1), Some("SERVER=A"));
    wait::until("it is in flight", SOON, || (world.haproxy.in_flight("srvs/webA") > 0).then_some(()));
    look.hand_on();
    run.wait().assert_code(0);
    assert_eq!(request.assert_answered().pid, old);
    assert_ne!(world.apps[0].pid(), Some(old));
}
