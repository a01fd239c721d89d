//! Values that are one text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::header::{HeaderName, HeaderValue};
use rustls_pki_types::ServerName as TlsName;

/// An address and port; no host name, which could change its meaning between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Endpoint(pub(in crate::config) SocketAddr);

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Err("port 0 is not a port".to_owned()),
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(format!("{text:?} is not ADDRESS:PORT (an address, not a name; [ADDRESS]:PORT for IPv6)")),
        }
    }
}

/// A path that means the same from every directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AbsolutePath(pub(in crate::config) PathBuf);

impl FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            Err(format!("{text:?} is not an absolute path"))
        } else if text.contains('\0') {
            Err("a path can't contain NUL".to_owned())
        } else {
            Ok(Self(PathBuf::from(text)))
        }
    }
}

/// The name of a service unit with its `.service`, which may be left out in the file as `systemctl` allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct UnitName(pub(in crate::config) String);

/// The types of units (systemd.unit(5)).
const UNIT_TYPES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

impl FromStr for UnitName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
        if let Some(character) = text.chars().find(|c| !allowed(*c)) {
            return Err(format!(
                "{character:?} is not allowed in the name of a unit (letters, digits, `:`, `-`, `_`, `.`, `\\` and `@` are)"
            ));
        }
        let kind = text.rsplit_once('.').map(|(_, kind)| kind).filter(|kind| UNIT_TYPES.contains(kind));
        let unit = match kind {
            Some("service") => text.to_owned(),
            Some(kind) => {
                return Err(format!("a {kind} can't be restarted as an app; name its service"));
            }
            None => format!("{text}.service"),
        };
        let stem = unit.strip_suffix(".service").unwrap_or_default();
        if stem.is_empty() || stem.starts_with('@') {
            Err("the name of the unit is empty".to_owned())
        } else if stem.ends_with('@') {
            Err(format!("{unit:?} is a template; name an instance, as in \"web@1.service\""))
        } else if unit.len() > 255 {
            Err("the name of a unit has at most 255 characters".to_owned())
        } else {
            Ok(Self(unit))
        }
    }
}

/// The name of a header field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct HeaderWord(pub(in crate::config) String);

impl FromStr for HeaderWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match HeaderName::try_from(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(format!("{text:?} is not the name of a header field")),
        }
    }
}

/// The value of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct HeaderText(pub(in crate::config) String);

impl FromStr for HeaderText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match HeaderValue::try_from(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("the value of a header field can't contain control characters"),
        }
    }
}

/// A name that a certificate can bear: a DNS name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ServerName(pub(in crate::config) String);

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match TlsName::try_from(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(format!("{text:?} is not a DNS name or address")),
        }
    }
}
