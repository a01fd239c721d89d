//! Each configuration of `haproxy-cfg/examples`, run as it stands at the addresses that it names: every version of HAProxy takes it, no rule
//! finds anything in it, and a pit stop under load loses nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use haproxy_cfg::Config as Text;
use haproxy_cfg::lint::{Context, lint};
use integration::app::App;
use integration::haproxy::{Config, Haproxy, Version};
use integration::load::{Load, Options};
use integration::netns::{self, Host, Namespace};
use integration::pitstop::Pitstop;
use integration::real_app::RealApp;

const SOON: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(1);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../haproxy-cfg/examples")
}

fn example(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

#[test]
fn every_version_takes_every_example_without_a_warning_and_no_rule_finds_anything() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        for version in Version::ALL {
            let output = Command::new(version.program()).args(["-dW", "-c", "-f"]).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} on {version:?}: {said}", path.display());
        }
        let config = Text::parse("example", &std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(lint(&config, &Context::default()), [], "{}", path.display());
        count += 1;
    }
    assert!(count >= 6, "only {count} examples");
}

/// A host with these addresses, which everybody reaches by way of this one.
fn host(addresses: &[&str]) -> Host {
    let host = Host::new();
    let far = host.far().to_string();
    for address in addresses {
        netns::run(&["ip", "route", "add", address, "via", &far]);
        host.run(|| netns::run(&["ip", "address", "add", &format!("{address}/32"), "dev", "lo"]));
    }
    let near = host.near().to_string();
    host.run(|| netns::run(&["ip", "route", "add", "default", "via", &near]));
    host
}

/// As an operator without pitstop makes it, for an app that listens on one address alone.
fn redirect_by_hand() {
    let rule = "iptables -w 5 -t nat -A PREROUTING -p tcp --dport 2000 -j DNAT --to-destination 10.0.0.2:1000";
    netns::run(&rule.split(' ').collect::<Vec<_>>());
}

/// The app, what HAProxy calls it, and its balancers.
fn pitstop(servers: &str, service: &str, listen: SocketAddr, scheme: &str, balancers: &[(&Haproxy, &str)]) -> Pitstop {
    let balancer = |(number, (haproxy, socket)): (usize, &(&Haproxy, &str))| {
        let (master, config) = (haproxy.master_socket(), haproxy.config_file());
        format!("[balancers.lb{number}]\nsocket = {socket:?}\nmaster = {master:?}\nconfig = {config:?}\n")
    };
    let balancers: String = balancers.iter().enumerate().map(balancer).collect();
    Pitstop::new(&format!(
        "{balancers}
        [apps.web]
        {servers}
        listen = \"{listen}\"
        [apps.web.service]
        {service}
        [[apps.web.ready]]
        http = \"{scheme}://{listen}/health\"
        {}",
        if scheme == "https" { "insecure = true" } else { "" }
    ))
}

fn service(app: &App) -> String {
    format!("pidfile = {:?}\nstart = {:?}", app.pidfile(), app.start_command())
}

/// Puts the app in, as at boot, and restarts it under load on every frontend.
fn restart_under(loads: &[Options], pitstop: &Pitstop) {
    pitstop.run(&["in", "web"]).assert_code(0);
    let checked = pitstop.run(&["check", "web"]);
    checked.assert_code(0);
    assert!(!checked.stdout.contains("warning: "), "{}", checked.stdout);
    let loads: Vec<Load> = loads.iter().map(Load::start).collect();
    loads.iter().for_each(|load| load.wait_for_requests(100, SOON));
    pitstop.run(&["restart", "web"]).assert_code(0);
    loads.iter().for_each(|load| load.wait_for_requests(100, SOON));
    loads.into_iter().for_each(|load| load.stop().assert_nothing_failed());
}

const VERSIONS: [Version; 2] = [Version::Bed("2.6"), Version::Bed("3.2")];

