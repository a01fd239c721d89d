//! Configurations, and what they are made of.

use std::net::SocketAddr;
use std::time::Duration;

use integration::haproxy::{Backend, Config, Mode, Server};

/// Where clients go.
pub(crate) const FRONTEND: u16 = 8000;

const CHECK_INTERVAL: Duration = Duration::from_millis(100);

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

/// A backend that nobody uses, whose check by a connect to webA takes twice as many tries as any other to go down or come up: once it
/// has, all others that could have seen it have.
pub(crate) fn witness(check_port: u16) -> Backend {
    let server = Server::new("webA", at(1001)).check(Some(check_port), CHECK_INTERVAL).word("fall 6 rise 6");
    Backend::new("witness").line("mode tcp").server(server)
}

fn port(letter: char) -> u16 {
    1001 + u16::try_from(u32::from(letter) - u32::from('A')).unwrap()
}
