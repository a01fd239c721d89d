//! Takes the answers of one line apart.
//!
//! They follow one another, each ended by an empty line. A cell of `show stat` may hold an empty line, so they can't be
//! split blindly: they are read front to back, each by the rules of its command. Acts come last; what remains is theirs, and
//! only their silence is success.

use super::error::{ErrorKind, Text};
use super::{Act, Command, Info, MasterCommand, Process, ServerConnections, ServerState, Session, StatRow};

/// What the master says when a worker has ended.
pub(super) const NO_SUCH_WORKER: &str = "Can't find the target PID";

/// What has not been read yet.
pub(super) struct Answer<'a> {
    rest: &'a str,
}

impl<'a> Answer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The answer to `show info`. Every line begins with it, so that each answer says whose it is.
    pub(super) fn info(&mut self) -> Result<Info, ErrorKind> {
        let command = Command::ShowInfo;
        let section = self.section(plain_end);
        let info = section.read(&command, |text| text.contains("Pid:"), Info::parse)?;
        match info.stopping {
            true => Err(ErrorKind::Stopping { pid: info.pid }),
            false => Ok(info),
        }
    }

    pub(super) fn stat(&mut self, command: &impl Refusable) -> Result<Vec<StatRow>, ErrorKind> {
        self.section(csv_end).read(command, |text| text.starts_with("# "), StatRow::parse_all)
    }

    pub(super) fn servers_state(&mut self, command: &impl Refusable) -> Result<Vec<ServerState>, ErrorKind> {
        self.section(plain_end).read(command, |text| text.starts_with("1\n"), ServerState::parse_all)
    }

    pub(super) fn servers_conn(&mut self, command: &Command) -> Result<Vec<ServerConnections>, ErrorKind> {
        self.section(plain_end).read(command, |text| text.starts_with('#'), ServerConnections::parse_all)
    }

    pub(super) fn sessions(&mut self, command: &impl Refusable) -> Result<Vec<Session>, ErrorKind> {
        self.section(plain_end).read(
            command,
            |text| text.is_empty() || text.starts_with("0x"),
            |text| Some(Session::parse_all(text)),
        )
    }

    pub(super) fn processes(&mut self) -> Result<Vec<Process>, ErrorKind> {
        let command = MasterCommand::ShowProcesses;
        self.section(plain_end).read(&command, |text| text.starts_with("#<PID>"), Process::parse_all)
    }

    pub(super) fn level(&mut self) -> Result<String, ErrorKind> {
        let known = |text: &str| matches!(text.trim_end(), "admin" | "operator" | "user");
        self.section(plain_end).read(&Command::ShowCliLevel, known, |text| Some(text.trim_end().to_owned()))
    }

    /// The answers to the acts at the end of a line: one empty line each, and nothing else.
    pub(super) fn acts(self, acts: &[Act]) -> Result<(), ErrorKind> {
        let words = self.rest.trim_matches('\n');
        if words.is_empty() {
            return match self.rest.len() == acts.len() {
                true => Ok(()),
                false => Err(ErrorKind::Truncated),
            };
        }
        // Which of two acts was refused is told by the words at best; they are about the same server.
        Err(match acts.last() {
            Some(act) => refusal(&Command::from(act.clone()), words),
            None => ErrorKind::Malformed { command: String::new(), answer: words.into() },
        })
    }

    fn section(&mut self, end: fn(&str) -> Option<usize>) -> Section<'a> {
        let (text, rest) = match end(self.rest).and_then(|end| self.rest.split_at_checked(end)) {
            Some((text, rest)) => (Some(text), rest.strip_prefix('\n').unwrap_or(rest)),
            None => (None, ""),
        };
        let section = Section { text: text.unwrap_or(self.rest), complete: text.is_some() };
        self.rest = rest;
        section
    }
}

/// One command's part of the answer, without the empty line that ends it.
struct Section<'a> {
    text: &'a str,
    complete: bool,
}

