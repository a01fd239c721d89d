//! Reads `haproxy.cfg` and says what in it matters for a restart.
//!
//! Pure: no files, no network, no clock. [`Config::read`] keeps every byte of the files ([`Document`]), cuts their lines into words as
//! HAProxy does, and follows what `defaults`, `default-server` and the sections' own lines say, in their order. What
//! comes out is [`Effective`]: a value and the line that gives it, or *unknown* where that depends on an `.if` or on
//! a variable that [`Environment`] does not tell. Nothing is guessed.
//!
//! ```
//! use haproxy_cfg::Config;
//!
//! let text = "
//! defaults
//!     default-server inter 500 on-marked-down shutdown-sessions
//! backend srvs
//!     server webA 127.0.0.1:1000 check port 2000
//! ";
//! let config = Config::parse("haproxy.cfg", text)?;
//! let server = config.server("srvs", "webA").ok_or("not there")?;
//! assert_eq!(server.settings.inter.known().map(|inter| inter.as_millis()), Some(500));
//! assert_eq!(server.settings.inter.place().map(|place| config.document().describe(place)), Some("haproxy.cfg:3".into()));
//! assert_eq!(config.kills_on_down("srvs", "webA"), Some(true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Facts are from HAProxy's configuration manual, versions 2.2 to 3.2; the tests compare them with a real HAProxy.

mod address;
mod block;
mod condition;
mod config;
mod delay;
mod document;
mod effective;
mod error;
mod expand;
mod global;
pub mod lint;
mod proxy;
mod proxy_settings;
mod reader;
pub mod render;
mod section;
mod server;
mod server_settings;
mod source;
mod variables;
mod word;

pub use address::Address;
pub use config::Config;
pub use document::{Document, File, Place, Span};
pub use effective::Effective;
pub use error::ParseError;
pub use global::{Global, GlobalSettings, Level, StatsSocket};
pub use proxy::{Proxy, ProxyKind};
pub use proxy_settings::{HashType, HttpReuse, LoadServerState, Mode, ProxySettings};
pub use section::Section;
pub use server::Server;
pub use server_settings::{OnMarkedDown, OnMarkedUp, ServerSettings};
pub use source::{Environment, Source};
pub use word::Word;
