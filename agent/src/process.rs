//! Processes as the kernel sees them: who they are, when they are gone, who holds a socket.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process that can be told from a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`, proc(5)).
    pub start_time: u64,
}

impl Process {
    /// Clock ticks (10 ms) of processor time that it has used, if it sleeps just now; `None` while it works or waits for a disk,
    /// and where it is gone.
    pub fn ticks_at_rest(&self) -> io::Result<Option<u64>> {
        let stat = Stat::read(self.pid)?.filter(|stat| stat.process == *self && stat.state == 'S');
        Ok(stat.map(|stat| stat.ticks))
    }

    /// The process that has this pid now; `None` when there is none, or only a zombie.
    pub fn read(pid: u32) -> io::Result<Option<Self>> {
        Ok(Stat::read(pid)?.filter(Stat::lives).map(|stat| stat.process))
    }

    /// As [`Process::read`], but a child that has ended and was not waited for yet counts too.
    pub(crate) fn read_unreaped(pid: u32) -> io::Result<Option<Self>> {
        Ok(Stat::read(pid)?.map(|stat| stat.process))
    }

    /// Whether this very process still runs. A zombie does not.
    pub fn is_alive(&self) -> io::Result<bool> {
        Ok(Self::read(self.pid)? == Some(*self))
    }

    /// Waits until it is gone; `false` when it is still there at `deadline`.
    pub async fn wait_gone(&self, deadline: Instant) -> io::Result<bool> {
        match Handle::open(*self)? {
            Some(handle) => handle.wait_gone(deadline).await,
            None => Ok(true),
        }
    }
}

/// A hold on one process: signals sent through it never reach a later process with the same pid, and its end
/// is seen at once. Needs pidfd_open(2), Linux 5.3.
///
/// Open it before the act that needs it: afterwards there may be no file descriptor to be had.
#[derive(Debug)]
pub struct Handle {
    process: Process,
    descriptor: AsyncFd<std::os::fd::OwnedFd>,
}

impl Handle {
    /// Takes hold of a process; `None` when it is gone. Must be called within a tokio runtime.
    pub fn open(process: Process) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Only now the pid can't change hands any more.
        if !process.is_alive()? {
            return Ok(None);
        }
        #[expect(deprecated, reason = "its replacement is unsafe; an OwnedFd fulfils what that asks for")]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Some(Self { process, descriptor }))
    }

    /// The process held.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Sends a signal; `false` when the process was gone already.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let signal = rustix::process::Signal::from_named_raw(signal as i32).ok_or(io::ErrorKind::InvalidInput)?;
        match pidfd_send_signal(self.descriptor.get_ref(), signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process has ended; `false` when it has not by `deadline`.
    pub async fn wait_gone(&self, deadline: Instant) -> io::Result<bool> {
        // A pidfd turns readable when the process ends, waited for by its parent or not (pidfd_open(2)).
        match tokio::time::timeout_at(deadline.into(), self.descriptor.readable()).await {
            Ok(ready) => ready.map(|_| true),
            Err(_) => Ok(false),
        }
    }
}

/// What we read of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    process: Process,
    parent: u32,
    state: char,
    /// Clock ticks of processor time, `utime` and `stime`.
    ticks: u64,
    threads: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Option<Self>> {
        match std::fs::read(format!("/proc/{pid}/stat")) {
            Ok(bytes) => Self::parse(pid, &String::from_utf8_lossy(&bytes))
                .map(Some)
                .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not as in proc(5)"))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The command's name, in brackets, may itself hold spaces and brackets: all fields are counted from the last `)`.
    fn parse(pid: u32, text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            process: Process { pid, start_time: field(22)?.parse().ok()? },
            parent: field(4)?.parse().ok()?,
            state: field(3)?.chars().next()?,
            ticks: field(14)?.parse::<u64>().ok()?.saturating_add(field(15)?.parse().ok()?),
            threads: field(20)?.parse().ok()?,
        })
    }

    /// A zombie with threads left is a process whose first thread has ended.
    fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X') || self.threads > 1
    }

    fn all() -> io::Result<Vec<Self>> {
        pids()?.into_iter().filter_map(|pid| Self::read(pid).transpose()).collect()
    }
}

/// Everything that descends from `pid`, without itself and without zombies. Reads all of `/proc`.
pub fn descendants_of(pid: u32) -> io::Result<Vec<Process>> {
    let all = Stat::all()?;
    let mut family = vec![pid];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        for child in all.iter().filter(|stat| stat.parent == parent) {
            family.push(child.process.pid);
            if child.lives() {
                found.push(child.process);
            }
        }
    }
    Ok(found)
}

