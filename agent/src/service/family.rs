//! Who the app is: by its pid file, believed only as far as the kernel agrees, or by who holds its port.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{SysconfVar, sysconf};

use super::{Identity, ServiceError};
use crate::drain::sockets::Sockets;
use crate::process::{self, Process};

/// Finds the processes of one app.
#[derive(Debug, Clone)]
pub(super) struct Finder {
    listen: SocketAddr,
    pidfile: Option<PathBuf>,
}

/// The processes of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family {
    /// The main one.
    pub(super) main: Process,
    /// Whether the pid file says so; otherwise it is the topmost of those that hold the listening socket.
    pub(super) named: bool,
    /// Those below the main one that hold the listening socket.
    pub(super) workers: Vec<Process>,
    /// Those not below it that hold the listening socket as well.
    pub(super) strangers: Vec<Process>,
    /// Whether anybody holds the listening socket.
    pub(super) listens: bool,
}

/// A process that holds the listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) process: Process,
    /// Those below it that hold it too.
    pub(super) below: Vec<Process>,
}

impl Family {
    /// Whether there are workers, and none of them was there before.
    pub(super) fn has_only_new_workers(&self, before: &Self) -> bool {
        !self.workers.is_empty() && !self.workers.iter().any(|w| before.workers.contains(w))
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { main: self.main, invocation: None }
    }
}

impl Finder {
    pub(super) fn new(listen: SocketAddr, pidfile: Option<&Path>) -> Self {
        Self { listen, pidfile: pidfile.map(Path::to_owned) }
    }

    pub(super) fn has_pidfile(&self) -> bool {
        self.pidfile.is_some()
    }

    /// The app's processes now; `None` when it does not run.
    ///
    /// # Errors
    /// The pid file names a process that is not the app, or the kernel would not tell. Nothing was touched.
    pub(super) async fn find(&self) -> Result<Option<Family>, ServiceError> {
        let finder = self.clone();
        self.with_listening(move |inodes| finder.look(inodes)).await
    }

    /// The app's processes now, where somebody else knows the main one.
    pub(super) async fn of(&self, main: Process) -> Result<Family, ServiceError> {
        self.with_listening(move |inodes| family(main, true, &holders(inodes)?)).await
    }

    /// The processes that hold the listening socket, in no order.
    pub(super) async fn holders(&self) -> Result<Vec<Holder>, ServiceError> {
        self.with_listening(|inodes| {
            let holders = holders(inodes)?;
            let related = |process: &Process| {
                let mut below = process::descendants_of(process.pid)?;
                below.retain(|other| holders.contains(other));
                Ok(Holder { process: *process, below })
            };
            let related: io::Result<Vec<Holder>> = holders.iter().map(related).collect();
            related.map_err(unreadable)
        })
        .await
    }

    /// The process id in the pid file, whatever has become of that process.
    pub(super) async fn named_pid(&self) -> Option<u32> {
        let path = self.pidfile.clone()?;
        let read = move || read_pidfile(&path);
        blocking(read).await.ok().flatten().map(|named| named.pid)
    }

    /// The live processes named by the pid file and by `PIDFILE.2`, where gunicorn's successor puts itself.
    pub(super) fn named(&self) -> Vec<Process> {
        let Some(pidfile) = &self.pidfile else {
            return Vec::new();
        };
        let mut second = pidfile.clone().into_os_string();
        second.push(".2");
        [pidfile.clone(), second.into()]
            .iter()
            .filter_map(|path| read_pidfile(path).ok().flatten())
            .filter_map(|named| Process::read(named.pid).ok().flatten())
            .collect()
    }

