//! The URL of a probe.

use std::net::Ipv6Addr;
use std::str::FromStr;

use hyper::Uri;

/// An `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Url {
    /// `https` rather than `http`.
    pub(in crate::config) tls: bool,
    /// Name or address; IPv6 without its brackets.
    pub(in crate::config) host: String,
    /// TCP port.
    pub(in crate::config) port: u16,
    /// Path and query; at least `/`.
    pub(in crate::config) path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} is not a URL that can be asked: {why}");
        if text.contains('#') {
            return Err(wrong("a fragment is never sent to a server"));
        }
        if !text.is_ascii() {
            return Err(wrong("write other than ASCII characters as %XX"));
        }
        let uri: Uri = text.parse().map_err(|error: hyper::http::uri::InvalidUri| wrong(&error.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user name or password does not belong here; use `request_headers`"));
        }
        let port = port(authority.as_str(), authority.host())
            .ok_or_else(|| wrong("its port is not one of 1 to 65535"))?
            .unwrap_or(if tls { 443 } else { 80 });
        Ok(Self {
            tls,
            host: host(authority.host()).ok_or_else(|| wrong("its host is neither name nor address"))?,
            port,
            path: path(&uri),
        })
    }
}

/// The target of the request: `http://host?query` asks for `/?query` (RFC 9112, section 3.2.1).
fn path(uri: &Uri) -> String {
    match uri.path_and_query().map(|path| path.as_str()) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(query) => format!("/{query}"),
        None => "/".to_owned(),
    }
}

/// The port after the host; `None` if there is one that is wrong. (`Authority::port` does not tell that from none.)
fn port(authority: &str, host: &str) -> Option<Option<u16>> {
    match authority.strip_prefix(host)?.strip_prefix(':') {
        None => Some(None),
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => digits.parse().ok().filter(|port| *port != 0).map(Some),
    }
}

/// The host without the brackets of IPv6.
fn host(host: &str) -> Option<String> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(|a| a.to_string()),
        None if host.is_empty() => None,
        None => Some(host.to_owned()),
    }
}
