//! The host's servers in HAProxy's configuration, those of one address and port together as one app.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use haproxy_cfg::{Address, Config, Place, Proxy, Server};

use super::InitError;
use crate::config::settings::Label;
use crate::haproxy::ServerId;

/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);

/// By which address HAProxy knows the host.
#[derive(Debug)]
pub(super) struct Host {
    text: String,
    /// Where its apps listen.
    ip: IpAddr,
    is_name: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The host's apps, in the order of the files.
    pub(super) apps: Vec<HostApp>,
    /// Lines that may be of the host, and can't be taken.
    pub(super) left: Vec<(Place, String)>,
    /// Main entries of other hosts in the same backends.
    pub(super) others: Vec<String>,
}

/// One app of the host.
#[derive(Debug)]
pub(super) struct HostApp {
    pub(super) name: Label,
    pub(super) listen: SocketAddr,
    pub(super) mains: Vec<Listed>,
    pub(super) backups: Vec<Listed>,
}

/// An entry of an app.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: ServerId,
    pub(super) server: Server,
}

impl Host {
    /// An address as it is; a name is resolved, for the app listens on an address.
    pub(super) async fn resolve(text: &str, others: &[String]) -> Result<Self, InitError> {
        let plain = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = plain.parse() {
            return Ok(Self { text: text.to_owned(), ip, is_name: false });
        }
        if let Address::Network { host, port: Some(_) } = Address::read(text) {
            return Err(InitError::HostWithPort { text: text.to_owned(), host: host.to_owned() });
        }
        // An address that is given beside the name is taken for its.
        let given = others.iter().find_map(|other| other.parse().ok());
        let ip: IpAddr = match given {
            Some(ip) => ip,
            None => resolved(text).await.map_err(|source| InitError::Unresolved { name: text.to_owned(), source })?,
        };
        // Many a host has its own name in /etc/hosts with such an address, on which HAProxy does not reach its apps.
        if given.is_none() && ip.is_loopback() && !text.eq_ignore_ascii_case("localhost") {
            return Err(InitError::ResolvedToLoopback { name: text.to_owned(), ip });
        }
        Ok(Self { text: text.to_owned(), ip, is_name: true })
    }

    /// Whether a server's address is this one: addresses compare as such, names as text.
    fn is_at(&self, address: &str) -> bool {
        match address.parse::<IpAddr>() {
            Ok(ip) => !self.is_name && ip.to_canonical() == self.ip.to_canonical(),
            Err(_) => self.is_name && address.eq_ignore_ascii_case(&self.text),
        }
    }
}

async fn resolved(name: &str) -> std::io::Result<IpAddr> {
    let looked_up = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name, 0)));
    let mut addresses = looked_up.await.map_err(std::io::Error::from)??;
    addresses.next().map(|address| address.ip()).ok_or_else(|| std::io::Error::other("the name has no address"))
}

/// Finds the servers of the host.
pub(super) fn find(config: &Config, hosts: &[Host]) -> Result<Found, InitError> {
    let mut found = Found::default();
    let mut groups: Vec<(SocketAddr, Vec<Listed>, Vec<Listed>)> = Vec::new();
    let mut known = BTreeMap::new();
    for backend in config.backends() {
        for server in backend.server_lines() {
            let Some(address) = server.address.known() else {
                let why = format!("{} stands under a condition, or its address depends on a variable", server.name);
                found.left.push((server.place, why));
                continue;
            };
            let Address::Network { host: host_of, .. } = Address::read(address) else { continue };
            known.insert(host_of.to_owned(), ());
            let Some(host) = hosts.iter().find(|host| host.is_at(host_of)) else { continue };
            let (id, listen) = match usable(config, backend, &server, host) {
                Ok(usable) => usable,
                Err(why) => {
                    found.left.push((server.place, why));
                    continue;
                }
            };
            let at = groups.iter().position(|(other, ..)| *other == listen).unwrap_or_else(|| {
                groups.push((listen, Vec::new(), Vec::new()));
                groups.len() - 1
            });
            let Some((_, mains, backups)) = groups.get_mut(at) else { continue };
            let list = if server.settings.backup.is(&true) { backups } else { mains };
            list.push(Listed { id, server });
        }
    }
    if groups.is_empty() {
        let hosts = hosts.iter().map(|host| host.text.clone()).collect();
        return Err(InitError::NoServer { hosts, known: known.into_keys().take(12).collect() });
    }
    let (apps, nameless) = named(groups);
    found.apps = apps;
    found.left.extend(nameless);
    found.others = others(config, &found.apps);
    Ok(found)
}

