//! A further host with a systemd of its own, that can be rebooted: a container on a [`Host`]'s network.
//!
//! Its disk is a layer above the test bed's root (`scripts/setup systemd-root`) and survives a reboot; `/run`, the firewall and the
//! boot id do not.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::netns::Host;
use crate::pitstop::{Outcome, Run};
use crate::{binaries, wait};

const BOOT: Duration = Duration::from_secs(60);
/// Longer than systemd waits for what does not end, see [`STOP_LIMIT`].
const END: Duration = Duration::from_secs(60);
/// Disks are small, and in memory: what is an overlay itself, as a container's files are, can't hold the upper layer of one.
const DISKS: &str = "/dev/shm";
const JOURNAL: &str = "[Journal]\nStorage=volatile\n";
/// Neither a service nor a process of nobody's holds up a shutdown longer.
const STOP_LIMIT: &str = "[Manager]\nDefaultTimeoutStopSec=5s\n";

/// Mounts the disk ($2) above the root ($1) where nobody else sees it, and becomes the container ($4...) in a control group ($3) of its own:
/// two systemds in one would end each other's processes.
const CONTAINER: &str = r#"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" &&
mkdir -p "$3" && echo $$ >"$3/cgroup.procs" && shift 3 && exec "$@"
"#;

/// The host; it ends on drop.
#[derive(Debug)]
pub struct Machine {
    /// Its network.
    pub host: Host,
    disk: TempDir,
    nspawn: Option<Child>,
    init: i32,
}

impl Machine {
    /// Joined to the calling thread's namespace, not booted yet; it has `pitstop` and `testapp` in `/usr/local/bin`.
    #[expect(clippy::new_without_default, reason = "a new host is no default")]
    pub fn new() -> Self {
        let host = Host::new();
        let disk = tempfile::Builder::new().prefix("pitstop-disk-").tempdir_in(DISKS).expect("create a disk");
        for folder in ["upper", "work", "root"] {
            std::fs::create_dir(disk.path().join(folder)).expect("create a folder of the disk");
        }
        let machine = Self { host, disk, nspawn: None, init: 0 };
        machine.write("/etc/systemd/system.conf.d/limits.conf", STOP_LIMIT);
        machine.write("/etc/systemd/journald.conf.d/storage.conf", JOURNAL);
        machine
    }

    /// Where a file of this machine is for us. No absolute link may be on the way: it would lead to our own files.
    pub fn path(&self, file: &str) -> PathBuf {
        let root = match self.nspawn {
            Some(_) => PathBuf::from(format!("/proc/{}/root", self.init)),
            None => self.disk.path().join("upper"),
        };
        root.join(file.trim_start_matches('/'))
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .expect("write a file of the machine");
    }

