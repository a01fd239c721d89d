//! Row 2: the power fails. The state directory is on a loop device; at the entry of each act its backing file is copied as it is at
//! that moment, which is what a disk would hold after a power cut, and pitstop dies there. The copy must name the act, and a
//! recovery from it must end well.
//!
//! Nothing but pitstop's own syncing may bring it to the disk in time: writing back and committing wait for minutes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration::sweep::call::{Call, Names};
use integration::sweep::tracer::{End, Followed, Verdict, Whose};
use integration::world::{Redirects, World};
use integration::{binaries, netns};
use pitstop::journal::{Entry, Record};
use pitstop::service::Note;
use tempfile::TempDir;

use crate::firewall::private_locks;

/// How long HAProxy may take to have an entry up.
const SOON: Duration = Duration::from_secs(20);

/// A file system in a file, mounted on the state directory.
struct Disk {
    options: &'static str,
    folder: TempDir,
    state: PathBuf,
}

impl Disk {
    /// Makes it, empty. Mounts are the calling thread's own, and go with it.
    fn new(mkfs: &[&str], size: u64, options: &'static str, state: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-disk-").tempdir().unwrap();
        let disk = Self { options, folder, state };
        std::fs::File::create(disk.image()).unwrap().set_len(size).unwrap();
        netns::run(&[mkfs, &[text(&disk.image()).as_str()]].concat());
        disk.mount();
        disk
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    /// Panics where there are no loop devices, for then nothing is tested.
    fn mount(&self) {
        netns::run(&["mount", "-o", &format!("loop,{}", self.options), &text(&self.image()), &text(&self.state)]);
    }

    /// What would be left if the power failed now.
    fn take_copy(&self) {
        netns::run(&["cp", "--sparse=always", &text(&self.image()), &text(&self.copy())]);
    }

    /// The power fails: what was copied is what there is.
    fn cut_power(&self) {
        netns::run(&["umount", &text(&self.state)]);
        std::fs::rename(self.copy(), self.image()).unwrap();
        self.mount();
    }
}

fn text(path: &Path) -> String {
    binaries::text(path)
}

/// An act that can be seen from outside.
#[derive(Debug, Clone, PartialEq)]
enum Act {
    /// A command to HAProxy, in words.
    Haproxy(String),
    /// A rule is removed (`-D`) or added (`-A`).
    Rule(&'static str),
    /// The stop signal.
    Stop,
    /// The start command.
    Start,
}

impl Act {
    fn of(call: &Call) -> Option<Self> {
        let subject = call.subject.as_str();
        match call.name {
            "writev" => subject.split_once("set server ").map(|(_, rest)| Self::Haproxy(rest.to_owned())),
            "pidfd_send_signal" if subject == "SIGTERM" => Some(Self::Stop),
            "execve" if subject.contains("testapp") => Some(Self::Start),
            "execve" if subject.contains("PITSTOP") => [("I", "-I"), ("A", "-A"), ("D", "-D")]
                .into_iter()
                .find(|(flag, _)| subject.split(' ').any(|word| word == *flag))
                .map(|(_, flag)| Self::Rule(flag)),
            _ => None,
        }
    }

    fn is_announced_by(&self, record: &Record) -> bool {
        match (self, record) {
            (Self::Haproxy(words), Record::ActIntent { what, .. }) => {
                what.replace('/', " ") == format!("set server {words}")
            }
            (Self::Rule(flag), Record::ActIntent { on, what }) => {
                on == "redirect" && what.contains(&format!(" {flag} "))
            }
            (Self::Stop, Record::Service { note: Note::Signalling { what } }) => what.starts_with("TERM to "),
            (Self::Start, Record::Service { note: Note::Signalling { what } }) => what.starts_with("start "),
            _ => false,
        }
    }
}

struct Scene {
    world: World,
    names: Names,
}

impl Scene {
    /// A restart; at its act of this number, from 1, `cut` is called and it dies. Returns its acts.
    fn restart(&self, die_at: usize, mut cut: impl FnMut() + Send) -> (End, Vec<Act>) {
        let mut acts = Vec::new();
        let command = self.world.pitstop.command(&["restart", "webA"]);
        let output = || tempfile::tempfile().unwrap();
        let followed = Followed::new(&command, Whose::Both, self.names.clone()).output(output(), output());
        let end = followed.run(|_, call| {
            let Some(act) = Act::of(call) else { return Verdict::Go };
            acts.push(act);
            if acts.len() != die_at {
                return Verdict::Go;
            }
            cut();
            Verdict::KillBoth
        });
        (end, acts)
    }

    /// The records of the last run in the journal, as it is on disk.
    fn last_run(&self) -> Vec<Record> {
        let journal = std::fs::read_to_string(self.world.pitstop.state().join("apps/webA/journal")).unwrap_or_default();
        let whole = journal.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let entries: Vec<Entry> = whole.lines().map(|line| Entry::from_line(line).unwrap()).collect();
        let last = entries.last().map(|entry| entry.run.clone());
        entries.into_iter().filter(|entry| Some(&entry.run) == last.as_ref()).map(|entry| entry.record).collect()
    }

    fn assert_in(&self, after: &str) {
        for server in self.world.servers(0) {
            self.world.haproxy.wait_for_status(&server, "UP", SOON);
        }
        let rules = netns::run(&["iptables", "-w", "5", "-t", "nat", "-S"]);
        assert!(rules.contains("--dport 2001"), "{after}\n{rules}");
        self.world.apps[0].wait_until_healthy();
    }
}

/// Cuts the power at each act of a restart in turn.
fn cut_power_at_each_act(mkfs: &[&str], size: u64, options: &'static str) {
    private_locks();
    let world = World::builder().apps(2).redirects(Redirects::ByPitstop).pitstop_line("hold = \"100ms\"").start();
    let disk = Disk::new(mkfs, size, options, world.pitstop.state());
    let mut names = Names::default();
    names.call(world.haproxy.folder(), "balancer");
    let scene = Scene { world, names };

    // Nothing is on the disk yet: the first cut takes the folders with it that are not synced.
    for number in 1.. {
        let (end, acts) = scene.restart(number, || disk.take_copy());
        if end == End::Code(0) {
            assert!(acts.len() >= 10, "{acts:?}");
            return;
        }
        let act = acts.last().expect("a run dies at its acts alone");
        disk.cut_power();
        let records = scene.last_run();
        assert!(records.iter().any(|record| act.is_announced_by(record)), "{act:?} is not among {records:#?}");
        let recovered = scene.world.pitstop.run(&["recover", "webA"]);
        assert_eq!(recovered.code, Some(0), "after {act:?}\n{}{}", recovered.stdout, recovered.stderr);
        scene.assert_in(&format!("after {act:?}"));
    }
}

#[test]
fn row_02_a_power_cut_at_any_act_leaves_its_intent_on_ext4() {
    cut_power_at_each_act(&["mkfs.ext4", "-q"], 64 << 20, "commit=300");
}

#[test]
fn row_02_a_power_cut_at_any_act_leaves_its_intent_on_xfs() {
    cut_power_at_each_act(&["mkfs.xfs", "-q"], 320 << 20, "attr2");
}

#[test]
fn row_02_a_power_cut_at_any_act_leaves_its_intent_on_btrfs() {
    cut_power_at_each_act(&["mkfs.btrfs", "-q"], 128 << 20, "commit=300");
}
