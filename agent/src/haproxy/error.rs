//! What can go wrong between here and HAProxy, and what to do about it.

use std::fmt::{self, Write as _};
use std::io;

use super::{Address, ServerId};

/// A call that failed, and at which socket.
#[derive(Debug)]
pub struct Error {
    /// The socket.
    pub address: Address,
    /// What happened.
    pub kind: ErrorKind,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HAProxy at {}: {}", self.address, self.kind)
    }
}

impl std::error::Error for Error {
    /// The cause of the kind, which itself is displayed already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

/// What happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no file where the socket should be.
    #[error("no such socket")]
    Missing,
    /// The socket's file, or a directory on the way to it, is closed to us.
    #[error("permission denied on the socket")]
    Forbidden,
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// Every place on the socket was taken until the deadline.
    #[error("busy: no free connection on the socket")]
    Busy,
    /// A deadline passed. Nothing that changes state was sent.
    #[error("no answer in time ({0})")]
    Timeout(Stage),
    /// The line was, or may have been, sent, and what came of it is unknown: the command may still run later, as when HAProxy is
    /// suspended. Look at the state on a new connection; never send the opposite blindly.
    #[error("the outcome of `{line}` is unknown, it may still run later")]
    OutcomeUnknown {
        /// What was sent.
        line: String,
        /// Why there is no answer.
        #[source]
        source: Box<ErrorKind>,
    },
    /// An earlier act was not answered and may still run. Nothing was sent: HAProxy could run the two in either order.
    #[error("an earlier command, `{line}`, was not answered and may still run; nothing more was sent")]
    Unsettled {
        /// What was sent earlier.
        line: String,
    },
    /// Reading or writing failed.
    #[error("{stage} failed")]
    Io {
        /// Where.
        stage: Stage,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The connection was closed before the answer was complete.
    #[error("the answer ended early")]
    Truncated,
    /// The answer is longer than the limit.
    #[error("the answer is longer than the limit of {limit} bytes")]
    AnswerTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is more to ask than fits in one line.
    #[error("a line of {length} bytes is too long for HAProxy")]
    LineTooLong {
        /// Its length, in bytes.
        length: usize,
    },
    /// The answer came from an old process that is about to end after a reload; a new connection reaches the new one.
    #[error("process {pid} is stopping")]
    Stopping {
        /// The old process.
        pid: u32,
    },
    /// `Proxy is disabled.`: as [`Stopping`](Self::Stopping), or the backend was stopped.
    #[error("the backend is stopped in the process that answered")]
    ProxyDisabled,
    /// The socket's level does not allow the command.
    #[error("the socket does not allow `{command}`")]
    PermissionDenied {
        /// The command.
        command: String,
    },
    /// HAProxy has no such server.
    #[error("no server {0}")]
    NoSuchServer(ServerId),
    /// HAProxy has no such backend.
    #[error("no backend {0}")]
    NoSuchBackend(String),
    /// A row that was asked for by its ids did not come: a reload may have changed them.
    #[error("no row for proxy {iid}, server {sid}")]
    NoSuchRow {
        /// The proxy's id.
        iid: u32,
        /// The server's id in it.
        sid: u32,
    },
    /// The master has no such worker (any more).
    #[error("no worker with pid {0}")]
    NoSuchWorker(u32),
    /// This HAProxy does not know the command.
    #[error("this HAProxy does not know `{command}`")]
    UnknownCommand {
        /// The command.
        command: String,
    },
    /// HAProxy refused the command, in its own words. In a line of two acts the first may have been done.
    #[error("HAProxy refused `{command}`: {answer}")]
    Rejected {
        /// The command.
        command: String,
        /// HAProxy's words.
        answer: Text,
    },
    /// The answer could not be read.
    #[error("the answer to `{command}` could not be read: {answer}")]
    Malformed {
        /// The command.
        command: String,
        /// The answer.
        answer: Text,
    },
}

/// Where on the way a call was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting.
    Connect,
    /// Sending the line.
    Write,
    /// Waiting for the whole answer.
    Read,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Write => "sending",
            Self::Read => "reading the answer",
        })
    }
}

