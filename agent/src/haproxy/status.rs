//! The `status` column of `show stat`.

use std::fmt;

use super::ServerId;

/// What HAProxy shows as a row's status.
///
/// It mixes administrative and operational state: a drained server whose checks fail is `DOWN`, and one with weight 0 is
/// `UP`. Whether a server is drained or in maintenance, ask [`AdminState`](super::AdminState).
/// The texts are those of `stats.c`, the same from 2.2 to 3.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `UP`; with progress (`UP 1/3`), some checks have failed.
    Up(Option<Progress>),
    /// `DOWN`; with progress (`DOWN 1/2`), some checks have passed.
    Down(Option<Progress>),
    /// `DOWN (agent)`: its agent said so.
    DownByAgent,
    /// `NOLB`: takes only those who stick.
    NoLoadBalancing(Option<Progress>),
    /// `DRAIN`
    Drain(Option<Progress>),
    /// `DRAIN (agent)`: drained, and agent-check is on; not necessarily by the agent.
    DrainByAgent,
    /// `no check`
    NoCheck,
    /// `MAINT`
    Maint,
    /// `MAINT (via B/S)`: the server that it tracks is in maintenance.
    MaintVia(ServerId),
    /// `MAINT (resolution)`: its name does not resolve.
    MaintResolution,
    /// `OPEN`: a frontend that takes traffic.
    Open,
    /// `FULL`: a frontend at its limit.
    Full,
    /// `STOP`: a frontend that was stopped.
    Stop,
    /// A text that is not known here, as it came.
    Unknown(String),
}

/// How far a server is on its way to the other state: `at/of` checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Checks so far; HAProxy has been seen to print -1.
    pub at: i64,
    /// Checks needed.
    pub of: i64,
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        recognise(text)
            // Nothing is lost: what would not be written the same way stays as it came.
            .filter(|status| status.to_string() == text)
            .unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }
}

fn recognise(text: &str) -> Option<Status> {
    Some(match text {
        "DOWN (agent)" => Status::DownByAgent,
        "DRAIN (agent)" => Status::DrainByAgent,
        "no check" => Status::NoCheck,
        "MAINT" => Status::Maint,
        "MAINT (resolution)" => Status::MaintResolution,
        "OPEN" => Status::Open,
        "FULL" => Status::Full,
        "STOP" => Status::Stop,
        _ => {
            if let Some(via) = text.strip_prefix("MAINT (via ") {
                return Some(Status::MaintVia(via.strip_suffix(')')?.parse().ok()?));
            }
            let (word, progress) = match text.split_once(' ') {
                Some((word, progress)) => (word, Some(Progress::parse(progress)?)),
                None => (text, None),
            };
            match word {
                "UP" => Status::Up(progress),
                "DOWN" => Status::Down(progress),
                "NOLB" => Status::NoLoadBalancing(progress),
                "DRAIN" => Status::Drain(progress),
                _ => return None,
            }
        }
    })
}

impl Progress {
    fn parse(text: &str) -> Option<Self> {
        let (at, of) = text.split_once('/')?;
        Some(Self { at: at.parse().ok()?, of: of.parse().ok()? })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, progress) = match self {
            Self::Up(progress) => ("UP", progress),
            Self::Down(progress) => ("DOWN", progress),
            Self::NoLoadBalancing(progress) => ("NOLB", progress),
            Self::Drain(progress) => ("DRAIN", progress),
            Self::DownByAgent => ("DOWN (agent)", &None),
            Self::DrainByAgent => ("DRAIN (agent)", &None),
            Self::NoCheck => ("no check", &None),
            Self::Maint => ("MAINT", &None),
            Self::MaintVia(server) => return write!(f, "MAINT (via {server})"),
            Self::MaintResolution => ("MAINT (resolution)", &None),
            Self::Open => ("OPEN", &None),
            Self::Full => ("FULL", &None),
            Self::Stop => ("STOP", &None),
            Self::Unknown(text) => (text.as_str(), &None),
        };
        f.write_str(word)?;
        match progress {
            Some(Progress { at, of }) => write!(f, " {at}/{of}"),
            None => Ok(()),
        }
    }
}
