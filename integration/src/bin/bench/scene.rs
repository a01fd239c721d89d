//! The scene of the pit stops: the distribution's HAProxy, three apps checked on ports of their own, and redirects that
//! lead these to the apps.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::load::{Load, Options};
use integration::netns;
use integration::pitstop::Pitstop;
use tempfile::TempDir;

use crate::app::NotedApp;

pub(crate) const BACKEND: &str = "srvs";
/// HAProxy's `inter`, `fall` and `rise`.
pub(crate) const CHECKS: (Duration, u32, u32) = (Duration::from_secs(2), 3, 2);
/// The longest request.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);

/// What the sandbox has in common with the host, for its own temporary files are in memory.
const DISK: &str = "/var/tmp";
const FRONTEND: u16 = 8000;
const SETTLED: Duration = Duration::from_secs(60);

/// All of it, in the namespace of the calling thread.
pub(crate) struct Scene {
    pub(crate) haproxy: Haproxy,
    pub(crate) apps: Vec<NotedApp>,
    pub(crate) pitstop: Pitstop,
    /// For scripts and playbooks.
    pub(crate) folder: TempDir,
    /// Pitstop's journal, on a disk: to write down an intent takes time there.
    pub(crate) state: TempDir,
}

impl Scene {
    /// With so many further servers in the backend, in maintenance for good.
    pub(crate) fn start(spare: u32) -> Self {
        let apps: Vec<NotedApp> = (0..3)
            .map(|number| {
                let letter = char::from(b'A' + number);
                NotedApp::start(&format!("web{letter}"), address(1001 + u16::from(number)))
            })
            .collect();
        for app in &apps {
            for words in redirects(app, "-A") {
                netns::run(&words.split(' ').collect::<Vec<_>>());
            }
        }
        let (inter, _, _) = CHECKS;
        let server = |app: &NotedApp| Server::new(app.name(), app.listen()).check(Some(check_port(app)), inter);
        let backend = apps.iter().fold(Backend::new(BACKEND), |backend, app| backend.server(server(app)));
        let unused = |number: u32| (Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number), 80).into();
        let backend = (0..spare).fold(backend, |backend, number| {
            backend.server(Server::new(&format!("spare{number}"), unused(number)).word("disabled"))
        });
        let config =
            Config::new(Mode::Http).global("nbthread 2").frontend("www", address(FRONTEND), BACKEND).backend(backend);
        let haproxy = Haproxy::start(Version::System, config);
        let pitstop = Pitstop::new(&pitstop_toml(&haproxy, &apps));
        let folder = tempfile::Builder::new().prefix("pitstop-bench-").tempdir().expect("create a folder for scripts");
        let state = tempfile::Builder::new().prefix("pitstop-bench-").tempdir_in(DISK).expect("create a state folder");
        Self { haproxy, apps, pitstop, folder, state }
    }

    /// Dense enough that a server that is in gets its next request within some milliseconds.
    pub(crate) fn load(&self) -> Load {
        let options = Options {
            short: 12,
            per_request: 2,
            long: 6,
            upload: 2,
            long_max: u64::try_from(LONGEST.as_millis()).expect("a sensible length"),
            ..Options::nobody(address(FRONTEND))
        };
        Load::start(&options)
    }

    /// Waits until every server is up, whatever was done before.
    pub(crate) fn settle(&self) {
        for app in &self.apps {
            self.haproxy.wait_for_status(&format!("{BACKEND}/{}", app.name()), "UP", SETTLED);
        }
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn check_port(app: &NotedApp) -> u16 {
    app.listen().port() + 1000
}

/// The recipe's two rules for one app, to append (`-A`) or delete (`-D`).
pub(crate) fn redirects(app: &NotedApp, action: &str) -> [String; 2] {
    let (from, to) = (check_port(app), app.listen().port());
    ["OUTPUT", "PREROUTING"].map(|chain| {
        format!(
            "iptables -w 5 -t nat {action} {chain} -p tcp -m addrtype --dst-type LOCAL --dport {from} -j REDIRECT --to-ports {to}"
        )
    })
}

/// Socket mode, with nothing but defaults.
fn pitstop_toml(haproxy: &Haproxy, apps: &[NotedApp]) -> String {
    let mut text = format!(
        "[balancers.lb1]\nsocket = {:?}\nmaster = {:?}\nconfig = {:?}\n",
        haproxy.socket(),
        haproxy.master_socket(),
        haproxy.config_file()
    );
    for app in apps {
        let (name, listen) = (app.name(), app.listen());
        write!(
            text,
            "\n[apps.{name}]\nservers = [\"{BACKEND}/{name}\"]\nlisten = \"{listen}\"\n\
             service = {{ pidfile = {:?}, start = {:?} }}\nready = [{{ http = \"http://{listen}/health\" }}]\n",
            app.pidfile(),
            app.start_command()
        )
        .expect("writing to a string");
    }
    text
}
