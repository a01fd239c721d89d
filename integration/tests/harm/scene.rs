//! A HAProxy and its apps, and what becomes of requests.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use integration::app::App;
use integration::haproxy::{Config, Haproxy, Version};
use integration::netns::{self, Namespace};
use integration::request::{Held, Pending};
use integration::wait;

use crate::config::{FRONTEND, at};

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Time enough, on a busy machine, to do something to a request that is in flight.
const SLOW: Duration = Duration::from_secs(4);

const APPS: [&str; 3] = ["webA", "webB", "webC"];

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// This app answered it well.
    Served(String),
    /// Another status than 200.
    Failed(u16),
    /// The connection to the app, or from the client, ended before all of the answer came; up to 3.0, HAProxy says 502 itself.
    Cut,
}

/// Answered well by this app.
pub(crate) fn by(app: &str) -> Fate {
    Fate::Served(app.to_owned())
}

fn fate(request: Pending) -> Fate {
    match request.answer() {
        Some(answer) if answer.status == 200 && answer.complete => Fate::Served(answer.app),
        Some(answer) if answer.status != 200 && answer.status != 502 => Fate::Failed(answer.status),
        _ => Fate::Cut,
    }
}

/// A HAProxy and three apps, `webA` on port 1001 and so on; a redirect leads each port from 2001 on to one of them.
pub(crate) struct Scene {
    pub(crate) haproxy: Haproxy,
    pub(crate) apps: [App; 3],
    /// Left last: it ends what is still there.
    _namespace: Namespace,
}

impl Scene {
    /// Returns when every server was checked once.
    pub(crate) fn start(version: Version, config: Config) -> Self {
        let namespace = Namespace::new();
        let apps = [0, 1, 2].map(|app| App::new(APPS[app], at([1001, 1002, 1003][app])).started());
        [2001, 2002].into_iter().for_each(|port| redirect("-A", port));
        let haproxy = Haproxy::start(version, config);
        // Until its first check has passed, a single one that fails takes a server down.
        let is_checked = || (!haproxy.command("show stat").contains("INI,")).then_some(());
        wait::until("all servers were checked", SOON, is_checked);
        Self { haproxy, apps, _namespace: namespace }
    }

    /// Removes the redirect of this port.
    pub(crate) fn close(&self, port: u16) {
        redirect("-D", port);
    }

    /// Replaces webA, after it was down for long enough to be seen, by what this starts, and waits until every check by a connect has
    /// seen that too.
    pub(crate) fn replace_first(&self, start: impl FnOnce(&App)) {
        self.apps[0].stop();
        self.wait_for_checks("DOWN");
        start(&self.apps[0]);
        self.wait_for_checks("UP");
    }

    /// Waits until the witness has seen it, and with it every check.
    pub(crate) fn wait_for_checks(&self, status: &str) {
        self.haproxy.wait_for_status("witness/webA", status, SOON);
    }

    /// One request; `cookie` says to which server it sticks.
    pub(crate) fn ask(&self, cookie: Option<char>) -> Fate {
        fate(pending(Duration::ZERO, cookie))
    }

    /// The cookie that a new client gets whom this server serves.
    pub(crate) fn cookie_from(&self, server: &str) -> char {
        wait::until(&format!("a client of {server}"), SOON, || {
            let mut stream = TcpStream::connect(at(FRONTEND)).unwrap();
            stream.write_all(b"GET /work?ms=0&bytes=1 HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (_, cookie) = answer.split_once("SERVER=").unwrap();
            answer.contains(server).then(|| cookie.chars().next()).flatten()
        })
    }

    /// What becomes of clients who do not stick: every server that takes its turn is met.
    pub(crate) fn ask_around(&self) -> BTreeSet<Fate> {
        (0..8).map(|_| self.ask(None)).collect()
    }

    /// What becomes of a slow request that is at this server when this happens.
    pub(crate) fn during_request(&self, server: &str, cookie: char, happens: impl FnOnce()) -> Fate {
        let request = pending(SLOW, Some(cookie));
        let is_there = || (self.haproxy.in_flight(server) == 1).then_some(());
        wait::until(&format!("a request at {server}"), SOON, is_there);
        happens();
        fate(request)
    }

    /// A conversation with webA.
    pub(crate) fn conversation(&self) -> Held {
        Held::conversation(at(FRONTEND), "SERVER=A")
    }

    /// Reloads, and waits until the old worker, which must have nothing to do, takes no more requests.
    pub(crate) fn reload(&self) {
        let old = self.haproxy.pid().unwrap();
        self.haproxy.reload();
        wait::until("the old worker has ended", SOON, || (!wait::is_running(old)).then_some(()));
    }
}

fn pending(time: Duration, cookie: Option<char>) -> Pending {
    let cookie = cookie.map(|cookie| format!("SERVER={cookie}"));
    Pending::work(at(FRONTEND), time, cookie.as_deref())
}

fn redirect(action: &str, port: u16) {
    let rule = format!(
        "iptables -w 5 -t nat {action} OUTPUT -p tcp -m addrtype --dst-type LOCAL --dport {port} -j REDIRECT --to-ports {}",
        port - 1000
    );
    netns::run(&rule.split(' ').collect::<Vec<_>>());
}
