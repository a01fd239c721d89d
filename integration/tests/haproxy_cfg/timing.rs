//! `inter`, `fastinter`, `downinter`, `fall` and `rise` by the checks that arrive at an app, and how long it takes at worst to be seen
//! as down and as up.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use haproxy_cfg::lint::worst_case::{WorstCase, worst_cases};
use haproxy_cfg::{Config, ServerSettings};
use integration::haproxy::Version;
use integration::netns::Namespace;
use integration::wait;
use nix::sys::socket::{Shutdown, shutdown};

use crate::corpus::{self, Case};
use crate::running::Running;

const LIMIT: Duration = Duration::from_secs(60);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(5);

#[test]
fn checks_come_as_we_read_them_with_haproxy_2_6() {
    time_all("2.6");
}

#[test]
fn checks_come_as_we_read_them_with_haproxy_3_2() {
    time_all("3.2");
}

fn time_all(number: &str) {
    let version = Version::named(number).unwrap();
    let cases: Vec<_> = corpus::all().into_iter().filter(|case| case.name.starts_with("timing-")).collect();
    assert_eq!(cases.len(), 5);
    std::thread::scope(|scope| {
        for case in &cases {
            let thread = std::thread::Builder::new().name(format!("{} {number}", case.name));
            thread.spawn_scoped(scope, move || time(version, case)).unwrap();
        }
    });
}

/// What we read, and what it comes to.
struct Expected {
    fall: usize,
    rise: usize,
    inter: Duration,
    fast: Duration,
    down: Duration,
    worst: WorstCase,
}

impl Expected {
    fn of(config: &Config) -> Self {
        let settings: ServerSettings = config.server("b", "s").unwrap().settings;
        let inter = *settings.inter.known().unwrap();
        Self {
            fall: usize::try_from(*settings.fall.known().unwrap()).unwrap(),
            rise: usize::try_from(*settings.rise.known().unwrap()).unwrap(),
            inter,
            fast: settings.fastinter.known().unwrap().unwrap_or(inter),
            down: settings.downinter.known().unwrap().unwrap_or(inter),
            worst: worst_cases(config).remove(0),
        }
    }
}

fn time(version: Version, case: &Case) {
    let _namespace = Namespace::new();
    let config = case.config(version);
    let expected = Expected::of(&config);
    let port = config.server("b", "s").unwrap().check_port.known().unwrap().unwrap();
    let speaks_http = config.backend("b").unwrap().settings.httpchk.known().unwrap().is_some();
    let mut app = App::open(port, speaks_http);
    let running = Running::start(version, &case.path, &case.variables);
    let full_health = (expected.fall + expected.rise - 1).to_string();
    wait::until("full health", LIMIT, || (column(&running, "check_health") == full_health).then_some(()));

    let before = app.answered(true).len();
    wait::until("checks", LIMIT, || (app.answered(true).len() >= before + 4).then_some(()));
    gaps(case, "inter", expected.inter, &app.answered(true)[before..]);

    // Right after a check, so that all of the pause is still to come.
    app.next_check();
    let failed_before: usize = column(&running, "chkfail").parse().unwrap();
    match speaks_http {
        true => app.is_well.store(false, Ordering::SeqCst),
        false => app.close(),
    }
    let polls = match speaks_http {
        true => poll_until(&running, || app.answered(false).len() >= expected.fall + 3),
        false => poll_until_changed(&running),
    };
    let went = *app.answered(true).last().unwrap();
    let seen = polls.iter().find(|poll| !poll.up).expect("it goes down").end - went;
    within(case, "out", seen, expected.worst.out, true);
    // HAProxy counts them as long as the server is up.
    let failed: usize = column(&running, "chkfail").parse().unwrap();
    assert_eq!(failed - failed_before, expected.fall, "{}: failed checks", case.name);
    if speaks_http {
        let checks = app.answered(false);
        changes_at(case, &polls, false, &checks, expected.fall);
        gaps(case, "fastinter on the way down", expected.fast, &checks[..expected.fall]);
        gaps(case, "downinter", expected.down, &checks[expected.fall - 1..]);
        app.next_check();
    }

    let opened = Instant::now();
    match speaks_http {
        true => app.is_well.store(true, Ordering::SeqCst),
        false => app = App::open(port, speaks_http),
    }
    let checks = || app.answered(true).into_iter().filter(|check| *check >= opened).collect::<Vec<_>>();
    let polls = poll_until(&running, || checks().len() >= expected.rise + 3);
    let checks = checks();
    // A port that is closed sees no checks, so that it can't be opened right after one.
    let came = app.answered(false).last().copied().unwrap_or(opened);
    let seen = polls.iter().find(|poll| poll.up).expect("it comes up").end - came;
    within(case, "back", seen, expected.worst.back, speaks_http);
    // Of a connect HAProxy may know before the app does.
    if speaks_http {
        changes_at(case, &polls, true, &checks, expected.rise);
    }
    gaps(case, "fastinter on the way up", expected.fast, &checks[..expected.rise]);
    gaps(case, "inter again", expected.inter, &checks[expected.rise - 1..]);
}

