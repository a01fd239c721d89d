//! Where a HAProxy listens for commands.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address of an admin or master socket: an absolute path, or `tcp:ADDRESS:PORT` (`tcp:[ADDRESS]:PORT` for IPv6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP socket. No host names: a restart must not hang on a resolver.
    Tcp(SocketAddr),
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an absolute path, or tcp:ADDRESS:PORT as in \"tcp:10.0.0.5:9999\" or \"tcp:[fd00::5]:9999\"")]
pub struct AddressError;

impl Address {
    /// What to type in a shell to ask it something by hand.
    pub fn command(&self, line: &str) -> String {
        match self {
            Self::Unix(path) => format!("echo '{line}' | socat - UNIX-CONNECT:{}", path.display()),
            Self::Tcp(address) => format!("echo '{line}' | socat - TCP:{address}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.contains('\0') {
            return Err(AddressError);
        }
        match text.strip_prefix("tcp:") {
            Some(address) => address.parse().map(Self::Tcp).map_err(|_| AddressError),
            None if text.starts_with('/') => Ok(Self::Unix(PathBuf::from(text))),
            None => Err(AddressError),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}
