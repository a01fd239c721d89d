//! `socket-level`, `socket-open`: who can take a server out.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use haproxy_cfg::lint::Rule;
use integration::netns::Host;

use crate::scene::{Fate, Harm, by, main_entry, web};

#[test]
fn socket_level_operator_leaves_a_server_in_that_was_to_be_taken_out() {
    let good = web(&[], &[main_entry('A'), main_entry('B')]);
    let bad = good.clone().socket_level("operator");
    let everybody = [by("webA"), by("webB")].into();
    Harm::of(Rule::SocketLevel).shows((bad, everybody), (good, [by("webB")].into()), |scene| {
        scene.haproxy.command("set server srvs/webA state maint");
        scene.ask_around()
    });
}

#[test]
fn socket_open_lets_another_host_take_every_server_out() {
    let config =
        |address: &str| web(&[], &[main_entry('A')]).global(&format!("stats socket ipv4@{address}:9999 level admin"));
    let [bad, good] = ["*", "127.0.0.1"].map(config);
    Harm::of(Rule::SocketOpen).shows((bad, Fate::Failed(503)), (good, by("webA")), |scene| {
        let host = Host::new();
        host.run(|| take_out(host.near()));
        scene.ask(None)
    });
}

/// What a host that should not be able to do so would try.
fn take_out(balancer: IpAddr) {
    let Ok(mut stream) = TcpStream::connect_timeout(&(balancer, 9999).into(), Duration::from_secs(10)) else { return };
    stream.write_all(b"set server srvs/webA state maint\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}
