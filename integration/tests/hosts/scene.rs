//! A balancer and `webB` here, `webA` on a host with a systemd of its own, and load on both.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use integration::app::App;
use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::load::{Load, Options};
use integration::machine::Machine;
use integration::netns::Namespace;
use integration::pitstop::{Outcome, Run};
use integration::request::Held;
use integration::wait;

/// Longer than anything that is waited for here takes on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);
const CHECK: Duration = Duration::from_millis(500);
const ENTRIES: [&str; 2] = ["srvs/webA", "srvs/bkpA"];
const ALERTS: &str = "/var/log/alerts";
/// As long as it is there, a start does not go on.
pub(crate) const SLOW: &str = "/run/slow";
/// As long as it is there, a start fails.
pub(crate) const BROKEN: &str = "/run/broken";
/// The app's.
pub(crate) const PIDFILE: &str = "/run/web.pid";
/// Where each start leaves a line.
const STARTS: &str = "/run/starts";
const RECOVER: &str = include_str!("../../../agent/dist/pitstop-recover.service");

pub(crate) struct Scene {
    pub(crate) load: Load,
    pub(crate) haproxy: Haproxy,
    pub(crate) machine: Machine,
    _neighbour: App,
    _namespace: Namespace,
}

impl Scene {
    /// Everything is in and healthy, the redirect by `pitstop in`. `unit` has further lines for the section `Unit` of `web.service`,
    /// `service` for `[apps.webA.service]`.
    pub(crate) fn new(unit: &str, service: &str) -> Self {
        Self::furnished(unit, &format!("systemd = \"web.service\"\n{service}"), |_| ())
    }

    /// With all of `[apps.webA.service]`, where `LISTEN` stands for the app's address, and what else the machine needs to have.
    pub(crate) fn furnished(unit: &str, service: &str, furnish: impl FnOnce(&Machine)) -> Self {
        let namespace = Namespace::new();
        let mut machine = Machine::new();
        let (near, listen) = (machine.host.near(), SocketAddr::new(machine.host.far(), 1001));
        machine.install("web.service", &web_service(listen, unit));
        machine.install("pitstop-recover.service", RECOVER);
        machine.write("/etc/pitstop/pitstop.toml", &pitstop_toml(SocketAddr::new(near, 9999), listen, service));
        furnish(&machine);
        machine.boot();
        let neighbour = App::new("webB", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1002)).started();
        let haproxy = Haproxy::start(Version::System, config(SocketAddr::new(near, 9999), listen, neighbour.listen()));
        machine.run(&["pitstop", "in", "webA"]).assert_code(0);
        let load = Load::start(&Options::mix(frontend(), Duration::from_millis(500)));
        load.wait_for_requests(100, SOON);
        let scene = Self { load, haproxy, machine, _neighbour: neighbour, _namespace: namespace };
        scene.assert_in();
        scene
    }

    /// Starts `pitstop` on the host.
    pub(crate) fn start(&self, arguments: &[&str]) -> Run {
        self.machine.start(&[&["pitstop"], arguments].concat())
    }

    /// Runs `pitstop` on the host to its end.
    pub(crate) fn pitstop(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait()
    }

    /// Runs `systemctl` on the host; panics unless it succeeds.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> String {
        let outcome = self.machine.run(&[&["systemctl"], arguments].concat());
        outcome.assert_code(0);
        outcome.stdout.trim().to_owned()
    }

    /// The app's main process, as the host counts; 0 where there is none.
    pub(crate) fn main_pid(&self) -> u32 {
        self.systemctl(&["show", "--property=MainPID", "--value", "web.service"]).parse().unwrap()
    }

    /// How often the app was started, well or not, since it was asked last.
    pub(crate) fn starts(&self) -> usize {
        let starts = self.machine.read(STARTS).lines().count();
        self.machine.write(STARTS, "");
        starts
    }

    /// What was said aloud.
    pub(crate) fn alerts(&self) -> String {
        self.machine.read(ALERTS)
    }

    /// A run that rests in its drain, with nothing left on the app but one who sticks.
    pub(crate) fn draining(&self) -> (Run, Held) {
        let sticky = Held::conversation(frontend(), "SERVER=A");
        let run = self.start(&["restart", "webA"]);
        self.haproxy.wait_for_status(ENTRIES[0], "MAINT", SOON);
        wait::until("nobody but the one who sticks", SOON, || (self.in_flight() == 1).then_some(()));
        (run, sticky)
    }

    /// A run that has told systemd to restart the app, whose start does not go on.
    pub(crate) fn restarting(&self) -> Run {
        self.machine.write(SLOW, "");
        self.starts();
        let run = self.start(&["restart", "webA"]);
        wait::until("the start", SOON, || (self.starts() > 0).then_some(()));
        run
    }

    /// Sessions and queued requests of `webA`.
    fn in_flight(&self) -> u64 {
        ENTRIES.iter().map(|entry| self.haproxy.in_flight(entry)).sum()
    }

    /// Whether both entries of `webA` are up.
    pub(crate) fn is_in(&self) -> bool {
        ENTRIES.iter().all(|entry| self.haproxy.status(entry).starts_with("UP"))
    }

    /// Panics unless `webA` answers on both its ports, and HAProxy's own checks agree before long.
    pub(crate) fn assert_in(&self) {
        let address = |port| SocketAddr::new(self.machine.host.far(), port);
        for port in [1001, 2001] {
            let healthy = || (integration::app::status_of(address(port), "/health") == Some(200)).then_some(());
            wait::until(&format!("{port} answers"), SOON, healthy);
        }
        wait::until("both entries are up", SOON, || self.is_in().then_some(()));
    }

    /// Panics unless HAProxy has both entries in maintenance.
    pub(crate) fn assert_out(&self) {
        assert_eq!(ENTRIES.map(|entry| self.haproxy.status(entry)), ["MAINT", "MAINT"]);
    }

    /// Ends the load after some more of it; panics when any request failed.
    pub(crate) fn assert_nothing_failed(self) {
        self.load.wait_for_requests(100, SOON);
        self.load.stop().assert_nothing_failed();
    }
}

