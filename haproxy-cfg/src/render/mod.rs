//! Writing the main and backup recipe.
//!
//! Every server of an app stands twice in its backend. The main entry is checked on a port of its own, which a redirect on the
//! app's host sends to the app; the backup entry for the very same server is checked on its real port. Without the redirect the main
//! entry goes down, new clients go elsewhere, and those who stick are still served by the backup entry.
//!
//! | file | what it does |
//! |---|---|
//! | `text` | writes it as text |
//! | [`edit`] | changes single lines of a configuration and leaves all others |

pub mod edit;
mod text;

pub use self::text::quote;

/// What is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The admin socket; `None` where there is none.
    pub socket: Option<String>,
    /// The backends.
    pub backends: Vec<Backend>,
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
    /// Its servers.
    pub servers: Vec<Server>,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// The path, with its query.
    pub uri: String,
    /// The host's name; `None` where none is wanted.
    pub host: Option<String>,
    /// The answers that count as healthy.
    pub status: Vec<u16>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name of its main entry.
    pub main: String,
    /// The name of its backup entry; `None` where it has none.
    pub backup: Option<String>,
    /// Its address and port.
    pub address: String,
    /// The port of its own that the main entry is checked on; `None` where a socket alone takes it out.
    pub check_port: Option<u16>,
    /// The value by which clients stick to it.
    pub cookie: Option<String>,
}