/// HAProxy's words. Displayed without control characters and not longer than 300 characters, because it ends on terminals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// How many characters are displayed.
    const SHOWN: usize = 300;

    /// The words as they came; not for a terminal.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(Self::SHOWN) {
            match c {
                '"' | '\'' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        match self.0.chars().nth(Self::SHOWN) {
            Some(_) => f.write_str("…"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// Whether the same call on a new connection may well succeed within moments: a reload is under way, or every
    /// place on the socket is taken. False where an act's outcome is unknown: look first.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            ErrorKind::Refused
            | ErrorKind::Busy
            | ErrorKind::Timeout(_)
            | ErrorKind::Io { .. }
            | ErrorKind::Truncated
            | ErrorKind::Stopping { .. }
            | ErrorKind::ProxyDisabled => true,
            ErrorKind::Missing
            | ErrorKind::Forbidden
            | ErrorKind::OutcomeUnknown { .. }
            | ErrorKind::Unsettled { .. }
            | ErrorKind::AnswerTooLong { .. }
            | ErrorKind::LineTooLong { .. }
            | ErrorKind::PermissionDenied { .. }
            | ErrorKind::NoSuchServer(_)
            | ErrorKind::NoSuchBackend(_)
            | ErrorKind::NoSuchRow { .. }
            | ErrorKind::NoSuchWorker(_)
            | ErrorKind::UnknownCommand { .. }
            | ErrorKind::Rejected { .. }
            | ErrorKind::Malformed { .. } => false,
        }
    }

    /// Whether HAProxy could not be reached or gave no answer, rather than an answer that we do not like.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Missing
                | ErrorKind::Forbidden
                | ErrorKind::Refused
                | ErrorKind::Busy
                | ErrorKind::Timeout(_)
                | ErrorKind::Unsettled { .. }
                | ErrorKind::Io { .. }
                | ErrorKind::Truncated
        )
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let address = &self.address;
        Some(match &self.kind {
            ErrorKind::Missing => format!(
                "is HAProxy running, and does its haproxy.cfg say `stats socket {address} level admin`?"
            ),
            ErrorKind::Forbidden => format!(
                "see `ls -l {address}`: run as its user or join its group, or set `user`, `group` and `mode` on \
                 `stats socket` in haproxy.cfg"
            ),
            ErrorKind::Refused => match address {
                Address::Unix(_) => "the file is there but nobody listens: is HAProxy running?".to_owned(),
                Address::Tcp(listen) => format!(
                    "is HAProxy running, and does its haproxy.cfg say `stats socket ipv{}@{listen} level admin`?",
                    if listen.is_ipv4() { 4 } else { 6 }
                ),
            },
            ErrorKind::Busy => {
                "other programs hold every connection: see who polls the socket, or raise `stats maxconn` in haproxy.cfg"
                    .to_owned()
            }
            ErrorKind::Timeout(_) => {
                "HAProxy is suspended, overloaded or cut off, other programs hold every connection to its socket, or this is \
                 a master's socket where a worker's is needed"
                    .to_owned()
            }
            ErrorKind::OutcomeUnknown { .. } => {
                format!("look at the server's state before doing anything else: {}", address.command("show servers state"))
            }
            ErrorKind::Unsettled { .. } => format!(
                "HAProxy is suspended, overloaded or cut off; once it answers again, the command has run or never will: {}",
                address.command("show servers state")
            ),
            ErrorKind::PermissionDenied { .. } => {
                "add `level admin` to the `stats socket` line in haproxy.cfg".to_owned()
            }
            ErrorKind::NoSuchServer(server) => format!(
                "names are case-sensitive; those there are: {}",
                address.command(&format!("show servers state {}", server.backend))
            ),
            ErrorKind::NoSuchBackend(_) => {
                format!("names are case-sensitive; those there are: {}", address.command("show backend"))
            }
            ErrorKind::ProxyDisabled => {
                "a reload is under way, or the backend is `disabled` in haproxy.cfg".to_owned()
            }
            ErrorKind::UnknownCommand { .. } => {
                "is this the socket of a HAProxy 2.2 or later, and a worker's rather than the master's?".to_owned()
            }
            // Whatever a HAProxy may refuse, it shows what it is asked for.
            ErrorKind::Rejected { command, .. } if !command.starts_with("show ") => return None,
            ErrorKind::Rejected { .. } | ErrorKind::Malformed { .. } => {
                "is this really the admin socket of a HAProxy?".to_owned()
            }
            _ => return None,
        })
    }
}
