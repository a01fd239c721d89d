//! Typed calls on the master's socket (`-S`): what old workers still have.

use super::answer::{Answer, NO_SUCH_WORKER};
use super::codec::AnswerCodec;
use super::connection::{Limits, exchange};
use super::error::{Error, ErrorKind};
use super::{Address, Command, Kinds, MasterCommand, Name, Process, ServerState, Session, StatRow, StatScope};

/// Talks to the master process of one HAProxy. It holds no connection. The master has few places for connections and has been
/// known to leak them, so use it sparingly and only to see old workers.
#[derive(Debug, Clone)]
pub struct MasterClient {
    address: Address,
    limits: Limits,
}

impl MasterClient {
    /// A client with the usual limits: 2 s for each stage.
    pub fn new(address: Address) -> Self {
        Self { address, limits: Limits::default() }
    }

    /// The same with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where it connects.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The master and its workers, old ones too.
    pub async fn show_proc(&self) -> Result<Vec<Process>, Error> {
        self.ask(vec![MasterCommand::ShowProcesses], |answer| answer.processes()).await
    }

    /// What one worker has on record about the servers of a backend, as its configuration has them.
    pub async fn worker_servers(&self, pid: u32, backend: &Name) -> Result<Vec<ServerState>, Error> {
        let command = MasterCommand::Worker { pid, command: Command::ShowServersState(Some(backend.clone())) };
        self.ask(vec![command.clone()], |answer| answer.servers_state(&command)).await
    }

    /// The rows of these servers of one worker, by the proxy id and server id that they have in it. An old worker of 2.4 and before
    /// shows none: use [`worker_sessions`](Self::worker_sessions).
    pub async fn worker_rows(&self, pid: u32, servers: &[(u32, u32)]) -> Result<Vec<StatRow>, Error> {
        let question = |(iid, sid): &(u32, u32)| MasterCommand::Worker {
            pid,
            command: Command::ShowStat { proxy: StatScope::Proxy(*iid), kinds: Kinds::SERVERS, server: Some(*sid) },
        };
        let commands: Vec<_> = servers.iter().map(question).collect();
        let read = |answer: &mut Answer<'_>| {
            let rows = commands.iter().map(|command| answer.stat(command)).collect::<Result<Vec<_>, _>>()?;
            Ok(rows.concat())
        };
        self.ask(commands.clone(), read).await
    }

    /// One worker's streams.
    pub async fn worker_sessions(&self, pid: u32) -> Result<Vec<Session>, Error> {
        let command = MasterCommand::Worker { pid, command: Command::ShowSessions };
        self.ask(vec![command.clone()], |answer| answer.sessions(&command)).await
    }

    async fn ask<T>(
        &self,
        mut commands: Vec<MasterCommand>,
        read: impl FnOnce(&mut Answer<'_>) -> Result<T, ErrorKind>,
    ) -> Result<T, Error> {
        commands.push(MasterCommand::Quit);
        let error = |kind| Error { address: self.address.clone(), kind };
        // From 3.0 on a master that finds no such worker forgets the `quit`, and keeps the connection open.
        let codec = AnswerCodec::new(self.limits.answer).with_last_words(NO_SUCH_WORKER.as_bytes());
        let bytes = exchange(&self.address, &self.limits, codec, &commands).await.map_err(error)?;
        let text = String::from_utf8_lossy(&bytes);
        read(&mut Answer::new(&text)).map_err(error)
    }
}
