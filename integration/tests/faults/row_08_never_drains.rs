//! What never ends: a conversation, a long poll, an upload whose sender has fallen asleep. The deadline passes, and then the
//! policy decides; what is idle is not waited for at all.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use integration::request::{Held, Pending};
use integration::world::World;

use crate::scene::{SOON, Scene};

/// Longer than any request of the load.
const DEADLINE: Duration = Duration::from_secs(2);
/// Longer than a run takes, deadline and all.
const LONG_POLL: Duration = Duration::from_secs(20);

fn scene(on_timeout: &str) -> Scene {
    let builder = World::builder().drain_line("timeout = \"2s\"").drain_line(&format!("on_timeout = {on_timeout:?}"));
    Scene::new(builder.pitstop_line("hold = \"0s\""))
}

/// All that does not end, on `webA`.
struct Endless {
    conversation: Held,
    poll: Pending,
    upload: Upload,
}

impl Endless {
    fn begin(frontend: SocketAddr) -> Self {
        let poll = Pending::work(frontend, LONG_POLL, Some("SERVER=A"));
        Self { conversation: Held::conversation(frontend, "SERVER=A"), poll, upload: Upload::begin(frontend) }
    }

    /// Panics unless each of them goes on, to its good end where it has one.
    fn assert_goes_on(mut self) {
        assert!(self.conversation.is_alive() && !self.poll.has_ended());
        self.upload.assert_answered();
        self.poll.assert_answered();
    }

    /// Panics unless each of them was cut.
    fn assert_cut(mut self) {
        assert!(!self.conversation.is_alive());
        assert!(self.poll.answer().is_none_or(|answer| answer.status == 502));
        let answer = self.upload.answer();
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

/// A body of which only the first half was sent.
struct Upload(TcpStream);

impl Upload {
    fn begin(frontend: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(frontend).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let head = "POST /upload?id=half HTTP/1.1\r\nHost: web\r\nConnection: close\r\nCookie: SERVER=A\r\nContent-Length: 8\r\n";
        stream.write_all(format!("{head}\r\nhalf").as_bytes()).unwrap();
        Self(stream)
    }

    /// What came back, all of it.
    fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).ok();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn assert_answered(mut self) {
        self.0.write_all(b"half").unwrap();
        let answer = self.answer();
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

#[test]
fn row_08_abort_undoes_and_everything_goes_on() {
    let scene = scene("abort");
    let endless = Endless::begin(scene.world.frontend());
    let old = scene.pid();
    let outcome = scene.run(&["restart", "webA"]);
    outcome.assert_code(5).assert_says(&["still in flight: 3 in srvs/webA", "webA was not stopped"]);
    assert!(outcome.duration >= DEADLINE);
    assert_eq!(scene.pid(), old);
    scene.assert_in();
    endless.assert_goes_on();
    scene.assert_nothing_failed();
}

#[test]
fn row_08_proceed_goes_on_once_the_deadline_has_passed() {
    let scene = scene("proceed");
    let endless = Endless::begin(scene.world.frontend());
    let old = scene.pid();
    let outcome = scene.run(&["restart", "webA"]);
    outcome.assert_code(0);
    assert!(outcome.duration >= DEADLINE);
    assert_ne!(scene.pid(), old);
    endless.assert_cut();
    scene.assert_in();
    scene.assert_nothing_failed();
}

#[test]
fn row_08_shutdown_sessions_lets_haproxy_end_them() {
    let scene = scene("shutdown-sessions");
    let endless = Endless::begin(scene.world.frontend());
    let old = scene.pid();
    let outcome = scene.run(&["--output", "json", "restart", "webA"]);
    outcome.assert_code(0).assert_says(&["shutdown sessions server srvs/webA"]);
    assert!(outcome.time_of("shutdown_sessions") < DEADLINE);
    assert_ne!(scene.pid(), old);
    endless.assert_cut();
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// An app that is to be out is not stopped: whoever asked for it decides what becomes of what is left.
#[test]
fn row_08_out_says_what_is_still_in_flight() {
    for (on_timeout, code) in [("abort", 5), ("proceed", 0)] {
        let scene = scene(on_timeout);
        let endless = Endless::begin(scene.world.frontend());
        scene.run(&["out", "webA"]).assert_code(code).assert_says(&["still in flight: 3 in srvs/webA"]);
        if code == 0 {
            scene.assert_out();
            scene.run(&["in", "webA"]).assert_code(0);
        }
        scene.assert_in();
        endless.assert_goes_on();
        scene.assert_nothing_failed();
    }
}

/// Connections that HAProxy keeps for later, and one of a client that talks to the app directly.
#[test]
fn row_08_idle_connections_neither_hold_the_drain_nor_count_as_work() {
    for reuse in ["http-reuse always", "http-reuse never"] {
        let world = World::builder().backend_line(reuse).pitstop_line("hold = \"0s\"").start();
        let load = world.load(Duration::from_millis(100));
        load.wait_for_requests(200, Duration::from_secs(5));
        load.stop().assert_nothing_failed();
        let _direct = Held::idle(world.apps[0].listen());
        let _client = Held::idle(world.frontend());
        let outcome = world.pitstop.run(&["--output", "json", "restart", "webA"]);
        outcome.assert_code(0);
        assert!(outcome.time_of("drain") < Duration::from_millis(500), "{}", outcome.stdout);
    }
}

#[test]
fn row_08_work_of_a_client_that_talks_to_the_app_directly_is_waited_for() {
    let world = World::builder().pitstop_line("hold = \"0s\"").start();
    let begun = Instant::now();
    let request = Pending::work(world.apps[0].listen(), Duration::from_secs(1), None);
    world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    request.assert_answered();
}
