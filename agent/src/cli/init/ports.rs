//! Ports for the checks of main entries: those that are there, and free ones for the others.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

use haproxy_cfg::Config;

use super::host::HostApp;
use crate::drain::sockets::Sockets;

/// How far above the traffic port a check port is looked for first.
const ABOVE: u16 = 1000;

/// On which port an app's main entries are to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckPort {
    /// On one of their own, which a redirect leads to the app.
    Own(u16),
    /// Something answers on the port that they are checked on: the app's own page for checks. The socket alone takes them out.
    Answered(u16),
    /// The socket alone takes them out.
    Traffic,
}

/// One for each app. `first` is the first to try.
pub(super) async fn choose(config: &Config, apps: &[HostApp], first: Option<u16>) -> Vec<CheckPort> {
    let mut used = used(config);
    let mut chosen = Vec::new();
    for app in apps {
        let is_backup = app.mains.iter().all(|main| main.server.settings.backup.is(&true));
        let port = match written(app) {
            _ if is_backup => CheckPort::Traffic,
            Some(port) if answers(app.listen, port).await => CheckPort::Answered(port),
            Some(port) if !chosen.contains(&CheckPort::Own(port)) => CheckPort::Own(port),
            _ => CheckPort::Own(free(app.listen, first, &used).await),
        };
        if let CheckPort::Own(port) = port {
            used.insert(port);
        }
        chosen.push(port);
    }
    chosen
}

/// The port of its own that a main entry is checked on already.
fn written(app: &HostApp) -> Option<u16> {
    let ports = app.mains.iter().filter_map(|main| main.server.check_port.known().copied().flatten());
    ports.into_iter().find(|port| *port != app.listen.port())
}

async fn free(listen: SocketAddr, first: Option<u16>, used: &BTreeSet<u16>) -> u16 {
    let first = first.or_else(|| listen.port().checked_add(ABOVE)).unwrap_or(ABOVE);
    for port in (first..=u16::MAX).chain(1024..first) {
        if !used.contains(&port) && !answers(listen, port).await {
            return port;
        }
    }
    first
}

/// Whether something listens there, where that can be seen from here. What can't be read counts as nothing.
async fn answers(listen: SocketAddr, port: u16) -> bool {
    let is_here = UdpSocket::bind((listen.ip(), 0)).is_ok();
    let sockets = Sockets::new(SocketAddr::new(listen.ip(), port), Vec::new());
    is_here && sockets.listening().await.is_ok_and(|listening| !listening.is_empty())
}

/// Every port that the files name: after a colon, and after `port`.
fn used(config: &Config) -> BTreeSet<u16> {
    let mut used = BTreeSet::new();
    for (file, number) in config.document().files().iter().zip(0..) {
        for line in 1..=file.lines() {
            let words = config.words(haproxy_cfg::Place { file: number, line });
            let after = words.windows(2).filter_map(|pair| match pair {
                [keyword, port] if keyword.text.ends_with("port") => Some(port.text.as_str()),
                _ => None,
            });
            let ends = words.iter().flat_map(|word| word.text.split(',')).filter_map(|part| part.rsplit_once(':'));
            for text in after.chain(ends.map(|(_, port)| port)) {
                used.extend(range(text));
            }
        }
    }
    used
}

/// `80` or `80-90`
fn range(text: &str) -> impl Iterator<Item = u16> + use<> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok(), last.parse().ok());
    first.zip(last).map(|(first, last)| first..=last).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_port_that_the_files_name_counts_as_used() {
        let text = "frontend f\n bind :80,:81\n bind 10.0.0.1:90-92\nbackend b\n server x [::1]:1000 check port 2000 agent-port 3000 maxconn 500\n";
        let config = Config::parse("haproxy.cfg", text).unwrap();
        assert_eq!(used(&config).into_iter().collect::<Vec<_>>(), [80, 81, 90, 91, 92, 1000, 2000, 3000]);
    }

    #[tokio::test]
    async fn a_port_that_is_used_or_answers_is_not_chosen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let listen = "127.0.0.1:9".parse().unwrap();
        assert_ne!(free(listen, Some(taken), &BTreeSet::new()).await, taken);
        assert_eq!(free("192.0.2.1:1000".parse().unwrap(), None, &BTreeSet::from([2000])).await, 2001);
    }
}
