//! What can be said to HAProxy: closed enums whose parts are all checked, never free text.
//!
//! The texts are those of HAProxy's management guide, section 9.3, and were run against 2.2, 2.6, 3.0 and 3.2.

use std::fmt;
use std::ops::BitOr;

use serde::{Deserialize, Serialize};

use super::{Name, ServerId};

/// A question, or an [`Act`], for a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `show info`: who answers.
    ShowInfo,
    /// `show stat IID KINDS SID`: counters and status.
    ShowStat {
        /// Which proxies.
        proxy: StatScope,
        /// Which kinds of rows.
        kinds: Kinds,
        /// One server's id, or all.
        server: Option<u32>,
    },
    /// `show servers state [BACKEND]`: administrative and operational state.
    ShowServersState(Option<Name>),
    /// `show servers conn [BACKEND]`: connections kept to the servers.
    ShowServersConn(Option<Name>),
    /// `show cli level`: what this socket may do.
    ShowCliLevel,
    /// `show sess`: one line for each stream. Needs `level operator`.
    ShowSessions,
    /// Something that changes HAProxy's state.
    Act(Act),
}

/// A command that changes HAProxy's state. All need `level admin`; all answer nothing on success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// `set server B/S state …`
    SetState {
        /// Whose.
        server: ServerId,
        /// The new administrative state.
        state: AdminAction,
    },
    /// `set server B/S weight …`
    SetWeight {
        /// Whose.
        server: ServerId,
        /// The new weight.
        weight: Weight,
    },
    /// `set server B/S health …`
    SetHealth {
        /// Whose.
        server: ServerId,
        /// The new operational state, until its checks say otherwise.
        health: Health,
    },
    /// `shutdown sessions server B/S`: cuts what is in flight.
    ShutdownSessions(ServerId),
}

impl Act {
    /// The server it is about.
    pub fn server(&self) -> &ServerId {
        match self {
            Self::SetState { server, .. }
            | Self::SetWeight { server, .. }
            | Self::SetHealth { server, .. }
            | Self::ShutdownSessions(server) => server,
        }
    }
}

impl From<Act> for Command {
    fn from(act: Act) -> Self {
        Self::Act(act)
    }
}

/// What `set server B/S state` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminAction {
    /// Takes traffic; clears drain and forced maintenance.
    Ready,
    /// No new clients but those who stick; checks go on.
    Drain,
    /// No new traffic at all; checks pause.
    Maint,
}

/// What `set server B/S health` takes. The server's next checks override it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As if its checks had passed.
    Up,
    /// As if its checks had answered 404 under `http-check disable-on-404`.
    Stopping,
    /// As if its checks had failed.
    Down,
}

/// An absolute weight, 0 to 256 as HAProxy has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u16);

/// Why a number is not a [`Weight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a weight is 0 to 256, not {0}")]
pub struct WeightError(pub u32);

impl Weight {
    /// Takes no new traffic by weight.
    pub const ZERO: Self = Self(0);
    /// The largest that HAProxy accepts.
    pub const MAX: Self = Self(256);

    /// The weight as a number.
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(number: u32) -> Result<Self, WeightError> {
        u16::try_from(number).ok().filter(|weight| *weight <= Self::MAX.0).map(Self).ok_or(WeightError(number))
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.get()
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which proxies `show stat` is about. Never a name: a frontend and a backend may share one, and HAProxy then
/// shows only the frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatScope {
    /// All of them.
    All,
    /// The one with this id, as in [`ServerState::backend_id`](super::ServerState::backend_id).
    Proxy(u32),
}

/// Which kinds of rows `show stat` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Rows of frontends.
    pub const FRONTENDS: Self = Self(1);
    /// Rows of backends.
    pub const BACKENDS: Self = Self(2);
    /// Rows of servers.
    pub const SERVERS: Self = Self(4);
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A command for the master process (`-S`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterCommand {
    /// `show proc`: the master and its workers, old ones too.
    ShowProcesses,
    /// `@!PID …`: a question for one worker.
    Worker {
        /// The worker.
        pid: u32,
        /// The question.
        command: Command,
    },
    /// `quit`: without it the master never closes the connection.
    Quit,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowInfo => f.write_str("show info"),
            Self::ShowStat { proxy, kinds, server } => {
                write!(f, "show stat {proxy} {}", kinds.0)?;
                match server {
                    Some(server) => write!(f, " {server}"),
                    None => f.write_str(" -1"),
                }
            }
            Self::ShowServersState(backend) => with_backend(f, "show servers state", backend),
            Self::ShowServersConn(backend) => with_backend(f, "show servers conn", backend),
            Self::ShowCliLevel => f.write_str("show cli level"),
            Self::ShowSessions => f.write_str("show sess"),
            Self::Act(act) => act.fmt(f),
        }
    }
}

fn with_backend(f: &mut fmt::Formatter<'_>, command: &str, backend: &Option<Name>) -> fmt::Result {
    f.write_str(command)?;
    match backend {
        Some(backend) => write!(f, " {backend}"),
        None => Ok(()),
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetState { server, state } => write!(f, "set server {server} state {state}"),
            Self::SetWeight { server, weight } => write!(f, "set server {server} weight {weight}"),
            Self::SetHealth { server, health } => write!(f, "set server {server} health {health}"),
            Self::ShutdownSessions(server) => write!(f, "shutdown sessions server {server}"),
        }
    }
}

impl fmt::Display for AdminAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Stopping => "stopping",
            Self::Down => "down",
        })
    }
}

impl fmt::Display for StatScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("-1"),
            Self::Proxy(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for MasterCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowProcesses => f.write_str("show proc"),
            Self::Worker { pid, command } => write!(f, "@!{pid} {command}"),
            Self::Quit => f.write_str("quit"),
        }
    }
}
