//! Writing the main and backup recipe.
//!
//! Every server of an app stands twice in its backend. The main entry is checked on a port of its own, which a redirect on the
//! app's host sends to the app; the backup entry for the very same server is checked on its real port. Without the redirect the main
//! entry goes down, new clients go elsewhere, and those who stick are still served by the backup entry.
//!
//! | file | what it does |
//! |---|---|
//! | `text` | writes it as text |
//! | `adopt` | finds what an existing configuration lacks of it |
//! | `line` | a `server` line as its name, address and settings, and its twin |
//! | [`edit`] | changes single lines of a configuration and leaves all others |

mod adopt;
pub mod edit;
mod line;
mod text;

use std::net::SocketAddr;
use std::time::Duration;

pub use self::adopt::{Adoption, LeftAlone, Wanted, adopt};
pub use self::text::quote;

/// What is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The admin socket; `None` where there is none.
    pub socket: Option<AdminSocket>,
    /// The master socket, which is given on HAProxy's command line and so only named.
    pub master: Option<String>,
    /// Where the frontend listens, as HAProxy's `bind` has it; `None`: it is only shown in a comment.
    pub bind: Option<String>,
    /// The backends.
    pub backends: Vec<Backend>,
}

/// Where commands are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminSocket {
    /// A path.
    Unix(String),
    /// An address.
    Tcp(SocketAddr),
}

/// One backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Whether it speaks HTTP, and not whatever goes over TCP.
    pub http: bool,
    /// The cookie by which clients stick; `None` where they do not.
    pub cookie: Option<String>,
    /// What a check asks; `None`: nothing, a connect is enough.
    pub check: Option<HttpCheck>,
    /// How long a check may take, where that is not 2 s.
    pub check_timeout: Option<Duration>,
    /// Its entries in their order; main entries are written first.
    pub entries: Vec<Entry>,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// The path, with its query.
    pub uri: String,
    /// The host's name; `None` where none is wanted.
    pub host: Option<String>,
    /// The answers that count as healthy; none: those that HAProxy takes, which are all from 200 to 399.
    pub status: Vec<u16>,
}

/// One entry of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The server's address and port.
    pub address: String,
    /// The port of its own that it is checked on; `None`: that of the address.
    pub check_port: Option<u16>,
    /// The value by which clients stick to it, the same for all entries of a server.
    pub cookie: Option<String>,
    /// Whether it is spoken to in TLS.
    pub tls: bool,
    /// Whether it is the backup entry.
    pub backup: bool,
    /// The pause between two checks.
    pub inter: Duration,
    /// So many failed checks in a row make it DOWN.
    pub fall: u32,
    /// So many passed checks in a row make it UP.
    pub rise: u32,
}
