//! One connection for one line: connect, send, read to the end, each with its deadline.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::codec::Framed;
use tokio_util::either::Either;
use tracing::debug;

use super::Address;
use super::codec::{AnswerCodec, CodecError, MAX_ANSWER, line};
use super::error::{ErrorKind, Stage};

/// How long another host may be silent before a connection to it ends.
const SILENCE: Duration = Duration::from_secs(10);

/// How often it is asked meanwhile, by the kernel, whether it is still there.
const PROBES: Duration = Duration::from_secs(1);

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

/// A line that was sent whole, and the connection on which its answer comes. HAProxy has run the line, or never will, when it
/// has answered or the connection has ended; until then it still may.
#[derive(Debug)]
pub(super) struct Call {
    framed: Framed<Either<UnixStream, TcpStream>, AnswerCodec>,
    line: String,
    sent: Instant,
}

impl Call {
    /// Connects and sends one line. After an error nothing of it will run: HAProxy runs a line when its newline has come, and
    /// that is the last byte. The connection is not half-closed: HAProxy may then forget commands that it has not run yet.
    pub(super) async fn begin<C: Display>(
        address: &Address,
        limits: &Limits,
        codec: AnswerCodec,
        commands: &[C],
    ) -> Result<Self, ErrorKind> {
        let mut framed = Framed::new(connect(address, limits).await?, codec);
        timeout(limits.write, framed.send(commands))
            .await
            .map_err(|_| ErrorKind::Timeout(Stage::Write))?
            .map_err(|error| broken(Stage::Write, error))?;
        Ok(Self { framed, line: line(commands), sent: Instant::now() })
    }

    /// What was sent.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// Everything that comes back. After [`ErrorKind::Timeout`], and where the future was dropped, it can be waited for again.
    pub(super) async fn answer(&mut self, limit: Duration) -> Result<Bytes, ErrorKind> {
        let answer = timeout(limit, self.framed.next())
            .await
            .map_err(|_| ErrorKind::Timeout(Stage::Read))?
            .transpose()
            .map_err(|error| broken(Stage::Read, error))?
            .unwrap_or_default();
        debug!(line = self.line, bytes = answer.len(), elapsed = ?self.sent.elapsed(), "HAProxy answered");
        Ok(answer)
    }
}

/// Sends one line and returns everything that comes back.
pub(super) async fn exchange<C: Display>(
    address: &Address,
    limits: &Limits,
    codec: AnswerCodec,
    commands: &[C],
) -> Result<Bytes, ErrorKind> {
    Call::begin(address, limits, codec, commands).await?.answer(limits.read).await
}

async fn connect(address: &Address, limits: &Limits) -> Result<Either<UnixStream, TcpStream>, ErrorKind> {
    match address {
        Address::Unix(path) => Ok(Either::Left(connect_unix(limits, || UnixStream::connect(path)).await?)),
        Address::Tcp(listen) => {
            let stream = timeout(limits.connect, TcpStream::connect(listen))
                .await
                .map_err(|_| ErrorKind::Timeout(Stage::Connect))?
                .map_err(connect_error)?;
            end_with_the_host(&stream).map_err(|errno| connect_error(errno.into()))?;
            Ok(Either::Right(stream))
        }
    }
}

/// Makes a connection end when the other host has not answered for [`SILENCE`]: else a line would pass for one that may still
/// run after its host has lost power, and would be sent again and again long after it was given up.
fn end_with_the_host(stream: &TcpStream) -> nix::Result<()> {
    let seconds = u32::try_from(PROBES.as_secs()).unwrap_or(u32::MAX);
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &seconds)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &seconds)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX))
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

fn broken(stage: Stage, error: CodecError) -> ErrorKind {
    match error {
        CodecError::EmptyLine => ErrorKind::LineTooLong { length: 0 },
        CodecError::LineTooLong { length } => ErrorKind::LineTooLong { length },
        CodecError::AnswerTooLong { limit } => ErrorKind::AnswerTooLong { limit },
        CodecError::Io(source) => ErrorKind::Io { stage, source },
    }
}