    /// Looks who holds the listening sockets. Nobody is found to hold one that was closed meanwhile, and where some processes are hidden
    /// from us that looks as if one of them did: then it is looked at again.
    async fn with_listening<T: Send + 'static>(
        &self,
        look: impl Fn(&HashSet<u32>) -> Result<T, ServiceError> + Clone + Send + 'static,
    ) -> Result<T, ServiceError> {
        let mut inodes = self.listening().await?;
        loop {
            let (look, listening) = (look.clone(), inodes.clone());
            let seen = blocking(move || look(&listening)).await;
            let Err(error) = seen else { return seen };
            let now = self.listening().await?;
            if now == inodes {
                return Err(error);
            }
            inodes = now;
        }
    }

    async fn listening(&self) -> Result<HashSet<u32>, ServiceError> {
        let sockets = Sockets::new(self.listen, Vec::new());
        sockets.listening().await.map_err(|error| {
            ServiceError::untouched(format!("could not ask the kernel who listens at {}", self.listen)).because(error)
        })
    }

    fn look(&self, inodes: &HashSet<u32>) -> Result<Option<Family>, ServiceError> {
        let holders = holders(inodes)?;
        let named = match &self.pidfile {
            Some(path) => self.believe(path, &holders)?,
            None => None,
        };
        let Some(main) = named.or(topmost(&holders).map_err(unreadable)?) else {
            return Ok(None);
        };
        family(main, named.is_some(), &holders).map(Some)
    }

    /// The process that the pid file names, if it runs and is the app: it or one below it holds the listening socket; where nobody
    /// does, it must at least be older than the file, for a pid that was given to somebody else is younger.
    fn believe(&self, path: &Path, holders: &[Process]) -> Result<Option<Process>, ServiceError> {
        let Some(named) = read_pidfile(path)? else {
            return Ok(None);
        };
        let Some(main) = Process::read(named.pid).map_err(unreadable)? else {
            return Ok(None);
        };
        let file = path.display();
        let pid = main.pid;
        if holders.is_empty() {
            return match seconds_of_start(&main).map_err(unreadable)? {
                started if started <= named.written + 2 => Ok(Some(main)),
                _ => Err(ServiceError::untouched(format!(
                    "{file} names process {pid}, which started after the file was written, and nothing listens at {}",
                    self.listen
                ))
                .with_hint(format!("ps -fp {pid}; if that is not the app: rm {file}"))),
            };
        }
        let below = process::descendants_of(pid).map_err(unreadable)?;
        if holders.iter().any(|holder| *holder == main || below.contains(holder)) {
            return Ok(Some(main));
        }
        Err(ServiceError::untouched(format!(
            "{file} names process {pid}, but {} is held by {}",
            self.listen,
            show(holders)
        ))
        .with_hint(format!("ss -ltnp 'sport = :{}'; ps -fp {pid}", self.listen.port())))
    }
}

fn family(main: Process, named: bool, holders: &[Process]) -> Result<Family, ServiceError> {
    let below = process::descendants_of(main.pid).map_err(unreadable)?;
    let (workers, mut strangers): (Vec<Process>, Vec<Process>) =
        holders.iter().filter(|holder| **holder != main).partition(|holder| below.contains(holder));
    // A worker that has ended since its sockets were read is below nobody.
    strangers.retain(|stranger| stranger.is_alive().unwrap_or(true));
    Ok(Family { main, named, workers, strangers, listens: !holders.is_empty() })
}

/// Processes for people: `process 4711`, `processes 4711, 4712`.
pub(super) fn show(processes: &[Process]) -> String {
    let pids: Vec<String> = processes.iter().map(|p| p.pid.to_string()).collect();
    let noun = if pids.len() == 1 { "process" } else { "processes" };
    format!("{noun} {}", pids.join(", "))
}

/// Those that hold one of these sockets. Where systemd opened the socket for the app, pid 1 holds it too and is not the app.
fn holders(inodes: &HashSet<u32>) -> Result<Vec<Process>, ServiceError> {
    let mut holders = process::holders_of(inodes).map_err(unreadable)?;
    holders.retain(|holder| holder.pid != 1);
    Ok(holders)
}

