//! One connection for one line: connect, send, read to the end, each with its deadline.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::codec::Framed;
use tracing::debug;

use super::Address;
use super::codec::{AnswerCodec, CodecError, MAX_ANSWER, line};
use super::error::{ErrorKind, Stage};

/// How long each stage of a call may take, and how much may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For connecting, waiting for a free place on the socket included.
    pub connect: Duration,
    /// For sending the line.
    pub write: Duration,
    /// For the whole answer. HAProxy's own `stats timeout` is no help: some versions do not keep it.
    pub read: Duration,
    /// The longest answer, in bytes.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let stage = Duration::from_secs(2);
        Self { connect: stage, write: stage, read: stage, answer: MAX_ANSWER }
    }
}

/// A call that gave no answer, and whether HAProxy may have seen the line.
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) sent: bool,
}

/// Sends one line and returns everything that comes back. The connection is not half-closed after the line: HAProxy may
/// then forget commands that it has not run yet.
pub(super) async fn exchange<C: Display>(
    address: &Address,
    limits: &Limits,
    codec: AnswerCodec,
    commands: &[C],
) -> Result<Bytes, Failure> {
    let unsent = |kind| Failure { kind, sent: false };
    match address {
        Address::Unix(path) => {
            let stream = connect_unix(limits, || UnixStream::connect(path)).await;
            converse(stream.map_err(unsent)?, address, limits, codec, commands).await
        }
        Address::Tcp(listen) => {
            let stream = timeout(limits.connect, TcpStream::connect(listen))
                .await
                .map_err(|_| unsent(ErrorKind::Timeout(Stage::Connect)))?
                .map_err(|error| unsent(connect_error(error)))?;
            converse(stream, address, limits, codec, commands).await
        }
    }
}

/// When about twice `stats maxconn` connections wait, connecting to a unix socket fails with EAGAIN until one ends.
async fn connect_unix<F>(limits: &Limits, connect: impl Fn() -> F) -> Result<UnixStream, ErrorKind>
where
    F: Future<Output = io::Result<UnixStream>>,
{
    let deadline = Instant::now() + limits.connect;
    let mut pause = Duration::from_millis(1);
    loop {
        match timeout_at(deadline, connect()).await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(result) => return result.map_err(connect_error),
            Err(_) => return Err(ErrorKind::Timeout(Stage::Connect)),
        }
        if Instant::now() + pause >= deadline {
            return Err(ErrorKind::Busy);
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(50));
    }
}

fn connect_error(error: io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::Missing,
        io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
        io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
        _ => ErrorKind::Io { stage: Stage::Connect, source: error },
    }
}

async fn converse<S, C>(
    stream: S,
    address: &Address,
    limits: &Limits,
    codec: AnswerCodec,
    commands: &[C],
) -> Result<Bytes, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Display,
{
    let mut framed = Framed::new(stream, codec);
    let failed = |stage, error| match error {
        // Refused by our own encoder, before a byte was written.
        CodecError::EmptyLine => Failure { kind: ErrorKind::LineTooLong { length: 0 }, sent: false },
        CodecError::LineTooLong { length } => Failure { kind: ErrorKind::LineTooLong { length }, sent: false },
        CodecError::AnswerTooLong { limit } => Failure { kind: ErrorKind::AnswerTooLong { limit }, sent: true },
        CodecError::Io(source) => Failure { kind: ErrorKind::Io { stage, source }, sent: true },
    };
    let late = |stage| Failure { kind: ErrorKind::Timeout(stage), sent: true };
    let started = Instant::now();
    timeout(limits.write, framed.send(commands))
        .await
        .map_err(|_| late(Stage::Write))?
        .map_err(|error| failed(Stage::Write, error))?;
    let answer = timeout(limits.read, framed.next())
        .await
        .map_err(|_| late(Stage::Read))?
        .transpose()
        .map_err(|error| failed(Stage::Read, error))?
        .unwrap_or_default();
    debug!(
        %address,
        line = line(commands),
        bytes = answer.len(),
        elapsed = ?started.elapsed(),
        "admin socket"
    );
    Ok(answer)
}
