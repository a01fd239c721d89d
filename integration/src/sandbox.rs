//! Namespaces for a whole program: network, mounts and processes of its own, and a private `/run`. The kernel ends
//! everything in them with the program, whatever ends it, so nothing is left behind even by `kill -9`.
//!
//! The program runs three times: the *outer* one passes signals on and waits; *init* is process 1 of the new process
//! namespace and reaps orphans, as daemons need; the third one does the work.

use std::env;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::netns;

const STAGE: &str = "PITSTOP_SANDBOX_STAGE";

/// Where temporary files of the sandbox go: private to it, in memory, and gone with it.
const SCRATCH: &str = "/run/scratch";

/// Runs `work` in a sandbox and returns its exit code. Must come first in `main`, while there is only one thread.
///
/// In `work`, `/run` is empty but for temporary files, loopback is up, and there is no other interface. INT, TERM and HUP reach
/// it once each; when the outer program is killed, all die at once.
pub fn run(work: impl FnOnce() -> ExitCode) -> ExitCode {
    match env::var(STAGE).as_deref() {
        Err(_) => outer(),
        Ok("init") => init(),
        Ok(_) => {
            SigSet::all().thread_unblock().expect("unblock signals");
            work()
        }
    }
}

/// Whether this is the outer program, so that arguments can be checked before anything else.
pub fn is_outside() -> bool {
    env::var_os(STAGE).is_none()
}

fn outer() -> ExitCode {
    let signals = watched();
    signals.thread_block().expect("block signals");
    let spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if let Err(error) = unshare(spaces) {
        assert_eq!(error, Errno::EPERM, "namespaces of our own: {error}");
        panic!("namespaces of our own need root: run it with sudo");
    }
    let init = again("init");
    pass_on_until_ended(init, &signals)
}

fn init() -> ExitCode {
    // The kernel then ends everything in this process namespace.
    set_pdeathsig(Signal::SIGKILL).expect("end with the outer program");
    let signals = watched();
    signals.thread_block().expect("block signals");
    furnish();
    let work = again("work");
    pass_on_until_ended(work, &signals)
}

/// A private view of the file system, so that neither the firewall's lock nor our files touch the host.
fn furnish() {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).expect("mount /proc");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).expect("mount /run");
    std::fs::create_dir(SCRATCH).expect("create the scratch folder");
    netns::run(&["ip", "link", "set", "lo", "up"]);
}

fn watched() -> SigSet {
    [Signal::SIGCHLD, Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect()
}

fn again(stage: &str) -> Child {
    Command::new(env::current_exe().expect("the running executable has a path"))
        .args(env::args_os().skip(1))
        .env(STAGE, stage)
        .env("TMPDIR", SCRATCH)
        // A terminal sends Ctrl-C to its whole foreground group; in another one it comes once, from us.
        .process_group(0)
        .spawn()
        .expect("start ourselves again")
}

fn pass_on_until_ended(mut child: Child, signals: &SigSet) -> ExitCode {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
    loop {
        match signals.wait().expect("wait for a signal") {
            Signal::SIGCHLD => {
                if let Some(status) = child.try_wait().expect("wait for the child") {
                    return code(status);
                }
                reap_orphans(pid);
            }
            signal => {
                kill(pid, signal).ok();
            }
        }
    }
}

/// Reaps what was inherited, but leaves `child` to its owner.
fn reap_orphans(child: Pid) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, peek) {
        if pid == child {
            return;
        }
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG).ok();
    }
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