/// The oldest of those that have no other holder above them.
fn topmost(holders: &[Process]) -> io::Result<Option<Process>> {
    let mut tops = Vec::new();
    for holder in holders {
        let above = process::ancestors_of(holder.pid)?;
        if !holders.iter().any(|other| above.contains(&other.pid)) {
            tops.push(*holder);
        }
    }
    Ok(tops.into_iter().min_by_key(|top| (top.start_time, top.pid)))
}

struct Named {
    pid: u32,
    /// When the file was written, in seconds since 1970.
    written: i64,
}

/// `None` when there is no such file, or nothing in it (yet).
fn read_pidfile(path: &Path) -> Result<Option<Named>, ServiceError> {
    let wrong = |what: &str| {
        ServiceError::untouched(format!("the pid file {} {what}", path.display()))
            .with_hint(format!("cat {}", path.display()))
    };
    let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong("can't be opened").because(error)),
    };
    let (text, written) = bounded(file).map_err(|error| wrong("can't be read").because(error))?;
    let digits = text.trim();
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u32>() {
        Ok(pid) if number && pid > 1 => Ok(Some(Named { pid, written })),
        _ => Err(wrong("does not hold a process id")),
    }
}

fn bounded(file: File) -> io::Result<(String, i64)> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    file.take(64).read_to_string(&mut text)?;
    Ok((text, metadata.mtime()))
}

/// When a process started, in seconds since 1970, one second exact as `btime` of `/proc/stat` is.
fn seconds_of_start(process: &Process) -> io::Result<i64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let boot: Option<i64> =
        stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|seconds| seconds.trim().parse().ok());
    let ticks = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100).max(1);
    let since_boot = i64::try_from(process.start_time).unwrap_or(i64::MAX) / ticks;
    boot.map(|boot| boot.saturating_add(since_boot)).ok_or_else(|| io::Error::other("/proc/stat has no btime"))
}

pub(super) fn unreadable(error: io::Error) -> ServiceError {
    ServiceError::untouched("could not read /proc").because(error)
}

pub(super) async fn blocking<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|error| Err(ServiceError::untouched("could not read /proc").because(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Result<Option<u32>, ServiceError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        std::fs::write(&path, text).unwrap();
        read_pidfile(&path).map(|named| named.map(|named| named.pid))
    }

    #[test]
    fn a_pid_file_holds_digits_and_nothing_else() {
        assert_eq!(read(b"4711\n").unwrap(), Some(4711));
        assert_eq!(read(b"\n").unwrap(), None);
        for wrong in [&b"0"[..], b"1", b"-1", b"+47", b"47 11", b"0x2f", b"99999999999", b"\xff"] {
            assert!(!read(wrong).unwrap_err().touched);
        }
        assert!(read(&[b'1'; 1000]).is_err());
    }

    #[test]
    fn no_pid_file_is_no_process_and_a_fifo_does_not_hang() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        assert!(read_pidfile(&path).unwrap().is_none());
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_pidfile(&path).is_err());
    }

    #[test]
    fn the_topmost_holder_is_the_main_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let me = Process::read(std::process::id()).unwrap().unwrap();
        let below = Process::read(child.id()).unwrap().unwrap();
        let found = topmost(&[below, me]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, Some(me));
    }

    #[tokio::test]
    async fn a_pid_given_to_somebody_younger_than_the_file_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        std::fs::write(&path, std::process::id().to_string()).unwrap();
        let finder = Finder::new("127.0.0.1:1".parse().unwrap(), Some(&path));
        let me = Process::read(std::process::id()).unwrap().unwrap();
        assert_eq!(finder.look(&HashSet::new()).unwrap().unwrap().main, me);
        let hour_ago = std::fs::metadata(&path).unwrap().modified().unwrap() - std::time::Duration::from_secs(3600);
        File::open(&path).unwrap().set_modified(hour_ago).unwrap();
        assert!(finder.look(&HashSet::new()).is_err());
    }

    proptest! {
        #[test]
        fn no_pid_file_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
        }
    }
}
