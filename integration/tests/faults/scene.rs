//! The standard world with load on it and its alerts written down, and what a run that changed nothing left as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use integration::haproxy::Haproxy;
use integration::load::{Load, Summary};
use integration::netns;
use integration::pitstop::{Outcome, Run};
use integration::wait;
use integration::world::{Builder, World};
use tempfile::TempDir;

/// Longer than anything that is waited for here takes on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The longest request of the load.
const LONG: Duration = Duration::from_millis(500);

/// A world under load, whose `on_alert` appends its message to a file.
pub(crate) struct Scene {
    pub(crate) load: Load,
    pub(crate) world: World,
    alerts: PathBuf,
    _folder: TempDir,
}

impl Scene {
    /// Sets it, and returns when requests are answered.
    pub(crate) fn new(builder: Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alerts = folder.path().join("alerts");
        let on_alert = format!("on_alert = ['sh', '-c', 'echo \"$1\" >>{}', 'alert']", alerts.display());
        let world = builder.pitstop_line(&on_alert).start();
        let load = world.load(LONG);
        load.wait_for_requests(50, SOON);
        Self { load, world, alerts, _folder: folder }
    }

    /// Runs `pitstop` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.world.pitstop.run(arguments)
    }

    /// What was said aloud.
    pub(crate) fn alerts(&self) -> String {
        fs::read_to_string(&self.alerts).unwrap_or_default()
    }

    /// The process of `webA`.
    pub(crate) fn pid(&self) -> i32 {
        self.world.apps[0].pid().unwrap()
    }

    /// Panics unless `webA` runs, healthy, and every balancer has all its entries up.
    pub(crate) fn assert_in(&self) {
        self.world.apps[0].wait_until_healthy();
        assert!(statuses(&self.world).iter().all(|status| status.starts_with("UP")), "{:?}", statuses(&self.world));
    }

    /// Panics unless every balancer has all entries of `webA` in maintenance.
    pub(crate) fn assert_out(&self) {
        assert!(statuses(&self.world).iter().all(|status| status == "MAINT"), "{:?}", statuses(&self.world));
    }

    /// Ends the load, after some more of it; panics when any request failed.
    pub(crate) fn assert_nothing_failed(self) -> Summary {
        self.load.wait_for_requests(50, SOON);
        let summary = self.load.stop();
        summary.assert_nothing_failed();
        summary
    }
}

/// Waits until the process of `webA` is another one than `old`.
pub(crate) fn wait_for_new_process(world: &World, old: i32) {
    wait::until("a new process", SOON, || (world.apps[0].pid()? != old).then_some(()));
}

/// Waits until the journal of `webA` has this text; panics when the run ends before.
pub(crate) fn wait_for_journal(world: &World, run: &mut Run, text: &str) {
    let journal = world.pitstop.state().join("apps/webA/journal");
    let written = || fs::read_to_string(&journal).is_ok_and(|journal| journal.contains(text));
    let written = wait::within(SOON, || {
        let ended = run.has_ended();
        let written = written();
        (written || ended).then_some(written)
    });
    assert_eq!(written, Some(true), "{text:?} is not in {}\n{}", journal.display(), run.stderr());
}

/// Administrative state and weight of every entry on every balancer, the rules, and the app's processes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touchables {
    entries: Vec<String>,
    rules: BTreeSet<String>,
    processes: Vec<Option<i32>>,
}

impl Touchables {
    /// As they are now.
    pub(crate) fn of(world: &World) -> Self {
        let rules = |program: &str, table: &str| netns::run(&[program, "-w", "5", "-t", table, "-S"]);
        let rules = ["iptables", "ip6tables"].map(|program| ["nat", "filter"].map(|table| rules(program, table)));
        Self {
            entries: balancers(world).flat_map(entries).collect(),
            rules: rules.concat().iter().flat_map(|rules| rules.lines()).map(str::to_owned).collect(),
            processes: world.apps.iter().map(integration::app::App::pid).collect(),
        }
    }

    /// All but the processes.
    pub(crate) fn settings(&self) -> (&[String], &BTreeSet<String>) {
        (&self.entries, &self.rules)
    }

    /// Panics unless everything is as it was, and all apps run.
    pub(crate) fn assert_untouched(&self, world: &World) {
        assert_eq!(self, &Self::of(world));
        assert!(world.apps.iter().all(integration::app::App::is_running));
    }
}

fn balancers(world: &World) -> impl Iterator<Item = &Haproxy> {
    std::iter::once(&world.haproxy).chain(&world.others)
}

/// The statuses of all entries of `webA`, on every balancer.
fn statuses(world: &World) -> Vec<String> {
    balancers(world).flat_map(|haproxy| world.servers(0).map(|server| haproxy.status(&server))).collect()
}

/// Backend, server, address, `srv_admin_state` and weight of each entry: management guide, "show servers state".
fn entries(haproxy: &Haproxy) -> Vec<String> {
    let kept = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        [1, 3, 4, 6, 7].map(|column| words[column]).join(" ")
    };
    let states = haproxy.command("show servers state");
    states.lines().skip(2).filter(|line| !line.is_empty()).map(kept).collect()
}