/// An example with a balancer on the host of its first app, and its other apps on another host.
fn one_balancer(
    example_name: &str,
    frontend: u16,
    listen: &str,
    others: &[&str],
    servers: &str,
    load: impl Fn(SocketAddr) -> Options,
) {
    for version in VERSIONS {
        let _namespace = Namespace::new();
        netns::run(&["ip", "address", "add", "10.0.0.1/32", "dev", "lo"]);
        let elsewhere: Vec<SocketAddr> = others.iter().map(|address| address.parse().unwrap()).collect();
        let addresses: Vec<String> = elsewhere.iter().map(|address| address.ip().to_string()).collect();
        let other_host = host(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
        let _others = other_host.run(|| {
            redirect_by_hand();
            let others = elsewhere.iter().enumerate();
            others.map(|(number, address)| App::new(&format!("other{number}"), *address).started()).collect::<Vec<_>>()
        });
        let listen = listen.parse().unwrap();
        let app = App::new("web", listen).started();
        let frontend = SocketAddr::from((Ipv4Addr::LOCALHOST, frontend));
        let haproxy = Haproxy::start(version, Config::written(&example(example_name), frontend));
        let socket = haproxy.socket().display().to_string();
        let pitstop = pitstop(servers, &service(&app), listen, "http", &[(&haproxy, &socket)]);
        restart_under(&[load(frontend)], &pitstop);
    }
}

fn mix(frontend: SocketAddr) -> Options {
    Options::mix(frontend, LONG)
}

#[test]
fn main_and_backup_entries_lose_nothing() {
    let servers = "servers = [\"srvs/webA\"]\nbackups = [\"srvs/bkpA\"]\nredirect.check_port = 2000";
    one_balancer("r1-main-and-backup.cfg", 80, "127.0.0.1:1000", &["10.0.0.2:1000"], servers, mix);
}

#[test]
fn the_socket_only_loses_nothing() {
    let others = ["10.0.0.2:8080", "10.0.0.3:8080"];
    one_balancer("socket-only.cfg", 80, "10.0.0.1:8080", &others, "servers = [\"app/node1\"]", mix);
}

#[test]
fn sticky_clients_lose_nothing() {
    one_balancer("sticky.cfg", 80, "127.0.0.1:1000", &["10.0.0.2:1000"], "servers = [\"srvs/webA\"]", mix);
}

#[test]
fn tcp_loses_nothing() {
    // A session lasts as long as its connection: clients that keep theirs are in flight all the time.
    let load = |frontend| Options { per_request: 12, ..Options::nobody(frontend) };
    one_balancer("tcp.cfg", 5222, "127.0.0.1:1000", &["10.0.0.2:1000"], "servers = [\"chat/chatA\"]", load);
}

#[test]
fn tls_to_the_apps_loses_nothing() {
    for version in VERSIONS {
        let _namespace = Namespace::new();
        let other_host = host(&["10.0.0.2"]);
        let _other = other_host.run(|| {
            redirect_by_hand();
            RealApp::nginx_with_tls("10.0.0.2:1000".parse().unwrap())
        });
        let listen = "127.0.0.1:1000".parse().unwrap();
        let app = RealApp::nginx_with_tls(listen);
        let frontend = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let haproxy = Haproxy::start(version, Config::written(&example("tls.cfg"), frontend));
        let socket = haproxy.socket().display().to_string();
        let servers = "servers = [\"srvs/webA\"]\nbackups = [\"srvs/bkpA\"]\nredirect.check_port = 2000";
        let service = format!("pidfile = {:?}\nstart = {:?}", app.pidfile(), app.start_command());
        let pitstop = pitstop(servers, &service, listen, "https", &[(&haproxy, &socket)]);
        let options = Options { upload: 0, static_site: true, ..mix(frontend) };
        restart_under(&[options], &pitstop);
    }
}

#[test]
fn two_balancers_lose_nothing() {
    for version in VERSIONS {
        let _namespace = Namespace::new();
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        netns::run(&["ip", "address", "add", "10.0.0.1/32", "dev", "lo"]);
        let (other_host, lb1, lb2) = (host(&["10.0.0.2"]), host(&["10.0.0.11"]), host(&["10.0.0.12"]));
        let _other = other_host.run(|| {
            redirect_by_hand();
            App::new("other", "10.0.0.2:1000".parse().unwrap()).started()
        });
        let listen = "10.0.0.1:1000".parse().unwrap();
        let app = App::new("web", listen).started();
        let frontends = ["10.0.0.11:80", "10.0.0.12:80"].map(|address| address.parse().unwrap());
        let start = |host: &Host, frontend| {
            host.run(|| Haproxy::start(version, Config::written(&example("two-balancers.cfg"), frontend)))
        };
        let balancers = [start(&lb1, frontends[0]), start(&lb2, frontends[1])];
        let servers = "servers = [\"srvs/webA\"]\nbackups = [\"srvs/bkpA\"]\nredirect.check_port = 2000";
        let reached = [(&balancers[0], "tcp:10.0.0.11:9999"), (&balancers[1], "tcp:10.0.0.12:9999")];
        let pitstop = pitstop(servers, &service(&app), listen, "http", &reached);
        restart_under(&frontends.map(mix), &pitstop);
    }
}
