//! Proof by a command's exit code.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use async_trait::async_trait;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::failure::io_text;
use super::limit::Limit;
use super::{Failure, Probe, ProbeError};

/// How much of the end of a command's output is kept, in bytes.
const KEPT: usize = 4096;

/// What a pipe holds at most by default, in bytes (pipe(7)).
const PIPE: u64 = 65_536;

/// Passes when the command exits 0 before the deadline. It runs in a process group of its own, without input; when
/// the try is over, whatever it left behind in that group is killed.
pub(super) struct Command {
    program: String,
    arguments: Vec<String>,
}

impl Command {
    pub(super) fn new(argv: &[String]) -> Result<Self, ProbeError> {
        match argv.split_first() {
            Some((program, arguments)) => Ok(Self { program: program.clone(), arguments: arguments.to_vec() }),
            None => Err(ProbeError::new("command", "there is no command")
                .hint(r#"give program and arguments, as in ["/usr/bin/true"]"#)),
        }
    }

    /// Starts it; what it writes to either stream comes out of the pipe.
    fn start(&self) -> io::Result<(Child, Group, pipe::Receiver)> {
        let (reader, writer) = io::pipe()?;
        let child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let group = Group(child.id());
        Ok((child, group, pipe::Receiver::from_owned_fd(reader.into())?))
    }
}

#[async_trait]
impl Probe for Command {
    fn describe(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        let quoted = words.map(|word| match word.contains(char::is_whitespace) {
            true => format!("{word:?}"),
            false => word.clone(),
        });
        format!("{} → exit 0", quoted.collect::<Vec<_>>().join(" "))
    }

    async fn once(&self, deadline: Instant) -> Result<(), Failure> {
        let limit = Limit::until(deadline);
        let (mut child, group, mut output) =
            self.start().map_err(|error| Failure::new(&format!("can't run {}: {}", self.program, io_text(&error))))?;
        let mut tail = Tail::default();
        let exit = async {
            tokio::select! {
                status = child.wait() => status,
                never = tail.follow(&mut output) => match never {},
            }
        };
        let exit = limit.run("no exit", exit).await;
        drop(group);
        tail.take_rest(output);
        match exit {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::new(&tail.explain(&ended(status)))),
            Ok(Err(error)) => Err(Failure::io("can't wait for the command", &error)),
            Err(late) => Err(Failure::late(&tail.explain(&late.to_string()))),
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("ended by {signal}"),
            Err(_) => format!("ended by signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// A process group that does not outlive this value.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(Ok(leader)) = self.0.map(i32::try_from) {
            // No such group is the good case: nothing was left behind.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

/// The end of what a command wrote.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Keeps reading, so that the command never blocks on a full pipe.
    async fn follow(&mut self, output: &mut pipe::Receiver) -> std::convert::Infallible {
        let mut chunk = [0; KEPT];
        while let Ok(length @ 1..) = output.read(&mut chunk).await {
            self.push(chunk.get(..length).unwrap_or_default());
        }
        std::future::pending().await
    }

    /// Reads what is there, without waiting: a process that left the group may keep the pipe open for ever.
    fn take_rest(&mut self, output: pipe::Receiver) {
        let mut rest = Vec::new();
        if let Ok(pipe) = output.into_nonblocking_fd() {
            let _ = File::from(pipe).take(PIPE).read_to_end(&mut rest);
        }
        self.push(&rest);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    /// `what`, with the last line that is not empty.
    fn explain(&self, what: &str) -> String {
        let text = String::from_utf8_lossy(&self.0);
        match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            Some(line) => format!("{what}: {line}"),
            None => what.to_owned(),
        }
    }
}