/// A server as pitstop can name it.
fn usable(config: &Config, backend: &Proxy, server: &Server, host: &Host) -> Result<(ServerId, SocketAddr), String> {
    if config.words(server.place).first().is_some_and(|word| word.text == "server-template") {
        return Err(format!("{} is one of a server-template: write each as a `server` of its own", server.name));
    }
    let name = format!("{}/{}", backend.name.as_deref().unwrap_or_default(), server.name);
    let id = name.parse().map_err(|error| format!("{name} can't be named: {error}"))?;
    let port = server.port.known().copied().flatten();
    let port = port.ok_or_else(|| format!("{name} has no port of its own: it is the client's"))?;
    if server.settings.backup.known().is_none() {
        return Err(format!("{name}: what its line says depends on a variable"));
    }
    Ok((id, SocketAddr::new(host.ip, port)))
}

/// Names each app after its backend where it is the only one there, else after its first entry; and those lines whose app can't be named.
fn named(groups: Vec<(SocketAddr, Vec<Listed>, Vec<Listed>)>) -> (Vec<HostApp>, Vec<(Place, String)>) {
    let first =
        |mains: &[Listed], backups: &[Listed]| mains.first().or(backups.first()).map(|listed| listed.id.clone());
    let firsts: Vec<_> = groups.iter().filter_map(|(_, mains, backups)| first(mains, backups)).collect();
    let mut taken = HashSet::new();
    let (mut apps, mut nameless) = (Vec::new(), Vec::new());
    for (listen, mains, backups) in groups {
        let Some(id) = first(&mains, &backups) else { continue };
        let is_alone = firsts.iter().filter(|other| other.backend == id.backend).count() == 1;
        let best = if is_alone { id.backend.as_str() } else { id.server.as_str() };
        let Some(name) = label(best, &taken) else {
            let why =
                |listed: &Listed| (listed.server.place, format!("{}: {best:?} makes no name for an app", listed.id));
            nameless.extend(mains.iter().chain(&backups).map(why));
            continue;
        };
        taken.insert(name.clone());
        // One that has only backup entries is taken out by these.
        let (mains, backups) = if mains.is_empty() { (backups, mains) } else { (mains, backups) };
        apps.push(HostApp { name, listen, mains, backups });
    }
    (apps, nameless)
}

/// A free label that is as near as can be to a name of HAProxy's.
fn label(name: &str, taken: &HashSet<Label>) -> Option<Label> {
    let text: String = name.replace(':', "-").trim_start_matches(['.', '-']).chars().take(60).collect();
    let text = if text.is_empty() { "app".to_owned() } else { text };
    let numbered = (2..).map(|number: u32| format!("{text}-{number}"));
    std::iter::once(text.clone())
        .chain(numbered)
        .map_while(|text| text.parse::<Label>().ok())
        .find(|label| !taken.contains(label))
}

