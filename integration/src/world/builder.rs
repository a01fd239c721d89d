//! How the scene is set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{BACKEND, FRONTEND, Redirects, World, letter};
use crate::app::App;
use crate::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use crate::netns::{self, Host, Namespace};
use crate::pitstop::Pitstop;

/// What the scene is to be like.
#[derive(Debug, Clone)]
pub struct Builder {
    version: Version,
    mode: Mode,
    apps: usize,
    balancers: usize,
    address: IpAddr,
    frontend: IpAddr,
    further_frontend: IpAddr,
    elsewhere: bool,
    second_elsewhere: bool,
    isolated: bool,
    redirects: Redirects,
    check_interval: Duration,
    app_options: Vec<String>,
    server_words: Vec<String>,
    global_lines: Vec<String>,
    default_lines: Vec<String>,
    backend_lines: Vec<String>,
    pitstop_lines: Vec<String>,
    table_lines: BTreeMap<&'static str, Vec<String>>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            version: Version::System,
            mode: Mode::Http,
            apps: 3,
            balancers: 1,
            address: Ipv4Addr::LOCALHOST.into(),
            frontend: Ipv4Addr::LOCALHOST.into(),
            further_frontend: Ipv4Addr::LOCALHOST.into(),
            elsewhere: false,
            second_elsewhere: false,
            isolated: true,
            redirects: Redirects::None,
            check_interval: Duration::from_millis(500),
            app_options: Vec::new(),
            server_words: Vec::new(),
            global_lines: Vec::new(),
            default_lines: Vec::new(),
            backend_lines: Vec::new(),
            pitstop_lines: Vec::new(),
            table_lines: BTreeMap::new(),
        }
    }

    /// Which HAProxy.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// HAProxy's mode. In TCP mode nobody sticks.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// How many apps, at most 26.
    pub fn apps(mut self, count: usize) -> Self {
        self.apps = count;
        self
    }

    /// How many balancers, all alike; the second's frontend is one port above the first's.
    pub fn balancers(mut self, count: usize) -> Self {
        self.balancers = count;
        self
    }

    /// Apps and frontend on `::1`.
    pub fn ipv6(mut self) -> Self {
        self.address = Ipv6Addr::LOCALHOST.into();
        self.frontend = self.address;
        self
    }

    /// HAProxy on another host, so that checks come in by PREROUTING; clients stay here.
    pub fn balancer_elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Two balancers, of which the second is on another host; clients stay here.
    pub fn second_balancer_elsewhere(mut self) -> Self {
        self.second_elsewhere = true;
        self.balancers(2)
    }

    /// In the calling thread's present namespace instead of a new one.
    pub fn in_this_namespace(mut self) -> Self {
        self.isolated = false;
        self
    }

    /// Whose redirects there are.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// HAProxy's `inter`.
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// A further option of `testapp`, for all apps.
    pub fn app_option(mut self, option: &str) -> Self {
        self.app_options.push(option.to_owned());
        self
    }

    /// Further words on every `server` line, such as `on-marked-down shutdown-sessions`.
    pub fn server_words(mut self, words: &str) -> Self {
        self.server_words.push(words.to_owned());
        self
    }

    /// A further line of section `global`, such as `stats socket ipv4@127.0.0.1:9998 level user`.
    pub fn global_line(mut self, line: &str) -> Self {
        self.global_lines.push(line.to_owned());
        self
    }

    /// A further line of section `defaults`, such as `timeout check 200ms`.
    pub fn default_line(mut self, line: &str) -> Self {
        self.default_lines.push(line.to_owned());
        self
    }

    /// A further line of the backend, such as `http-reuse always`.
    pub fn backend_line(mut self, line: &str) -> Self {
        self.backend_lines.push(line.to_owned());
        self
    }

    /// A further line of each `[apps.X]`, such as `hold = "0s"`.
    pub fn pitstop_line(mut self, line: &str) -> Self {
        self.pitstop_lines.push(line.to_owned());
        self
    }

    /// A further line of each `[apps.X.drain]`, such as `timeout = "5s"`.
    pub fn drain_line(self, line: &str) -> Self {
        self.table_line("drain", line)
    }

    /// A further line of each `[apps.X.TABLE]`, such as `min_up = 0` of `guard`.
    pub fn table_line(mut self, table: &'static str, line: &str) -> Self {
        self.table_lines.entry(table).or_default().push(line.to_owned());
        self
    }

    /// Sets the scene, and returns when all apps are healthy and the frontend accepts.
    pub fn start(mut self) -> World {
        let namespace = self.isolated.then(Namespace::new);
        let balancer_host = (self.elsewhere || self.second_elsewhere).then(Host::new);
        if let Some(host) = &balancer_host {
            let six = self.address.is_ipv6();
            self.address = if six { host.near6() } else { host.near() };
            let far = if six { host.far6() } else { host.far() };
            self.frontend = if self.elsewhere { far } else { self.address };
            self.further_frontend = far;
        } else {
            self.further_frontend = self.frontend;
        }
        let apps: Vec<App> = (0..self.apps).map(|app| self.app(app)).collect();
        apps.iter().for_each(App::start);
        apps.iter().for_each(App::wait_until_healthy);
        if self.redirects == Redirects::ByHand {
            self.redirect_by_hand();
        }
        let start = |number| Haproxy::start(self.version, self.config(number));
        let mut balancers = (0..self.balancers).map(|number| match &balancer_host {
            Some(host) if self.elsewhere || number > 0 => host.run(|| start(number)),
            _ => start(number),
        });
        let haproxy = balancers.next().expect("at least one balancer");
        let others: Vec<Haproxy> = balancers.collect();
        let apps_toml = self.apps_toml(&apps);
        let pitstop = Pitstop::new(&format!("{}{apps_toml}", balancers_toml([&haproxy].into_iter().chain(&others))));
        if self.redirects == Redirects::ByPitstop {
            for app in &apps {
                pitstop.run(&["in", app.name()]).assert_code(0);
            }
        }
        World {
            haproxy,
            others,
            apps,
            pitstop,
            balancer_host,
            apps_toml,
            frontend: self.frontend_of(0),
            further_frontend: self.further_frontend,
            _namespace: namespace,
        }
    }

    fn app(&self, app: usize) -> App {
        let new = App::new(&format!("web{}", letter(app)), self.traffic(app));
        self.app_options.iter().fold(new, |app, option| app.option(option))
    }

    fn traffic(&self, app: usize) -> SocketAddr {
        SocketAddr::new(self.address, port(1001, app))
    }

    fn frontend_of(&self, balancer: usize) -> SocketAddr {
        let address = if balancer == 0 { self.frontend } else { self.further_frontend };
        SocketAddr::new(address, port(FRONTEND, balancer))
    }

    fn check_port(&self, app: usize) -> u16 {
        let first = if self.redirects == Redirects::None { 1001 } else { 2001 };
        port(first, app)
    }

    /// As the recipe has it, with the cookie on the main entry as well: nobody would stick otherwise.
    fn config(&self, number: usize) -> Config {
        let mut backend = Backend::new(BACKEND);
        if self.mode == Mode::Http {
            backend = backend.cookie("SERVER");
        }
        for line in &self.backend_lines {
            backend = backend.line(line);
        }
        for app in 0..self.apps {
            let check_port = self.check_port(app);
            backend = backend.server(self.server("web", app, check_port));
        }
        for app in 0..self.apps {
            let check_port = self.traffic(app).port();
            backend = backend.server(self.server("bkp", app, check_port).backup());
        }
        let address = self.frontend_of(number);
        let mut config = Config::new(self.mode).global("nbthread 2").frontend("www", address, BACKEND).backend(backend);
        for line in &self.global_lines {
            config = config.global(line);
        }
        for line in &self.default_lines {
            config = config.defaults(line);
        }
        config
    }

    fn server(&self, kind: &str, app: usize, check_port: u16) -> Server {
        let letter = letter(app);
        let mut server =
            Server::new(&format!("{kind}{letter}"), self.traffic(app)).check(Some(check_port), self.check_interval);
        if self.mode == Mode::Http {
            server = server.cookie(&letter.to_string());
        }
        self.server_words.iter().fold(server, |server, words| server.word(words))
    }

    fn redirect_by_hand(&self) {
        let program = if self.address.is_ipv6() { "ip6tables" } else { "iptables" };
        for app in 0..self.apps {
            let (from, to) = (self.check_port(app), self.traffic(app).port());
            for chain in ["OUTPUT", "PREROUTING"] {
                let rule = format!(
                    "{program} -w 5 -t nat -A {chain} -p tcp -m addrtype --dst-type LOCAL --dport {from} -j REDIRECT --to-ports {to}"
                );
                netns::run(&rule.split(' ').collect::<Vec<_>>());
            }
        }
    }

    fn apps_toml(&self, apps: &[App]) -> String {
        let mut text = String::new();
        for (number, app) in apps.iter().enumerate() {
            let (name, letter, listen) = (app.name(), letter(number), app.listen());
            let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
            line(format!("\n[apps.{name}]"));
            line(format!("servers = [\"{BACKEND}/web{letter}\"]"));
            line(format!("backups = [\"{BACKEND}/bkp{letter}\"]"));
            line(format!("listen = \"{listen}\""));
            self.pitstop_lines.iter().cloned().for_each(&mut line);
            for (table, lines) in self.tables(app, number) {
                line(table);
                lines.into_iter().for_each(&mut line);
            }
        }
        text
    }

    /// The tables of one app: what the scene needs, then what was asked for.
    fn tables(&self, app: &App, number: usize) -> impl Iterator<Item = (String, Vec<String>)> {
        let mut tables = BTreeMap::from([
            ("service", vec![format!("pidfile = {:?}", app.pidfile()), format!("start = {:?}", app.start_command())]),
            ("ready", vec![format!("http = \"http://{}/health\"", app.listen())]),
        ]);
        if self.redirects != Redirects::None {
            tables.insert("redirect", vec![format!("check_port = {}", self.check_port(number))]);
        }
        for (table, lines) in &self.table_lines {
            tables.entry(table).or_default().extend_from_slice(lines);
        }
        let name = app.name().to_owned();
        tables.into_iter().map(move |(table, lines)| match table {
            "ready" => (format!("[[apps.{name}.{table}]]"), lines),
            _ => (format!("[apps.{name}.{table}]"), lines),
        })
    }
}

/// All that there is to know of the balancers, which are called `lb1`, `lb2`.
fn balancers_toml<'a>(balancers: impl Iterator<Item = &'a Haproxy>) -> String {
    let table = |(number, haproxy): (usize, &Haproxy)| {
        let (socket, master, config) = (haproxy.socket(), haproxy.master_socket(), haproxy.config_file());
        format!("[balancers.lb{}]\nsocket = {socket:?}\nmaster = {master:?}\nconfig = {config:?}\n", number + 1)
    };
    balancers.enumerate().map(table).collect()
}

fn port(first: u16, app: usize) -> u16 {
    first + u16::try_from(app).expect("few apps")
}
