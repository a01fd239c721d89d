//! Typed calls on a worker's admin socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::answer::Answer;
use super::codec::AnswerCodec;
use super::connection::{Call, Limits, exchange};
use super::error::{Error, ErrorKind, Stage};
use super::{
    Act, Address, AdminAction, Command, Health, Info, Kinds, Name, ServerConnections, ServerId, ServerState, StatRow,
    StatScope,
};

/// Talks to one HAProxy. Cheap: it holds no connection, because an open one would keep talking to the old process
/// after a reload, and keep that process alive. The one exception is an act that was not answered in time: it may still run, so
/// its connection is kept, and no clone of this client sends another act before it is [settled](Client::settle).
///
/// Every call is one connection and one line that begins with `show info`, and returns the [`Info`] of that very answer; one from
/// a process that is stopping is [`ErrorKind::Stopping`].
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    limits: Limits,
    /// The act that was not answered yet. Acts go one at a time: two on the way at once could run in either order.
    outstanding: Arc<Mutex<Option<Call>>>,
}

/// The rows of some servers at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// Who answered.
    pub info: Info,
    /// The rows, in the order in which they were asked for.
    pub rows: Vec<StatRow>,
}

impl Client {
    /// A client with the usual limits: 2 s for each stage.
    pub fn new(address: Address) -> Self {
        Self { address, limits: Limits::default(), outstanding: Arc::default() }
    }

    /// The same with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where it connects.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Who answers.
    pub async fn info(&self) -> Result<Info, Error> {
        self.ask(vec![], |_| Ok(())).await.map(|(info, ())| info)
    }

    /// What this socket may do: `admin`, `operator` or `user`. Known to every level, since 1.8.
    pub async fn level(&self) -> Result<String, Error> {
        self.ask(vec![Command::ShowCliLevel], |answer| answer.level()).await.map(|(_, level)| level)
    }