/// Main entries of the same backends that are not the host's.
fn others(config: &Config, apps: &[HostApp]) -> Vec<String> {
    let own: HashSet<_> = apps.iter().flat_map(|app| &app.mains).map(|listed| listed.id.to_string()).collect();
    let backends: HashSet<_> =
        apps.iter().flat_map(|app| &app.mains).map(|listed| listed.id.backend.as_str().to_owned()).collect();
    let named = config.backends().filter_map(|backend| Some((backend.name.clone()?, backend)));
    let named = named.filter(|(name, _)| backends.contains(name));
    let mains = named.flat_map(|(name, backend)| {
        let mains = backend.server_lines().filter(|server| server.settings.backup.is(&false));
        mains.map(move |server| format!("{name}/{}", server.name)).collect::<Vec<_>>()
    });
    mains.filter(|name| !own.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn host(text: &str, ip: &str) -> Host {
        Host { text: text.to_owned(), ip: ip.parse().unwrap(), is_name: text != ip }
    }

    fn apps(text: &str, hosts: &[Host]) -> Vec<(String, String, Vec<String>, Vec<String>)> {
        let config = Config::parse("haproxy.cfg", text).unwrap();
        let names = |listed: &[Listed]| listed.iter().map(|listed| listed.id.to_string()).collect::<Vec<_>>();
        let found = find(&config, hosts).unwrap();
        found
            .apps
            .iter()
            .map(|app| (app.name.to_string(), app.listen.to_string(), names(&app.mains), names(&app.backups)))
            .collect()
    }

    #[test]
    fn entries_of_one_address_and_port_are_one_app_across_backends() {
        let text = "backend a\n server x 10.0.0.2:80 check\n server b 10.0.0.2:80 backup\n server y 10.0.0.3:80\n\
                    listen c\n server x ipv4@10.0.0.2:80\n";
        let found = apps(text, &[host("10.0.0.2", "10.0.0.2")]);
        let wanted = ("a", "10.0.0.2:80", ["a/x", "c/x"], ["a/b"]);
        assert_eq!(found.len(), 1);
        let (name, listen, mains, backups) = &found[0];
        assert_eq!((name.as_str(), listen.as_str()), (wanted.0, wanted.1));
        assert_eq!(
            (mains.as_slice(), backups.as_slice()),
            (wanted.2.map(str::to_owned).as_slice(), wanted.3.map(str::to_owned).as_slice())
        );
    }

    #[test]
    fn several_apps_of_a_backend_are_named_after_their_servers() {
        let text = "backend be\n server one:1 [::1]:80\n server two [0:0::1]:81\n";
        let found = apps(text, &[host("::1", "::1")]);
        let names: Vec<_> = found.iter().map(|app| (app.0.as_str(), app.1.as_str())).collect();
        assert_eq!(names, [("one-1", "[::1]:80"), ("two", "[::1]:81")]);
    }

    #[tokio::test]
    async fn a_name_that_this_host_resolves_to_itself_is_none_that_a_balancer_reaches() {
        // Whatever is below this name is of the loopback (RFC 6761), as a host's own name often is in its /etc/hosts.
        let name = "web1.localhost".to_owned();
        let resolved = Host::resolve(&name, std::slice::from_ref(&name)).await;
        assert!(matches!(resolved, Err(InitError::ResolvedToLoopback { .. } | InitError::Unresolved { .. })));
        let error = InitError::ResolvedToLoopback { name: name.clone(), ip: "127.0.1.1".parse().unwrap() };
        assert!(error.hint().unwrap().contains("--host web1.localhost --host ADDRESS"));
        let given = Host::resolve(&name, &[name.clone(), "10.0.0.2".to_owned()]).await.unwrap();
        assert_eq!(given.ip.to_string(), "10.0.0.2");
    }

    #[tokio::test]
    async fn a_host_has_no_port() {
        for (text, host) in [("10.0.0.2:8080", "10.0.0.2"), ("[::1]:8080", "::1"), ("web1:8080", "web1")] {
            let error = Host::resolve(text, &[]).await.unwrap_err();
            assert!(error.hint().unwrap().contains(&format!("without the port: --host {host}")), "{error:?}");
        }
        assert!(Host::resolve("[::1]", &[]).await.is_ok());
    }

    #[test]
    fn names_compare_as_text() {
        let text = "backend be\n server one web1.example.org:80\n server two web2.example.org:80\n";
        let found = apps(text, &[host("WEB1.example.org", "10.0.0.2")]);
        assert_eq!(found[0].2, ["be/one"]);
        assert_eq!(found[0].1, "10.0.0.2:80");
    }

    #[test]
    fn what_depends_on_a_condition_or_gives_many_servers_is_left_and_named() {
        let text =
            "backend be\n server one 10.0.0.2:80\n server-template t 1-3 10.0.0.2:81\n server two \"$HOST\":80\n";
        let config = Config::parse("haproxy.cfg", text).unwrap();
        let found = find(&config, &[host("10.0.0.2", "10.0.0.2")]).unwrap();
        assert_eq!(found.apps.len(), 1);
        assert_eq!(found.left.iter().map(|(place, _)| place.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn where_no_server_is_the_hosts_the_addresses_are_told() {
        let config = Config::parse("haproxy.cfg", "backend be\n server one 10.0.0.2:80\n").unwrap();
        let error = find(&config, &[host("10.0.0.9", "10.0.0.9")]).unwrap_err();
        assert!(error.hint().unwrap().contains("10.0.0.2"));
    }
}