impl Section<'_> {
    /// Reads a table that is recognised by its beginning; anything else is a refusal, which may lack its empty line.
    fn read<C, T>(
        &self,
        command: &C,
        recognise: impl Fn(&str) -> bool,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ErrorKind>
    where
        C: Refusable,
    {
        match (recognise(self.text), self.complete) {
            (false, false) if self.text.is_empty() => Err(ErrorKind::Truncated),
            (false, _) => Err(refusal(command, self.text)),
            (true, false) => Err(ErrorKind::Truncated),
            (true, true) => parse(self.text)
                .ok_or_else(|| ErrorKind::Malformed { command: command.to_string(), answer: self.text.into() }),
        }
    }
}

/// Where an answer of plain lines ends: behind the last line's newline.
fn plain_end(text: &str) -> Option<usize> {
    match text.starts_with('\n') {
        true => Some(0),
        false => text.find("\n\n").map(|end| end + 1),
    }
}

/// As [`plain_end`], but an empty line inside quotes belongs to its cell.
fn csv_end(text: &str) -> Option<usize> {
    if !text.starts_with("# ") {
        return plain_end(text);
    }
    let mut quoted = false;
    let mut previous = b' ';
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            // A quote inside a cell is written twice, which changes nothing here.
            b'"' => quoted = !quoted,
            b'\n' if !quoted && previous == b'\n' => return Some(index),
            _ => {}
        }
        previous = byte;
    }
    None
}

/// A command that an answer can be about.
pub(super) trait Refusable: ToString {
    /// The part that a worker sees.
    fn worker(&self) -> Option<(&Command, Option<u32>)>;
}

impl Refusable for Command {
    fn worker(&self) -> Option<(&Command, Option<u32>)> {
        Some((self, None))
    }
}

impl Refusable for MasterCommand {
    fn worker(&self) -> Option<(&Command, Option<u32>)> {
        match self {
            Self::Worker { pid, command } => Some((command, Some(*pid))),
            Self::ShowProcesses | Self::Quit => None,
        }
    }
}

/// What HAProxy means by words instead of what was asked for. The texts are the same from 2.2 to 3.4 unless noted.
fn refusal<C: Refusable>(command: &C, answer: &str) -> ErrorKind {
    let worker = command.worker();
    let server = match worker {
        Some((Command::Act(act), _)) => Some(act.server()),
        _ => None,
    };
    let backend = || match worker {
        Some((Command::ShowServersState(Some(name)) | Command::ShowServersConn(Some(name)), _)) => name.to_string(),
        Some((Command::ShowStat { proxy, .. }, _)) => proxy.to_string(),
        _ => server.map(|server| server.backend.to_string()).unwrap_or_default(),
    };
    let text = Text::from(answer);
    let words = without_severity(text.raw());
    if words.starts_with("Proxy is disabled") {
        return ErrorKind::ProxyDisabled;
    }
    if words.starts_with("Permission denied") {
        return ErrorKind::PermissionDenied { command: command.to_string() };
    }
    if words.starts_with("Unknown command") {
        return ErrorKind::UnknownCommand { command: command.to_string() };
    }
    if words.starts_with(NO_SUCH_WORKER)
        && let Some((_, Some(pid))) = worker
    {
        return ErrorKind::NoSuchWorker(pid);
    }
    if words.starts_with("No such server")
        && let Some(server) = server
    {
        return ErrorKind::NoSuchServer(server.clone());
    }
    if ["No such backend", "Can't find backend", "No such proxy"].iter().any(|known| words.starts_with(known)) {
        return ErrorKind::NoSuchBackend(backend());
    }
    ErrorKind::Rejected { command: command.to_string(), answer: text }
}

/// The words without the `[3]: ` that they begin with where the `bind` line sets `severity-output`.
fn without_severity(words: &str) -> &str {
    words
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .filter(|(level, _)| level.len() <= 10)
        .map_or(words, |(_, rest)| rest)
}
