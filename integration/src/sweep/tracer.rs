//! Follows a program call by call, and kills it at one of them: fault injection as strace(1) does it, but counted over all
//! threads of one process and none of another. strace(1) counts by thread, and can't follow threads without children.
//!
//! A process that is killed at the entry of a call has not made it: the kernel skips a call whose process has a fatal signal
//! pending (`ptrace_report_syscall_entry`; strace's `inject=…:signal=SIGKILL` does the same).

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::call::{Call, Names, Reader};

/// Whose calls are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The process's own, by all of its threads.
    Own,
    /// Those of the processes that it starts, but not of theirs.
    Children,
    /// Both.
    Both,
}

/// What becomes of a process at the entry of one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Go,
    /// It dies by SIGKILL, and the call is not made.
    Kill,
    /// So does the program that started it.
    KillBoth,
}

/// How the followed program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(Signal),
}

/// A program that is followed from its first call on.
#[derive(Debug)]
pub struct Followed {
    held: Command,
    whose: Whose,
    names: Names,
}

impl Followed {
    /// Not started yet. Standard input is nothing, and output goes where ours does.
    pub fn new(command: &Command, whose: Whose, names: Names) -> Self {
        // Held until it is followed.
        let mut held = Command::new("sh");
        held.args(["-c", r#"read -r _ && exec "$@" </dev/null"#, "sh"]);
        held.arg(command.get_program()).args(command.get_args()).stdin(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => held.env(name, value),
                None => held.env_remove(name),
            };
        }
        Self { held, whose, names }
    }

    /// With its output in these files.
    pub fn output(mut self, stdout: File, stderr: File) -> Self {
        self.held.stdout(stdout).stderr(stderr);
        self
    }

    /// Runs it to its end, and asks `judge` at each call; the number is the child's that makes it, counted from 1 in the order in
    /// which they were seen first, or 0 for the program itself. A child that outlives the program is let go.
    ///
    /// Panics when it can't be followed, as where another tracer is at work.
    pub fn run(self, judge: impl FnMut(usize, &Call) -> Verdict + Send) -> End {
        // Who waits for any child must have no other.
        std::thread::scope(|scope| {
            let tracer = scope.spawn(|| self.run_here(judge));
            tracer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    #[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
    fn run_here(mut self, judge: impl FnMut(usize, &Call) -> Verdict) -> End {
        let mut child = self.held.spawn().expect("start a program that is held");
        let program = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
        let mut options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEEXEC;
        options |= Options::PTRACE_O_EXITKILL;
        if self.whose != Whose::Own {
            options |= Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
        }
        ptrace::seize(program, options).expect("follow a program");
        child.stdin.take().expect("a pipe").write_all(b"go\n").expect("let it go");
        let Self { whose, names, .. } = self;
        Tracer { program, whose, names, begun: false, end: None, tasks: HashMap::new(), readers: Vec::new(), judge }
            .run()
    }
}

struct Tracer<J> {
    program: Pid,
    whose: Whose,
    names: Names,
    /// Whether the program has replaced the shell that held it.
    begun: bool,
    /// How the program ended, once it has.
    end: Option<End>,
    /// To whom a thread belongs: 0 is the program, others are its children.
    tasks: HashMap<Pid, usize>,
    /// One for each process, the program first.
    readers: Vec<Reader>,
    judge: J,
}

impl<J: FnMut(usize, &Call) -> Verdict> Tracer<J> {
    fn run(mut self) -> End {
        self.readers.push(Reader::new(self.program, self.names.clone()));
        self.tasks.insert(self.program, 0);
        loop {
            // Only what this thread follows: other threads have children of their own.
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.program => self.ended(End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.program => self.ended(End::Signal(signal)),
                Ok(WaitStatus::PtraceSyscall(task)) => self.at_call(task),
                Ok(WaitStatus::PtraceEvent(task, _, libc::PTRACE_EVENT_EXEC)) => {
                    self.begun |= task == self.program;
                    self.go_on(task, None);
                }
                Ok(WaitStatus::PtraceEvent(task, ..)) => self.go_on(task, None),
                Ok(WaitStatus::Stopped(task, signal)) => self.go_on(task, Some(signal)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return self.end.expect("a program that was started ends"),
                Err(error) => panic!("wait for a followed program: {error}"),
            }
        }
    }

    /// A child may be there for good: what is still followed is stopped, to be let go then.
    fn ended(&mut self, end: End) {
        self.end = Some(end);
        for task in self.tasks.keys() {
            ptrace::interrupt(*task).ok();
        }
    }

    /// A task may die between two of our calls, which is no error.
    fn go_on(&mut self, task: Pid, signal: Option<Signal>) {
        match self.owner(task) {
            _ if self.end.is_some() => ptrace::detach(task, signal).ok(),
            None => ptrace::detach(task, signal).ok(),
            Some(0) if self.whose == Whose::Children => ptrace::cont(task, signal).ok(),
            Some(_) => ptrace::syscall(task, signal).ok(),
        };
    }

    fn at_call(&mut self, task: Pid) {
        let owner = self.owner(task);
        if let (Some(owner), true, None) = (owner, self.begun, self.end)
            && let Some(call) = self.readers[owner].read(task)
        {
            let verdict = (self.judge)(owner, &call);
            if verdict == Verdict::KillBoth {
                kill(self.program, Signal::SIGKILL).ok();
            }
            if verdict != Verdict::Go {
                // Not let go: the signal alone wakes it, and nothing more of it runs.
                kill(self.readers[owner].process(), Signal::SIGKILL).ok();
                return;
            }
        }
        self.go_on(task, None);
    }

    /// `None` for a child of a child, which is not followed.
    fn owner(&mut self, task: Pid) -> Option<usize> {
        if let Some(owner) = self.tasks.get(&task) {
            return Some(*owner);
        }
        let status = std::fs::read_to_string(format!("/proc/{task}/status")).unwrap_or_default();
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse().ok().map(Pid::from_raw)
        };
        let (process, parent) = (field("Tgid:")?, field("PPid:")?);
        let owner = match self.readers.iter().position(|reader| reader.process() == process) {
            Some(owner) => owner,
            None if parent == self.program => {
                self.readers.push(Reader::new(process, self.names.clone()));
                self.readers.len() - 1
            }
            None => return None,
        };
        self.tasks.insert(task, owner);
        Some(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed_at(name: &str, command: &Command, whose: Whose) -> End {
        let judge = |_, call: &Call| if call.name == name { Verdict::Kill } else { Verdict::Go };
        Followed::new(command, whose, Names::default()).run(judge)
    }

    #[test]
    fn a_call_at_which_a_process_is_killed_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        let mut command = Command::new("mkdir");
        command.arg(&new);
        assert_eq!(killed_at("mkdir", &command, Whose::Own), End::Signal(Signal::SIGKILL));
        assert!(!new.exists());
        assert_eq!(killed_at("never", &command, Whose::Own), End::Code(0));
        assert!(new.exists());
    }

    #[test]
    fn children_are_seen_apart_from_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        let mut command = Command::new("sh");
        command.args(["-c", "mkdir \"$1\"; echo $? >\"$1.code\"", "sh"]).arg(&new);
        assert_eq!(killed_at("mkdir", &command, Whose::Children), End::Code(0));
        assert!(!new.exists());
        assert_eq!(std::fs::read_to_string(new.with_extension("code")).unwrap(), "137\n");
        assert_eq!(killed_at("mkdir", &command, Whose::Own), End::Code(0));
        assert!(new.exists());
    }

    #[test]
    fn a_child_that_outlives_the_program_is_let_go() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $! >\"$1\"", "sh"]);
        let pid = tempfile::NamedTempFile::new().unwrap();
        command.arg(pid.path());
        assert_eq!(killed_at("never", &command, Whose::Children), End::Code(0));
        let pid: i32 = std::fs::read_to_string(pid.path()).unwrap().trim().parse().unwrap();
        assert!(crate::wait::is_running(pid));
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
}
