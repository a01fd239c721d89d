//! An app that is a systemd service on a host of its own, and a balancer on another.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::load::{Load, Options};
use integration::machine::Machine;
use integration::netns::Namespace;

use crate::scene::{SOON, assert_lints_clean};

const COPY: &str = "/etc/haproxy/haproxy.cfg";

#[test]
fn with_a_copy_of_the_file_the_unit_is_found_and_nothing_is_dropped() {
    let _namespace = Namespace::new();
    let mut machine = Machine::new();
    let listen = SocketAddr::new(machine.host.far(), 1001);
    let service =
        format!("[Service]\nExecStart=/usr/local/bin/testapp --name=webA --listen={listen} --pidfile=/run/web.pid\n");
    machine.install("web.service", &service);
    machine.boot();
    let neighbour = integration::app::App::new("webB", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1002)).started();
    let frontend = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8000);
    let admin = SocketAddr::new(machine.host.near(), 9999);
    let server = |name, address| Server::new(name, address).check(None, Duration::from_millis(300));
    let backend = Backend::new("srvs").server(server("webA", listen)).server(server("webB", neighbour.listen()));
    let config = Config::new(Mode::Http)
        .global(&format!("stats socket ipv4@{admin} level admin # pitstop: allow socket-open"))
        .defaults("option idle-close-on-response")
        .frontend("www", frontend, "srvs")
        .backend(backend);
    let haproxy = Haproxy::start(Version::Bed("3.0"), config);
    let load = Load::start(&Options::mix(frontend, Duration::from_millis(500)));
    load.wait_for_requests(100, SOON);
    // The socket by its path is on another host.
    let file = std::fs::read_to_string(haproxy.config_file()).unwrap();
    let copied = file.replace("stats socket /", "# stats socket /");
    machine.write(COPY, &copied);

    let host = machine.host.far().to_string();
    let outcome = machine.run(&["pitstop", "init", "--host", &host, "--output", "json"]);
    outcome.assert_code(0);
    let written = machine.read("/etc/pitstop/pitstop.toml");
    assert!(written.contains("\nsystemd = \"web.service\""), "{written}");
    assert!(written.contains(&format!("socket = \"tcp:{admin}\"")), "{written}");

    let events = outcome.events();
    let diff = events.iter().find(|event| event["event"] == "diff").expect("a diff");
    let patch = haproxy.folder().join("patch");
    std::fs::write(&patch, diff["diff"].as_str().unwrap()).unwrap();
    for target in [haproxy.config_file(), machine.path(COPY)] {
        assert!(Command::new("patch").arg(&target).arg(&patch).status().unwrap().success());
    }
    assert_lints_clean(&std::fs::read_to_string(haproxy.config_file()).unwrap(), &[("webA", 2001)]);
    machine.run(&["pitstop", "in", "srvs"]).assert_code(0);
    haproxy.reload();
    machine.run(&["pitstop", "check"]).assert_code(0);
    machine.run(&["pitstop", "restart", "srvs"]).assert_code(0);
    load.wait_for_requests(100, SOON);
    load.stop().assert_nothing_failed();
    for server in ["srvs/webA", "srvs/webA-backup"] {
        haproxy.wait_for_status(server, "UP", SOON);
    }
}
