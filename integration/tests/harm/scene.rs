//! A configuration that is linted and run, and what becomes of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use haproxy_cfg::Config as Parsed;
use haproxy_cfg::lint::{Context, Redirected, Rule, Severity, lint};
use integration::app::App;
use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::netns::{self, Namespace};
use integration::request::{Held, Pending};
use integration::wait;
use tempfile::TempDir;

const VERSIONS: [Version; 2] = [Version::Bed("2.6"), Version::Bed("3.2")];

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Time enough to do something to a request that is in flight.
const SLOW: Duration = Duration::from_secs(2);

const CHECK_INTERVAL: Duration = Duration::from_millis(100);
const FRONTEND: u16 = 8000;
const APPS: [&str; 3] = ["webA", "webB", "webC"];

/// On loopback.
pub(crate) fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Clients go to backend `srvs`, whose clients stick by cookie and whose servers are asked for their health.
pub(crate) fn web(lines: &[&str], servers: &[Server]) -> Config {
    let backend = Backend::new("srvs").cookie("SERVER").line("option httpchk GET /health");
    with_backend(lines.iter().fold(backend, |backend, line| backend.line(line)), servers)
}

/// Clients go to this backend, which has these servers.
pub(crate) fn with_backend(backend: Backend, servers: &[Server]) -> Config {
    let backend = servers.iter().cloned().fold(backend, Backend::server);
    Config::new(Mode::Http).global("nbthread 1").frontend("www", at(FRONTEND), "srvs").backend(backend)
}

/// A server `webA` on port 1001, with cookie `A`; its check is up to the caller.
pub(crate) fn unchecked(letter: char) -> Server {
    Server::new(&format!("web{letter}"), at(port(letter))).cookie(&letter.to_string())
}

/// The same, checked on its own port.
pub(crate) fn main_entry(letter: char) -> Server {
    unchecked(letter).check(None, CHECK_INTERVAL)
}

/// The same, checked on port 2001, which a redirect leads to 1001.
pub(crate) fn redirected(letter: char) -> Server {
    unchecked(letter).check(Some(port(letter) + 1000), CHECK_INTERVAL)
}

/// A backup entry `bkpA` on port 1001, checked there, with cookie `A`.
pub(crate) fn twin(letter: char) -> Server {
    let server = Server::new(&format!("bkp{letter}"), at(port(letter)));
    server.cookie(&letter.to_string()).check(None, CHECK_INTERVAL).backup()
}

/// A backend that nobody uses, whose check of webA's health fails only after twice as many checks as any other needs: once it is
/// down, all others that could have seen it have.
pub(crate) fn witness(check_port: u16) -> Backend {
    let server = Server::new("webA", at(1001));
    let server = server.check(Some(check_port), CHECK_INTERVAL).word("fall 6");
    Backend::new("witness").line("option httpchk GET /health").line("http-check expect status 200").server(server)
}

fn port(letter: char) -> u16 {
    1001 + u16::try_from(u32::from(letter) - u32::from('A')).unwrap()
}

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

/// What a rule warns of.
pub(crate) struct Harm {
    rule: Rule,
    context: Context,
}

impl Harm {
    /// That of this rule.
    pub(crate) fn of(rule: Rule) -> Self {
        Self { rule, context: Context::default() }
    }

    /// Where `srvs/webA` is taken out by a redirect of port 2001.
    pub(crate) fn with_redirect(mut self) -> Self {
        let (backend, server) = ("srvs".to_owned(), "webA".to_owned());
        self.context.redirects.push(Redirected { backend, server, check_port: 2001 });
        self
    }

    /// Panics unless the same act leads, on every version, to what stands beside each configuration, and this rule alone tells the
    /// bad one from the good one.
    pub(crate) fn shows<T: Debug + PartialEq + Sync>(
        &self,
        bad: (Config, T),
        good: (Config, T),
        act: impl Fn(&Scene) -> T + Sync,
    ) {
        let with = |version| {
            let [found, accepted] = [&bad, &good].map(|(config, wanted)| {
                let scene = Scene::start(version, config.clone());
                let found = self.findings(&scene.haproxy.config_file());
                assert_eq!(&act(&scene), wanted, "{version:?}: {found:?}");
                found
            });
            self.assert_told_apart(&found, &accepted);
        };
        // Most of the time is waiting, and each thread has a network namespace of its own.
        std::thread::scope(|scope| {
            for version in VERSIONS {
                let with = &with;
                scope.spawn(move || with(version));
            }
        });
    }

    /// Panics unless every version refuses the bad configuration and accepts the good one, and this rule alone tells one from the other.
    pub(crate) fn prevents_start(&self, bad: &Config, good: &Config) {
        let _namespace = Namespace::new();
        for version in VERSIONS {
            let [found, accepted] = [(bad, false), (good, true)].map(|(config, is_accepted)| {
                let folder = TempDir::new().unwrap();
                let file = folder.path().join("haproxy.cfg");
                std::fs::write(&file, config.render("/tmp/unused.sock")).unwrap();
                let output = Command::new(version.program()).arg("-c").arg("-f").arg(&file).output().unwrap();
                assert_eq!(output.status.success(), is_accepted, "{version:?}: {output:?}");
                self.findings(&file)
            });
            self.assert_told_apart(&found, &accepted);
        }
    }

    fn findings(&self, file: &Path) -> BTreeMap<Rule, Severity> {
        let text = std::fs::read_to_string(file).unwrap();
        let parsed = Parsed::parse("haproxy.cfg", &text).unwrap();
        lint(&parsed, &self.context).into_iter().map(|finding| (finding.rule, finding.severity)).collect()
    }

    fn assert_told_apart(&self, bad: &BTreeMap<Rule, Severity>, good: &BTreeMap<Rule, Severity>) {
        let only_bad: Vec<_> = bad.keys().filter(|rule| !good.contains_key(rule)).collect();
        assert_eq!(only_bad, [&self.rule], "the bad one has {bad:?}, the good one has {good:?}");
        assert!(good.values().all(|severity| *severity == Severity::Note), "the good one has {good:?}");
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
    fn start(version: Version, config: Config) -> Self {
        let namespace = Namespace::new();
        let apps = [0, 1, 2].map(|app| App::new(APPS[app], at([1001, 1002, 1003][app])).started());
        [2001, 2002].into_iter().for_each(|port| redirect("-A", port));
        let haproxy = Haproxy::start(version, config);
        // Until its first check has passed, a single failed one takes a server down.
        let is_checked = || (!haproxy.command("show stat").contains("INI,")).then_some(());
        wait::until("all servers were checked", SOON, is_checked);
        Self { haproxy, apps, _namespace: namespace }
    }

    /// Removes the redirect of this port.
    pub(crate) fn close(&self, port: u16) {
        redirect("-D", port);
    }

    /// Restarts webA so that it accepts connections and can't serve.
    pub(crate) fn break_first(&self) {
        let app = &self.apps[0];
        app.stop();
        app.at_next_start(&["--ready-after=600000"]);
        app.start();
        let is_broken = || (integration::app::status_of(app.listen(), "/health") == Some(503)).then_some(());
        wait::until("webA answers 503", SOON, is_broken);
    }

    /// Waits until every check has had its time to see what happened.
    pub(crate) fn wait_for_checks(&self) {
        self.haproxy.wait_for_status("witness/webA", "DOWN", SOON);
    }

    /// One request; `cookie` says to which server it sticks.
    pub(crate) fn ask(&self, cookie: Option<char>) -> Fate {
        fate(pending(Duration::ZERO, cookie))
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
