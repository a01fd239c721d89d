//! `socket-level`, `socket-open`, `socket-owner`: who can take a server out.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use haproxy_cfg::lint::Rule;
use integration::netns::Host;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, setfsuid};
use tempfile::TempDir;

use crate::config::{main_entry, web};
use crate::harm::Harm;
use crate::scene::{Fate, by};

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
        host.run(|| take_out(TcpStream::connect_timeout(&(host.near(), 9999).into(), Duration::from_secs(10))));
        scene.ask(None)
    });
}

#[test]
fn socket_open_by_its_mode_lets_another_user_take_every_server_out() {
    another_user(Rule::SocketOpen, "mode 666", "mode 600");
}

#[test]
fn socket_owner_left_open_lets_another_user_take_every_server_out() {
    another_user(Rule::SocketOwner, "", "mode 600");
}

fn another_user(rule: Rule, bad: &str, good: &str) {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let path = folder.path().join("admin.sock");
    let config = |mode: &str| {
        web(&[], &[main_entry('A')]).global(&format!("stats socket {} {mode} level admin", path.display()))
    };
    // HAProxy has it from whoever starts it.
    umask(Mode::empty());
    Harm::of(rule).shows((config(bad), Fate::Failed(503)), (config(good), by("webA")), |scene| {
        // Whose files a thread may use is its own: setfsuid(2).
        let nobody = || {
            setfsuid(Uid::from_raw(65534));
            take_out(UnixStream::connect(&path));
        };
        std::thread::scope(|scope| scope.spawn(nobody).join().unwrap());
        scene.ask(None)
    });
}

/// What somebody who should not be able to would do.
fn take_out(connection: io::Result<impl Read + Write>) {
    let Ok(mut stream) = connection else { return };
    stream.write_all(b"set server srvs/webA state maint\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}
