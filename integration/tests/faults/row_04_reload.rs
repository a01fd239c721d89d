//! Row 04: a HAProxy reload in the middle of the drain forgets drain and maintenance, and hides what is in flight in the old
//! worker; nothing is lost all the same.

use std::fs;
use std::time::Duration;

use integration::haproxy::Version;
use integration::request::{Held, Pending};
use integration::wait;
use integration::world::{Builder, Redirects, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pitstop::config;
use pitstop::drain::workers::{OldWorkers, Seen};
use pitstop::drain::{Left, Sighting};

const SOON: Duration = Duration::from_secs(30);

/// Makes each promise a test for each version.
macro_rules! on_every_version {
    ($($promise:ident),* $(,)?) => {
        $(
            mod $promise {
                #[test]
                fn on_2_2() {
                    super::$promise("2.2");
                }

                #[test]
                fn on_2_6() {
                    super::$promise("2.6");
                }

                #[test]
                fn on_3_0() {
                    super::$promise("3.0");
                }

                #[test]
                fn on_3_2() {
                    super::$promise("3.2");
                }
            }
        )*
    };
}

on_every_version!(
    nothing_is_dropped,
    nothing_is_dropped_with_a_redirect,
    a_request_in_an_old_worker_is_counted_until_it_ends,
    an_old_worker_that_does_not_answer_is_not_quiet,
);

fn nothing_is_dropped(version: &'static str) {
    the_drain_survives_a_reload(version, Redirects::None);
}

fn nothing_is_dropped_with_a_redirect(version: &'static str) {
    the_drain_survives_a_reload(version, Redirects::ByPitstop);
}

fn the_drain_survives_a_reload(version: &'static str, redirects: Redirects) {
    let world = builder(version).redirects(redirects).start();
    let old = world.apps[0].pid().unwrap();
    let load = world.load(Duration::from_millis(500));
    load.wait_for_requests(100, SOON);
    let request = Pending::work(world.frontend(), Duration::from_secs(5), Some("SERVER=A"));
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    world.haproxy.reload();
    // The request is in the old worker now.
    world.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
    assert!(!request.has_ended());
    let outcome = run.wait();
    outcome.assert_code(0);
    assert_eq!(request.assert_answered().pid, old);
    assert_ne!(world.apps[0].pid(), Some(old));
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    assert!(world.haproxy.status("srvs/webA").starts_with("UP"));
}

fn scene(version: &'static str) -> World {
    builder(version).apps(1).start()
}

/// Without the option a worker that ends closes idle connections of clients, on which a request may be on its way. 2.2 does not
/// know it, and does not close them.
fn builder(version: &'static str) -> Builder {
    let builder = World::builder().version(Version::Bed(version));
    if version == "2.2" { builder } else { builder.default_line("option idle-close-on-response") }
}

fn witness(world: &World) -> OldWorkers {
    let settings = config::load(&world.pitstop.config()).unwrap();
    let app = settings.app("webA").unwrap();
    OldWorkers::new(app, &app.balancers[0]).unwrap()
}

fn look(witness: &mut OldWorkers, worker: u32) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(witness.look(worker))
}

fn worker(world: &World) -> u32 {
    world.haproxy.pid().unwrap().try_into().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// What is seen of one old worker.
fn sighting(old: u32, left: &[(&str, u64)]) -> Sighting {
    let left = left.iter().map(|(place, sessions)| Left { place: (*place).to_owned(), sessions: *sessions, queued: 0 });
    Sighting { witness: format!("lb1's old worker {old}"), pid: Some(old), left: left.collect() }
}

fn a_request_in_an_old_worker_is_counted_until_it_ends(version: &'static str) {
    let world = scene(version);
    let mut witness = witness(&world);
    let old = worker(&world);
    assert_eq!(look(&mut witness, old), Seen::default());

    let _idle = Held::idle(world.frontend());
    let request = Pending::work(world.frontend(), Duration::from_secs(3), Some("SERVER=A"));
    wait::until("the request is at the server", SOON, || (world.haproxy.in_flight("srvs/webA") == 1).then_some(()));
    world.haproxy.reload();
    let seen = look(&mut witness, worker(&world));
    assert!(!request.has_ended());
    assert_eq!(seen, Seen { sightings: vec![sighting(old, &[("srvs/webA", 1)])], unseen: vec![] });

    request.assert_answered();
    // The client's idle connection keeps the old worker there.
    let quiet = Seen { sightings: vec![sighting(old, &[])], unseen: vec![] };
    wait::until("it is quiet", SOON, || (look(&mut witness, worker(&world)) == quiet).then_some(()));
}

fn an_old_worker_that_does_not_answer_is_not_quiet(version: &'static str) {
    let world = scene(version);
    let mut witness = witness(&world);
    let old = worker(&world);
    let request = Pending::work(world.frontend(), Duration::from_secs(5), Some("SERVER=A"));
    wait::until("the request is at the server", SOON, || (world.haproxy.in_flight("srvs/webA") == 1).then_some(()));
    world.haproxy.reload();
    let new = worker(&world);

    let stranger = look(&mut witness, std::process::id());
    assert!(!stranger.is_complete(), "{stranger:?}");
    assert_eq!(stranger.sightings, [sighting(old, &[("srvs/webA", 1)])]);

    signal(old, Signal::SIGSTOP);
    let stopped = look(&mut witness, new);
    // Looked at at once and remembered.
    let remembered = look(&mut witness, new);
    signal(old, Signal::SIGCONT);
    assert_eq!(stopped.sightings, []);
    assert!(stopped.unseen.len() == 1 && stopped.unseen[0].starts_with(&format!("lb1's old worker {old}: ")));
    assert_eq!(remembered, stopped);

    request.assert_answered();
    wait::until("the old worker ended", SOON, || look(&mut witness, new).is_complete().then_some(()));
}

#[test]
fn a_master_that_can_not_be_asked_has_not_seen_anything() {
    let world = scene("3.2");
    let master = world.haproxy.master_socket();
    world.pitstop.replace(master.to_str().unwrap(), "/run/no-such.sock");
    let seen = look(&mut witness(&world), worker(&world));
    assert_eq!(seen.sightings, []);
    assert!(!seen.is_complete());
}

/// One refusal, here by a HAProxy that does not know the server, does not end the watch: what it says is told, and it is asked again.
#[test]
fn a_reload_that_is_put_right_by_another_while_the_app_is_down_is_told_again() {
    let world = World::builder().start();
    let old = world.apps[0].pid().unwrap();
    world.apps[0].at_next_start(&["--start-delay=6000"]);
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    wait::until("the new process", SOON, || (world.apps[0].pid()? != old).then_some(()));
    let file = world.haproxy.config_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("server webA", "server renamed")).unwrap();
    world.haproxy.reload();
    run.wait_for_remark("there is no server srvs/webA; it is asked again");
    fs::write(&file, text).unwrap();
    world.haproxy.reload();
    run.wait_for_remark("out again after at most");
    assert_eq!(world.haproxy.status("srvs/webA"), "MAINT");
    let outcome = run.wait();
    outcome.assert_code(0);
    assert_eq!(outcome.stdout.matches("it is asked again").count(), 1, "{}", outcome.stdout);
}