/// Where clients go.
fn frontend() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8000)
}

fn web_service(listen: SocketAddr, unit: &str) -> String {
    format!(
        "[Unit]\n{unit}\n\
         [Service]\n\
         ExecStartPre=/bin/sh -c 'echo >>{STARTS}; while test -e {SLOW}; do sleep 0.1; done; test ! -e {BROKEN}'\n\
         ExecStart=/usr/local/bin/testapp --name=webA --listen={listen} --pidfile={PIDFILE}\n"
    )
}

fn config(admin: SocketAddr, listen: SocketAddr, neighbour: SocketAddr) -> Config {
    let web = Server::new("webA", listen).check(Some(2001), CHECK).cookie("A");
    let backup = Server::new("bkpA", listen).check(Some(1001), CHECK).cookie("A").backup();
    let other = Server::new("webB", neighbour).check(None, CHECK).cookie("B");
    let backend = Backend::new("srvs").cookie("SERVER").server(web).server(other).server(backup);
    Config::new(Mode::Http)
        .global("nbthread 2")
        .global(&format!("stats socket ipv4@{admin} level admin"))
        .frontend("www", frontend(), "srvs")
        .backend(backend)
}

fn pitstop_toml(admin: SocketAddr, listen: SocketAddr, service: &str) -> String {
    let service = service.replace("LISTEN", &listen.to_string());
    format!(
        r#"
[balancers.lb1]
socket = "tcp:{admin}"
[apps.webA]
servers = ["srvs/webA"]
backups = ["srvs/bkpA"]
listen = "{listen}"
on_alert = ["sh", "-c", 'echo "$1" >>{ALERTS}', "alert"]
hold = "5s"
[apps.webA.redirect]
check_port = 2001
[apps.webA.drain]
kills_on_down = false
[apps.webA.service]
{service}
[[apps.webA.ready]]
http = "http://{listen}/health"
timeout = "20s"
"#
    )
}
