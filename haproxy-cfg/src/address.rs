//! Addresses as HAProxy writes them (configuration manual, 11; `str2sa_range()` in `tools.c`).

use std::net::IpAddr;

/// An address in its parts. Every text is one: what HAProxy would refuse is a host by that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// A socket in the file system: `/run/app.sock`, `unix@…`, `uxst@…`, `uxdg@…`. Where it does not begin with `/`, it is below
    /// HAProxy's own folder.
    Path(&'a str),
    /// A socket in the abstract name space: `abns@…`, `abnsz@…`.
    Abstract(&'a str),
    /// A file that HAProxy has open: `fd@…`, `sockpair@…`.
    Descriptor(&'a str),
    /// Connections that the other side opens: `rhttp@…`, and `rev@…` or `@…` before its release.
    Reverse(&'a str),
    /// Over the network: `127.0.0.1:80`, `[::1]:80`, `app.example`, `*:80`, `:80`, or behind `ipv4@`, `udp6@`, `quic4@` and their like.
    Network {
        /// An address without brackets, or a name; empty or `*` for every address.
        host: &'a str,
        /// `None` where there is none, or one that depends on the client's (`+100`), or a range.
        port: Option<u16>,
    },
}

/// What may stand before a family.
const TRANSPORTS: &[&str] = &["stream+", "dgram+", "quic+"];

/// Families of addresses in a network.
const NETWORKS: &[&str] = &[
    "ip@", "ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@", "mptcp@", "mptcp4@", "mptcp6@", "udp@", "udp4@", "udp6@",
    "quic@", "quic4@", "quic6@",
];

impl<'a> Address<'a> {
    /// Cuts an address into its parts.
    pub fn read(text: &'a str) -> Self {
        let text = behind(text, TRANSPORTS).unwrap_or(text);
        if text.starts_with('/') {
            return Self::Path(text);
        }
        behind(text, &["unix@", "uxst@", "uxdg@"])
            .map(Self::Path)
            .or_else(|| behind(text, &["abns@", "abnsz@"]).map(Self::Abstract))
            .or_else(|| behind(text, &["fd@", "sockpair@"]).map(Self::Descriptor))
            .or_else(|| behind(text, &["rhttp@", "rev@", "@"]).map(Self::Reverse))
            .unwrap_or_else(|| Self::network(behind(text, NETWORKS).unwrap_or(text)))
    }

    /// A port follows the last `:`, unless a `]` comes after it.
    fn network(text: &'a str) -> Self {
        let colon = text.rfind([':', ']']).filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(':')));
        let (host, port) = colon.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        let digits = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Self::Network { host: bare.unwrap_or(host), port: digits.and_then(|digits| digits.parse().ok()) }
    }

    /// The IP address, where it is written as one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Network { host, .. } => host.parse().ok(),
            _ => None,
        }
    }

    /// The port, where it is a fixed one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Network { port, .. } => *port,
            _ => None,
        }
    }

    /// Whether it is in a network, at every address of this host; of a server, at the one that the client wants to reach.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Network { host: "" | "*", .. }) || self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    /// Whether it is in a network, and only this host reaches it.
    pub fn is_loopback(&self) -> bool {
        matches!(self, Self::Network { host: "localhost", .. }) || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether it is in a network, and its host is a name that has to be resolved.
    pub fn is_name(&self) -> bool {
        matches!(self, Self::Network { .. }) && self.ip().is_none() && !self.is_any()
    }
}

/// What follows one of these prefixes.
fn behind<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(host: &str, port: impl Into<Option<u16>>) -> Address<'_> {
        Address::Network { host, port: port.into() }
    }

    #[test]
    fn an_address_in_a_network_has_a_host_and_a_port() {
        for (text, wanted) in [
            ("127.0.0.1:80", network("127.0.0.1", 80)),
            ("127.0.0.1", network("127.0.0.1", None)),
            ("127.0.0.1:", network("127.0.0.1", None)),
            ("app.example:080", network("app.example", 80)),
            ("[::1]:1", network("::1", 1)),
            ("[::1]", network("::1", None)),
            ("fd00::1:80", network("fd00::1", 80)),
            (":::80", network("::", 80)),
            (":80", network("", 80)),
            ("*:80", network("*", 80)),
            ("*", network("*", None)),
            ("", network("", None)),
            ("10.0.0.1:+100", network("10.0.0.1", None)),
            ("10.0.0.1:-100", network("10.0.0.1", None)),
            ("10.0.0.1:80-90", network("10.0.0.1", None)),
            ("10.0.0.1:65536", network("10.0.0.1", None)),
            ("ipv4@10.0.0.1:80", network("10.0.0.1", 80)),
            ("ipv6@[fd00::1]:80", network("fd00::1", 80)),
            ("udp6@:53", network("", 53)),
            ("quic4@10.0.0.1:443", network("10.0.0.1", 443)),
            ("stream+ipv4@10.0.0.1:80", network("10.0.0.1", 80)),
            ("nobody@10.0.0.1:80", network("nobody@10.0.0.1", 80)),
        ] {
            assert_eq!(Address::read(text), wanted, "{text}");
        }
    }

    #[test]
    fn an_address_elsewhere_is_told_by_its_prefix() {
        for (text, wanted) in [
            ("/run/app.sock", Address::Path("/run/app.sock")),
            ("unix@/run/app.sock", Address::Path("/run/app.sock")),
            ("unix@app.sock", Address::Path("app.sock")),
            ("uxst@/run/a:1", Address::Path("/run/a:1")),
            ("dgram+unix@/run/app.sock", Address::Path("/run/app.sock")),
            ("abns@app", Address::Abstract("app")),
            ("abnsz@app", Address::Abstract("app")),
            ("fd@3", Address::Descriptor("3")),
            ("sockpair@4", Address::Descriptor("4")),
            ("rhttp@", Address::Reverse("")),
            ("rev@app/s1", Address::Reverse("app/s1")),
            ("@reverse", Address::Reverse("reverse")),
        ] {
            assert_eq!(Address::read(text), wanted, "{text}");
        }
    }

    #[test]
    fn where_an_address_is_reached_follows_from_its_host() {
        let all = |text: &str| {
            let address = Address::read(text);
            (address.is_any(), address.is_loopback(), address.is_name())
        };
        for text in ["*:80", ":80", "0.0.0.0:80", "[::]:80", "ipv4@*:80", "ipv6@:::80"] {
            assert_eq!(all(text), (true, false, false), "{text}");
        }
        for text in ["127.0.0.1:80", "ipv4@127.1.2.3:80", "[::1]:80"] {
            assert_eq!(all(text), (false, true, false), "{text}");
        }
        assert_eq!(all("localhost:80"), (false, true, true));
        assert_eq!(all("tcp@app.example:80"), (false, false, true));
        assert_eq!(all("10.0.0.1"), (false, false, false));
        for text in ["/run/localhost", "abns@localhost", "fd@0", "rhttp@", "@"] {
            assert_eq!(all(text), (false, false, false), "{text}");
        }
    }
}