/// A pause between checks is as long as we read it. What arrives late here makes one pause longer and the next one shorter, so the longest
/// is never too short; and one of them is not much too long.
fn gaps(case: &Case, what: &str, expected: Duration, checks: &[Instant]) {
    let gaps: Vec<_> = checks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (shortest, longest) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
    assert!(longest >= expected.mul_f64(0.9), "{}: {what}: {expected:?}, but {gaps:?}", case.name);
    assert!(shortest <= expected * 2, "{}: {what}: {expected:?}, but {gaps:?}", case.name);
}

/// It takes not longer than the worst case, and where that has been arranged, not less by as much as one check of three. The app
/// may see late when it was checked.
fn within(case: &Case, what: &str, seen: Duration, worst: Duration, is_worst: bool) {
    assert!(seen <= worst + SLACK, "{}: {what} after {seen:?}, at worst {worst:?}", case.name);
    assert!(!is_worst || seen >= worst.mul_f64(0.7), "{}: {what} after {seen:?}, at worst {worst:?}", case.name);
}

/// The status changes with check number `count`: not before HAProxy made it, and before it makes the next one.
fn changes_at(case: &Case, polls: &[Poll], up: bool, checks: &[Instant], count: usize) {
    for poll in polls {
        if poll.end < checks[count - 1] {
            assert_ne!(poll.up, up, "{}: changed before check {count}", case.name);
        }
        if poll.begin > checks[count] {
            assert_eq!(poll.up, up, "{}: not changed after check {count}", case.name);
        }
    }
}

/// One look at the server's status, in HAProxy's own record.
struct Poll {
    begin: Instant,
    end: Instant,
    up: bool,
}

fn poll(running: &Running) -> Poll {
    let begin = Instant::now();
    let status = column(running, "status");
    Poll { begin, end: Instant::now(), up: status.starts_with("UP") }
}

/// Looks until this holds, and once more.
fn poll_until(running: &Running, mut done: impl FnMut() -> bool) -> Vec<Poll> {
    let mut polls = Vec::new();
    wait::until("checks", LIMIT, || {
        let last = done();
        polls.push(poll(running));
        last.then_some(())
    });
    polls
}

/// Looks until the server is not up any more.
fn poll_until_changed(running: &Running) -> Vec<Poll> {
    let mut polls = Vec::new();
    wait::until("down", LIMIT, || {
        polls.push(poll(running));
        polls.last().filter(|poll| !poll.up).map(drop)
    });
    polls
}

fn column(running: &Running, name: &str) -> String {
    running.stat()[&("b".to_owned(), "s".to_owned())].get(name).cloned().unwrap_or_default()
}

/// A check, and whether it is told that all is well.
struct Check {
    at: Instant,
    is_well: bool,
}

/// A port that is checked.
struct App {
    listener: Arc<TcpListener>,
    is_well: Arc<AtomicBool>,
    checks: Arc<Mutex<Vec<Check>>>,
    thread: Option<JoinHandle<()>>,
}

impl App {
    /// Opens the port in the calling thread's network namespace.
    fn open(port: u16, speaks_http: bool) -> Self {
        let listener = Arc::new(TcpListener::bind(("127.0.0.1", port)).unwrap());
        let is_well = Arc::new(AtomicBool::new(true));
        let checks = Arc::new(Mutex::new(Vec::new()));
        let thread = std::thread::spawn({
            let (listener, is_well, checks) = (Arc::clone(&listener), Arc::clone(&is_well), Arc::clone(&checks));
            move || {
                // It fails once the port is closed.
                while let Ok((mut stream, _)) = listener.accept() {
                    let is_well = is_well.load(Ordering::SeqCst);
                    checks.lock().unwrap().push(Check { at: Instant::now(), is_well });
                    if speaks_http {
                        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                        lines.take_while(|line| !line.is_empty()).for_each(drop);
                        let status = if is_well { "200 OK" } else { "503 Service Unavailable" };
                        stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes()).ok();
                    }
                }
            }
        });
        Self { listener, is_well, checks, thread: Some(thread) }
    }

    /// Closes the port.
    fn close(&mut self) {
        if let Some(thread) = self.thread.take() {
            shutdown(self.listener.as_raw_fd(), Shutdown::Both).unwrap();
            thread.join().unwrap();
        }
    }

    /// When the checks arrived that were told so.
    fn answered(&self, is_well: bool) -> Vec<Instant> {
        let checks = self.checks.lock().unwrap();
        checks.iter().filter(|check| check.is_well == is_well).map(|check| check.at).collect()
    }

    /// Waits for the next check.
    fn next_check(&self) {
        let count = || self.checks.lock().unwrap().len();
        let before = count();
        wait::until("a check", LIMIT, || (count() > before).then_some(()));
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.close();
    }
}