/// The pids above `pid`, its parent first.
pub fn ancestors_of(pid: u32) -> io::Result<Vec<u32>> {
    let mut above = Vec::new();
    let mut next = pid;
    while let Some(stat) = Stat::read(next)?
        && stat.parent != 0
        && !above.contains(&stat.parent)
    {
        above.push(stat.parent);
        next = stat.parent;
    }
    Ok(above)
}

/// The processes that hold one of these sockets open. Reads `/proc/PID/fd` of all processes: call it off the runtime's thread.
///
/// # Errors
/// `PermissionDenied` when none was found and there were processes whose files we may not see.
pub fn holders_of(inodes: &HashSet<u32>) -> io::Result<Vec<Process>> {
    if inodes.is_empty() {
        return Ok(Vec::new());
    }
    let mut holders = Vec::new();
    let mut hidden = 0_u32;
    for pid in pids()? {
        match holds(pid, inodes) {
            Ok(true) => holders.extend(Process::read(pid)?),
            Ok(false) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => hidden += 1,
            Err(error) => return Err(error),
        }
    }
    if holders.is_empty() && hidden > 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("may not look into {hidden} processes; run as root"),
        ));
    }
    Ok(holders)
}

fn holds(pid: u32, inodes: &HashSet<u32>) -> io::Result<bool> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        match std::fs::read_link(entry?.path()) {
            Ok(target) => {
                if socket_inode(&target).is_some_and(|inode| inodes.contains(&inode)) {
                    return Ok(true);
                }
            }
            // This one descriptor was closed in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn socket_inode(target: &Path) -> Option<u32> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The id of this boot of the host, which changes with every boot (random(4)).
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

/// A process that ends while its files are read gives ENOENT at open and ESRCH at read.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use std::process::{Command, Stdio};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn line(name: &str, state: char, parent: u32, threads: u64, start_time: u64) -> String {
        format!("7 ({name}) {state} {parent} 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 {threads} 0 {start_time} 0 0 0")
    }

    proptest! {
        #[test]
        fn no_command_name_can_shift_the_fields(name in ".{0,16}", start_time: u64, parent: u32) {
            let stat = Stat::parse(7, &line(&name, 'S', parent, 1, start_time)).unwrap();
            prop_assert_eq!(stat.process, Process { pid: 7, start_time });
            prop_assert_eq!(stat.parent, parent);
            prop_assert!(stat.lives());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = Stat::parse(1, &text);
        }
    }

    #[test]
    fn a_zombie_is_gone_unless_threads_of_it_run() {
        assert!(!Stat::parse(7, &line("x", 'Z', 1, 1, 5)).unwrap().lives());
        assert!(Stat::parse(7, &line("x", 'Z', 1, 2, 5)).unwrap().lives());
    }

    #[test]
    fn we_are_our_own_childs_ancestor_and_it_is_our_descendant() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::read(child.id()).unwrap().unwrap();
        let descendants = descendants_of(std::process::id()).unwrap();
        let ancestors = ancestors_of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(descendants.contains(&process));
        assert_eq!(ancestors.first(), Some(&std::process::id()));
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_seen_before_anyone_waited_for_it() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::read(child.id()).unwrap().unwrap();
        let handle = Handle::open(process).unwrap().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(!handle.wait_gone(soon).await.unwrap());
        assert!(handle.signal(Signal::SIGKILL).unwrap());
        let deadline = Instant::now() + Duration::from_secs(5);
        assert!(handle.wait_gone(deadline).await.unwrap());
        assert!(!process.is_alive().unwrap());
        assert!(Process::read(process.pid).unwrap().is_none());
        assert!(process.wait_gone(deadline).await.unwrap());
        child.wait().unwrap();
        assert!(!handle.signal(Signal::SIGKILL).unwrap());
    }

    #[tokio::test]
    async fn a_reused_pid_is_another_process() {
        let me = Process::read(std::process::id()).unwrap().unwrap();
        let before = Process { start_time: me.start_time - 1, ..me };
        assert!(me.is_alive().unwrap());
        assert!(!before.is_alive().unwrap());
        assert!(Handle::open(before).unwrap().is_none());
    }

    #[test]
    fn the_holder_of_a_socket_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener_fd(&listener))).unwrap();
        let inodes = HashSet::from([socket_inode(&link).unwrap()]);
        let holders = holders_of(&inodes).unwrap();
        assert!(holders.iter().any(|p| p.pid == std::process::id()));
        drop(listener);
    }

    fn listener_fd(listener: &std::net::TcpListener) -> i32 {
        use std::os::fd::AsRawFd;
        listener.as_raw_fd()
    }

    #[test]
    fn a_boot_has_an_id() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
