//! Errors of the command line itself: what, its causes, a hint, and the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use haproxy_cfg::ParseError;
use nix::errno::Errno;
use serde_json::json;

use super::args::Format;
use super::printer;
use crate::config::{ConfigError, UnknownApp};
use crate::engine::{BuildError, fault};
use crate::haproxy::Unreadable;
use crate::journal::JournalError;
use crate::keeper::KeeperError;
use crate::run::Ending;

/// Why a command could not begin.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself in its message")]
pub enum CliError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    UnknownApp(#[from] UnknownApp),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("could not start")]
    Start { source: std::io::Error },
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("HAProxy could not read this: {0}")]
    HaproxyCfg(#[from] ParseError),
    #[error("could not write to {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Render(#[from] super::haproxy_cfg::RenderError),
    #[error(transparent)]
    Init(#[from] Box<super::init::InitError>),
}

impl From<KeeperError> for CliError {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::Journal(error) => error.into(),
            KeeperError::Build(error) => error.into(),
        }
    }
}

impl CliError {
    /// Prints the error on stderr (as JSON on stdout where asked for), and gives the exit code.
    pub(super) fn print(&self, format: Format) -> ExitCode {
        let code = self.exit_code();
        match format {
            Format::Json => {
                let line = json!({"event": "error", "what": self.what(), "hint": self.hint(), "exit_code": code});
                printer::out(&line.to_string());
            }
            Format::Human => {
                let word = printer::paint(&std::io::stderr(), "31", "error");
                printer::err(&format!("{word}: {}", printer::escape_lines(&self.what())));
                if let Some(hint) = self.hint() {
                    printer::err(&format!("hint: {}", printer::escape_lines(&hint)));
                }
            }
        }
        ExitCode::from(code)
    }

    /// The exit code.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::UnknownApp(_)
            | Self::Build(_)
            | Self::Usage(_)
            | Self::Unreadable(_)
            | Self::Render(_)
            | Self::HaproxyCfg(_) => 2,
            Self::Init(error) => error.exit_code(),
            Self::Start { .. } | Self::Write { .. } => 1,
            // What is owing can't be known.
            Self::Journal(_) => Ending::Stuck.exit_code(),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Config(error) => {
                let shown = error.to_string();
                // Its text ends with its hint.
                let what = shown.split("\nhint: ").next().unwrap_or(&shown).to_owned();
                let is_missing = |cause: &&(dyn std::error::Error + 'static)| {
                    let io = cause.downcast_ref::<std::io::Error>();
                    io.is_some_and(|io| io.kind() == std::io::ErrorKind::NotFound)
                };
                match std::error::Error::source(error).filter(|cause| !is_missing(cause)) {
                    Some(cause) => format!("{what}: {cause}"),
                    None => what,
                }
            }
            _ => fault::chain(self),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint.clone(),
            Self::UnknownApp(error) => Some(error.hint()),
            Self::Build(BuildError::Probe(error)) => error.hint.clone(),
            Self::Journal(error) => error.hint(),
            Self::Start { source } if source.raw_os_error() == Some(Errno::EMFILE as i32) => {
                Some("`ulimit -n` shows how many files may be open: give it more, as with `ulimit -n 1024`".to_owned())
            }
            Self::Unreadable(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("run it as root, or as a user who may read it; nothing was touched".to_owned())
            }
            Self::Unreadable(_) => Some("name the files that HAProxy is given with `-f`".to_owned()),
            Self::Render(error) => Some(error.hint()),
            Self::Init(error) => error.hint(),
            Self::HaproxyCfg(error) => Some(format!("`haproxy -c -f {}` shows what HAProxy says", error.file)),
            Self::Usage(_) | Self::Start { .. } | Self::Write { .. } => None,
        }
    }
}
