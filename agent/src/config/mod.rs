//! `pitstop.toml`: as written (`file`), then as checked values ([`settings`]), which are all that the rest sees.
//!
//! ```text
//! path ─► read ─► text ─► file, value ─► check ─► Settings
//!           │               │              │
//!           └───────────────┴── explain ───┴────► ConfigError: file, line, column, what, hint
//! ```

mod check;
mod error;
mod explain;
mod file;
mod read;
pub mod settings;
mod suggest;
mod trust;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::{ConfigError, Position};
pub use settings::{Settings, UnknownApp};

/// Where the configuration stands unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/pitstop/pitstop.toml";

/// Reads and checks the configuration.
///
/// Refuses a file that somebody other than root or the current user could change, since it names commands to run:
/// the file and each directory above it must belong to one of the two and must not be writable for group or others
/// (a sticky directory such as `/tmp` may be). Reads at most 1 MiB.
///
/// # Errors
///
/// The first thing found wrong, with its place in the file where it has one.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    parse(path, &read::read(path)?)
}

/// Checks a configuration that has been read already; `path` is only named in errors.
///
/// # Errors
///
/// The first thing found wrong, with its place in the text.
pub fn parse(path: &Path, text: &str) -> Result<Settings, ConfigError> {
    toml::from_str(text)
        .map_err(|error| explain::explain(&error, text))
        .and_then(check::settings)
        .map_err(|fault| fault.into_error(path, text))
}
