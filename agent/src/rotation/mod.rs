//! In and out of rotation: HAProxy's admin state, the redirect of the check port, and the gate.

pub mod admin;
pub mod chain;
pub mod error;
pub mod findings;
pub mod foreign;
pub mod gate;
pub mod guard;
mod invocation;
pub mod iptables;
mod listeners;
pub mod mark;
pub mod ports;
pub mod redirect;
pub mod refusals;
pub mod rule;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::haproxy;

/// The moves between in and out. Each can be repeated without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// No new clients; those who stick go on.
    Soften,
    /// Nobody comes any more.
    TakeOut,
    /// In again, after proof.
    PutBack,
    /// Exactly as it was found.
    Restore,
}

/// Where an app stands with one driver, by the other side's own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Takes new clients.
    In,
    /// Takes only those who stick.
    Softened,
    /// Takes nothing new.
    Out,
}

/// One way of taking an app out of rotation and putting it back.
#[async_trait]
pub trait Rotation: Send {
    /// Its name for people and the journal: a balancer's, `redirect` or `gate`.
    fn place(&self) -> &str;

    /// The exact acts that a move takes, given what was found.
    fn acts(&self, step: Move) -> Vec<String>;

    /// Makes the move, and confirms it by reading back.
    async fn make(&mut self, step: Move) -> Result<(), RotationError>;

    /// Where the app stands now.
    async fn standing(&mut self) -> Result<Standing, RotationError>;
}

/// Why a move failed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// HAProxy did not answer, or refused.
    #[error("balancer {balancer}: {source}")]
    HaProxy {
        /// The balancer's name in `pitstop.toml`.
        balancer: String,
        /// Why.
        source: haproxy::Error,
    },
    /// The firewall's rules, or what answers behind them.
    #[error(transparent)]
    Rules(#[from] error::RulesError),
    /// HAProxy took the command without a word, and its record does not show it.
    #[error("balancer {balancer}: {servers} did not become {wanted}, though HAProxy accepted the command")]
    NotConfirmed {
        /// The balancer's name in `pitstop.toml`.
        balancer: String,
        /// The entries.
        servers: String,
        /// What they should be.
        wanted: &'static str,
    },
    /// An entry of the configuration is not there.
    #[error("balancer {balancer}: there is no server {server}")]
    NoSuchServer {
        /// The balancer's name in `pitstop.toml`.
        balancer: String,
        /// The entry.
        server: haproxy::ServerId,
        /// Those that are there, for a hint.
        known: Vec<haproxy::ServerId>,
    },
}

impl RotationError {
    /// What to type next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::HaProxy { source, .. } => source.hint(),
            Self::Rules(error) => Some(error.hint()),
            Self::NotConfirmed { .. } => {
                Some("somebody else, or an agent-check, sets it back: look who, with `pitstop status`".to_owned())
            }
            Self::NoSuchServer { server, known, .. } => {
                let near = known.iter().map(ToString::to_string).max_by(|a, b| {
                    let near = |name: &str| strsim::jaro_winkler(name, &server.to_string());
                    near(a).total_cmp(&near(b))
                });
                near.map(|near| {
                    format!("did you mean \"{near}\"? names are case-sensitive; `show servers state` lists them")
                })
            }
        }
    }

    /// Whether the balancer could not be reached, or gave no answer, rather than refused.
    pub fn is_unreachable(&self) -> bool {
        let unknown = |kind: &haproxy::ErrorKind| matches!(kind, haproxy::ErrorKind::OutcomeUnknown { .. });
        matches!(self, Self::HaProxy { source, .. } if source.is_unreachable() || unknown(&source.kind))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Softened => "draining",
            Self::Out => "out",
        })
    }
}
