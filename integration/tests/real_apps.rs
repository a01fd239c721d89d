//! Apps of the field, restarted and reloaded in their own manner under load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;
use std::time::Duration;

use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::load::{Load, Options};
use integration::netns::Namespace;
use integration::pitstop::Pitstop;
use integration::real_app::{RealApp, Worker};
use integration::request::ask;
use integration::{app, wait};

const LONG: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(30);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Two servers, each with its backup entry, and the first of them known to pitstop as `web`.
fn balance(servers: [SocketAddr; 2], service: &str) -> (Haproxy, Pitstop) {
    let mut backend = Backend::new("srvs").cookie("SERVER");
    for (letter, address) in ["A", "B"].into_iter().zip(servers) {
        let main = Server::new(&format!("web{letter}"), address).check(None, Duration::from_millis(500));
        backend = backend.server(main.cookie(letter));
    }
    for (letter, address) in ["A", "B"].into_iter().zip(servers) {
        let backup = Server::new(&format!("bkp{letter}"), address).check(None, Duration::from_millis(500));
        backend = backend.server(backup.cookie(letter).backup());
    }
    let config = Config::new(Mode::Http).frontend("www", address(8000), "srvs").backend(backend);
    let haproxy = Haproxy::start(Version::System, config);
    let pitstop = Pitstop::new(&format!(
        "[balancers.lb1]
        socket = {:?}
        config = {:?}
        [apps.web]
        servers = [\"srvs/webA\"]
        backups = [\"srvs/bkpA\"]
        listen = \"{listen}\"
        hold = \"1s\"
        [apps.web.service]
        {service}
        [[apps.web.ready]]
        http = \"http://{listen}/health\"
        ",
        haproxy.socket(),
        haproxy.config_file(),
        listen = servers[0],
    ));
    (haproxy, pitstop)
}

fn restart_under(options: &Options, pitstop: &Pitstop) {
    let load = Load::start(options);
    load.wait_for_requests(100, SOON);
    let outcome = pitstop.run(&["restart", "web"]);
    outcome.assert_code(0);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
}

/// What is left of the master and its workers after a restart under load, and who answers then.
struct Change {
    master: (i32, i32),
    old_workers: Vec<i32>,
    answers: i32,
}

fn gunicorn(worker: Worker, service: impl Fn(&RealApp) -> String) -> Change {
    let _namespace = Namespace::new();
    let web = RealApp::gunicorn("webA", address(1001), worker).started();
    let _other = app::App::new("webB", address(1002)).started();
    let (_haproxy, pitstop) = balance([address(1001), address(1002)], &service(&web));
    let master = web.pid().unwrap();
    // It is healthy with its first worker, and then forks the others.
    let count = if worker == Worker::Sync { 8 } else { 2 };
    let old_workers =
        wait::until("all workers", SOON, || Some(wait::children(master)).filter(|all| all.len() == count));
    assert!(old_workers.contains(&ask(address(1001), None).pid));
    restart_under(&Options::mix(address(8000), LONG), &pitstop);
    let answers = ask(address(8000), Some("SERVER=A"));
    assert_eq!(answers.app, "webA");
    assert!(!old_workers.contains(&answers.pid) && old_workers.iter().all(|pid| !wait::is_running(*pid)));
    // A successor takes the pid file over within a second of its master's end.
    let now = wait::until("a master in the pid file", SOON, || web.pid());
    Change { master: (master, now), old_workers, answers: answers.pid }
}

#[test]
fn gunicorn_reloads_by_hup() {
    for worker in [Worker::Sync, Worker::Gthread] {
        let change = gunicorn(worker, |web| format!("pidfile = {:?}\naction = \"reload\"", web.pidfile()));
        assert_eq!(change.master.0, change.master.1);
        assert!(!change.old_workers.contains(&change.answers));
    }
}

#[test]
fn gunicorn_makes_a_successor_by_usr2_and_the_old_master_quits() {
    let change = gunicorn(Worker::Gthread, |web| {
        let pidfile = web.pidfile();
        format!("pidfile = {pidfile:?}\naction = \"reload\"\nreload_signal = \"USR2\"\nold_signal = \"QUIT\"")
    });
    assert!(!wait::is_running(change.master.0));
}

#[test]
fn gunicorn_makes_a_successor_by_usr2_and_the_old_master_terminates() {
    let change = gunicorn(Worker::Sync, |web| {
        let pidfile = web.pidfile();
        format!("pidfile = {pidfile:?}\naction = \"reload\"\nreload_signal = \"USR2\"\nold_signal = \"TERM\"")
    });
    assert!(!wait::is_running(change.master.0));
}

#[test]
fn gunicorn_ends_by_term_and_is_started() {
    let change =
        gunicorn(Worker::Gthread, |web| format!("pidfile = {:?}\nstart = {:?}", web.pidfile(), web.start_command()));
    assert_ne!(change.master.0, change.master.1);
    assert!(!wait::is_running(change.master.0));
}

#[test]
fn nginx_reloads_by_hup() {
    let _namespace = Namespace::new();
    let web = RealApp::nginx(address(1001)).started();
    let _other = RealApp::nginx(address(1002)).started();
    let service = format!("pidfile = {:?}\naction = \"reload\"", web.pidfile());
    let (_haproxy, pitstop) = balance([address(1001), address(1002)], &service);
    let master = web.pid().unwrap();
    let old_workers = wait::children(master);
    assert_eq!(old_workers.len(), 2);
    let options = Options { upload: 0, static_site: true, ..Options::mix(address(8000), LONG) };
    restart_under(&options, &pitstop);
    assert_eq!(web.pid(), Some(master));
    let new_workers = wait::children(master);
    assert!(new_workers.len() == 2 && new_workers.iter().all(|pid| !old_workers.contains(pid)), "{new_workers:?}");
}