    /// Removes a file.
    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).expect("remove a file of the machine");
    }

    /// The text of a file; none where there is no such file.
    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    /// Installs a unit that each boot starts.
    pub fn install(&self, unit: &str, text: &str) {
        self.write(&format!("/etc/systemd/system/{unit}"), text);
        let wants = self.path("/etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&wants).expect("create a folder of the machine");
        symlink(format!("/etc/systemd/system/{unit}"), wants.join(unit)).expect("enable a unit");
    }

    /// Boots it, and returns when systemd has started everything.
    pub fn boot(&mut self) {
        let testbed = std::env::var("PITSTOP_TESTBED").unwrap_or_else(|_| "/var/cache/pitstop-testbed".to_owned());
        let root = std::env::var("PITSTOP_SYSTEMD_ROOT").unwrap_or_else(|_| format!("{testbed}/systemd-root"));
        assert!(Path::new(&root).is_dir(), "{root} is missing: scripts/setup systemd-root");
        let disk = self.disk.path();
        let log = std::fs::File::create(disk.join("console")).expect("create the console's file");
        let bind = |program: &str| format!("--bind-ro={}:/usr/local/bin/{program}", binaries::ours(program).display());
        let child = Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-c", CONTAINER, "container", &root])
            .args([disk, &self.control_group()])
            .args(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"])
            .arg(format!("--directory={}", disk.join("root").display()))
            .arg(format!("--machine={}", self.host.name()))
            .arg(format!("--network-namespace-path=/run/netns/{}", self.host.name()))
            .args(["--capability=CAP_NET_ADMIN,CAP_NET_RAW", &bind("pitstop"), &bind("testapp")])
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the console"))
            .stderr(log)
            .spawn()
            .expect("start a container");
        let nspawn = i32::try_from(child.id()).expect("process ids fit");
        self.nspawn = Some(child);
        self.init = wait::until("the container's init", BOOT, || {
            assert!(wait::is_running(nspawn), "the container ended:\n{}", self.console());
            wait::children(nspawn).into_iter().find(|child| is_init(*child))
        });
        wait::until("systemd has started everything", BOOT, || {
            let state = self.run(&["systemctl", "is-system-running"]).stdout;
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
    }

    fn control_group(&self) -> PathBuf {
        let mounts = std::fs::read_to_string("/proc/mounts").expect("read the mounts");
        let unified =
            mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words[2] == "cgroup2");
        let ours = std::fs::read_to_string("/proc/self/cgroup").expect("read our control group");
        let ours = ours.lines().find_map(|line| line.strip_prefix("0::/")).expect("control groups of version 2");
        Path::new(unified.expect("control groups of version 2")[1]).join(ours).join(self.host.name())
    }

    /// A command on it, as root, outside all units.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--all", "--"]).args(words).stdin(Stdio::null());
        command
    }

    /// Starts a command, and does not wait.
    pub fn start(&self, words: &[&str]) -> Run {
        Run::start(self.command(words))
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Outcome {
        self.start(words).wait()
    }

    /// `systemctl reboot`: all units are stopped first, then everything else.
    pub fn reboot(&mut self) {
        self.run(&["systemctl", "reboot"]).assert_code(0);
        // "Container has been rebooted": systemd-nspawn(1), exit status.
        assert_eq!(self.await_end().code(), Some(133));
        self.host.renew();
        self.boot();
    }

    /// A power cut, and back: nothing is told before.
    pub fn cut_power(&mut self) {
        kill(Pid::from_raw(self.init), Signal::SIGKILL).expect("kill init");
        self.await_end();
        self.host.renew();
        self.boot();
    }

    fn await_end(&mut self) -> ExitStatus {
        let mut nspawn = self.nspawn.take().expect("it was booted");
        let status = wait::within(END, || {
            resume_children();
            nspawn.try_wait().expect("wait for a container")
        });
        nspawn.kill().ok();
        nspawn.wait().ok();
        remove_group(&self.control_group());
        status.unwrap_or_else(|| panic!("the machine does not end:\n{}", self.console()))
    }

    /// What it wrote to its console since it was booted.
    pub fn console(&self) -> String {
        std::fs::read_to_string(self.disk.path().join("console")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut nspawn) = self.nspawn.take() {
            // Its init takes its whole process namespace with it.
            if wait::children(i32::try_from(nspawn.id()).unwrap_or(0)).contains(&self.init) {
                kill(Pid::from_raw(self.init), Signal::SIGKILL).ok();
            }
            if wait::exit_within(&mut nspawn, Duration::from_secs(10)).is_none() {
                nspawn.kill().ok();
            }
            nspawn.wait().ok();
            remove_group(&self.control_group());
        }
    }
}

/// systemd stops all processes before it ends them; nsenter(1) then stops itself as well, and its child is never reaped.
fn resume_children() {
    for child in wait::children(nix::unistd::gettid().as_raw()) {
        kill(Pid::from_raw(child), Signal::SIGCONT).ok();
    }
}

/// Removes a control group with all below; those that still have processes stay.
fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    std::fs::remove_dir(group).ok();
}

/// Whether a process is number 1 of a process namespace of its own: proc(5), `NSpid`.
fn is_init(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_whitespace().nth(1) == Some("1")
}
