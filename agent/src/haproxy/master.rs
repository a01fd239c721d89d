//! Typed calls on the master's socket (`-S`): what old workers still have.

use super::answer::{Answer, NO_SUCH_WORKER};
use super::codec::AnswerCodec;
use super::connection::{Limits, exchange};
use super::error::{Error, ErrorKind};
use super::{Address, Command, Kinds, MasterCommand, Process, Session, StatRow, StatScope};

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
        self.ask(MasterCommand::ShowProcesses, |answer, _| answer.processes()).await
    }

    /// The rows of one worker's servers. An old worker of 2.4 and before shows none: use [`worker_sessions`](Self::worker_sessions).
    pub async fn worker_stat(&self, pid: u32, scope: StatScope) -> Result<Vec<StatRow>, Error> {
        let command = Command::ShowStat { proxy: scope, kinds: Kinds::SERVERS, server: None };
        self.ask(MasterCommand::Worker { pid, command }, |answer, command| answer.stat(command)).await
    }

    /// One worker's streams.
    pub async fn worker_sessions(&self, pid: u32) -> Result<Vec<Session>, Error> {
        let command = Command::ShowSessions;
        self.ask(MasterCommand::Worker { pid, command }, |answer, command| answer.sessions(command)).await
    }

    async fn ask<T>(
        &self,
        command: MasterCommand,
        read: impl FnOnce(&mut Answer<'_>, &MasterCommand) -> Result<T, ErrorKind>,
    ) -> Result<T, Error> {
        let error = |kind| Error { address: self.address.clone(), kind };
        let commands = [command, MasterCommand::Quit];
        // From 3.0 on a master that finds no such worker forgets the `quit`, and keeps the connection open.
        let codec = AnswerCodec::new(self.limits.answer).with_last_words(NO_SUCH_WORKER.as_bytes());
        let bytes = exchange(&self.address, &self.limits, codec, &commands).await.map_err(error)?;
        let text = String::from_utf8_lossy(&bytes);
        let [command, _] = &commands;
        read(&mut Answer::new(&text), command).map_err(error)
    }
}