    /// The rows of these servers, by proxy id and server id as in [`ServerState`]. It costs HAProxy the same for 3 servers and for
    /// 10,000. Every row is the one asked for; a missing one is [`ErrorKind::NoSuchRow`]. Ids may change at a reload, so compare
    /// [`StatRow::is`] and [`Info::pid`].
    pub async fn poll(&self, servers: &[(u32, u32)]) -> Result<Poll, Error> {
        let commands: Vec<_> = servers
            .iter()
            .map(|(iid, sid)| Command::ShowStat {
                proxy: StatScope::Proxy(*iid),
                kinds: Kinds::SERVERS,
                server: Some(*sid),
            })
            .collect();
        let read = |answer: &mut Answer<'_>| {
            servers
                .iter()
                .zip(&commands)
                .map(|((iid, sid), command)| {
                    answer
                        .stat(command)?
                        .into_iter()
                        .find(|row| (row.iid, row.sid) == (*iid, *sid))
                        .ok_or(ErrorKind::NoSuchRow { iid: *iid, sid: *sid })
                })
                .collect()
        };
        let (info, rows) = self.ask(commands.clone(), read).await?;
        Ok(Poll { info, rows })
    }

    /// What HAProxy has on record about the servers of one backend, or of all.
    pub async fn servers_state(&self, backend: Option<&Name>) -> Result<(Info, Vec<ServerState>), Error> {
        let command = Command::ShowServersState(backend.cloned());
        self.ask(vec![command.clone()], |answer| answer.servers_state(&command)).await
    }

    /// Counters and status of all rows of these kinds. A full one can delay HAProxy's traffic by 100 ms where there are 10,000
    /// servers; [`poll`](Self::poll) does not.
    pub async fn stats(&self, scope: StatScope, kinds: Kinds) -> Result<(Info, Vec<StatRow>), Error> {
        let command = Command::ShowStat { proxy: scope, kinds, server: None };
        self.ask(vec![command.clone()], |answer| answer.stat(&command)).await
    }

    /// Connections kept to the servers of one backend, or of all.
    pub async fn servers_conn(&self, backend: Option<&Name>) -> Result<(Info, Vec<ServerConnections>), Error> {
        let command = Command::ShowServersConn(backend.cloned());
        self.ask(vec![command.clone()], |answer| answer.servers_conn(&command)).await
    }

    /// Changes something. `Ok` means that the process in [`Info`] took the command without a word, not that it lasts: read it
    /// back on a new connection, for a reload may have come in between.
    ///
    /// After [`ErrorKind::OutcomeUnknown`] by a timeout, or where the future is dropped, the command may still run. A further act
    /// then waits until that is settled, as long as for an answer; else it is [`ErrorKind::Unsettled`], and not sent.
    pub async fn act(&self, act: Act) -> Result<Info, Error> {
        self.perform(&[act]).await
    }

    /// Ends drain and maintenance but leaves the word to HAProxy's checks: the server is DOWN until `rise` of them pass.
    /// `state ready` alone would make it UP at once. Without checks it would stay DOWN, so ask only where
    /// [`CheckState::enabled`](super::CheckState::enabled) and nothing is tracked.
    ///
    /// The two acts go in one line. HAProxy may do other work in between: the server can be UP for an instant.
    pub async fn act_ready_then_down(&self, server: &ServerId) -> Result<Info, Error> {
        self.perform(&[
            Act::SetState { server: server.clone(), state: AdminAction::Ready },
            Act::SetHealth { server: server.clone(), health: Health::Down },
        ])
        .await
    }

    /// Waits until an act that was not answered in time is answered, or its connection ends, as it does with HAProxy's process: it
    /// has run then, or never will, and what it did can be read. At once where there is none. An act that a clone is in the midst
    /// of is waited for first.
    ///
    /// A TCP connection also ends when the other host has not been heard of for 10 s.
    ///
    /// # Errors
    /// [`ErrorKind::Unsettled`] when `limit` has passed.
    pub async fn settle(&self, limit: Duration) -> Result<(), Error> {
        let mut outstanding = self.outstanding.lock().await;
        self.settled(&mut outstanding, limit).await
    }

    async fn settled(&self, outstanding: &mut Option<Call>, limit: Duration) -> Result<(), Error> {
        let Some(call) = outstanding else { return Ok(()) };
        if let Err(ErrorKind::Timeout(Stage::Read)) = call.answer(limit).await {
            return Err(self.error(ErrorKind::Unsettled { line: call.line().to_owned() }));
        }
        *outstanding = None;
        Ok(())
    }

    async fn perform(&self, acts: &[Act]) -> Result<Info, Error> {
        let commands: Vec<Command> =
            std::iter::once(Command::ShowInfo).chain(acts.iter().cloned().map(Command::Act)).collect();
        let unknown = |kind| {
            self.error(ErrorKind::OutcomeUnknown { line: super::codec::line(&commands), source: Box::new(kind) })
        };
        let mut outstanding = self.outstanding.lock().await;
        self.settled(&mut outstanding, self.limits.read).await?;
        let call = Call::begin(&self.address, &self.limits, self.codec(), &commands).await;
        // From here on it is remembered, also should our caller drop us.
        let call = outstanding.insert(call.map_err(|kind| self.error(kind))?);
        let answer = call.answer(self.limits.read).await;
        if !matches!(answer, Err(ErrorKind::Timeout(_))) {
            *outstanding = None;
        }
        let bytes = answer.map_err(unknown)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut answer = Answer::new(&text);
        let result = answer.info().and_then(|info| answer.acts(acts).map(|()| info));
        result.map_err(|kind| match kind {
            // No word of refusal came, so it may have been done.
            ErrorKind::Truncated => unknown(kind),
            kind => self.error(kind),
        })
    }

    /// Asks `show info` and these, and reads the answers to them.
    async fn ask<T>(
        &self,
        questions: Vec<Command>,
        read: impl FnOnce(&mut Answer<'_>) -> Result<T, ErrorKind>,
    ) -> Result<(Info, T), Error> {
        let commands: Vec<Command> = std::iter::once(Command::ShowInfo).chain(questions).collect();
        let bytes = exchange(&self.address, &self.limits, self.codec(), &commands).await;
        let bytes = bytes.map_err(|kind| self.error(kind))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut answer = Answer::new(&text);
        answer.info().and_then(|info| Ok((info, read(&mut answer)?))).map_err(|kind| self.error(kind))
    }

    fn codec(&self) -> AnswerCodec {
        AnswerCodec::new(self.limits.answer)
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error { address: self.address.clone(), kind }
    }
}
