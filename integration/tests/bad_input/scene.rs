//! A small scene, and what a run that touches nothing leaves as it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use integration::netns;
use integration::pitstop::{Outcome, Pitstop, Run};
use integration::world::{Builder, Redirects, World};

/// Two apps, checked often, without a hold: nothing here is about time.
pub(crate) fn builder() -> Builder {
    World::builder().apps(2).check_interval(Duration::from_millis(100)).pitstop_line("hold = \"0s\"\non_alert = []")
}

/// The socket alone.
pub(crate) fn world() -> World {
    builder().start()
}

/// With the redirect as well.
pub(crate) fn with_redirects() -> World {
    builder().redirects(Redirects::ByPitstop).start()
}

/// Replaces a piece of `pitstop.toml`, everywhere.
pub(crate) fn replace(pitstop: &Pitstop, from: &str, to: &str) {
    let config = std::fs::read_to_string(pitstop.config()).unwrap();
    assert!(config.contains(from), "{from} is not in {config}");
    pitstop.configure(&config.replace(from, to));
}

/// Runs `pitstop` with a program before it, such as `setpriv`.
pub(crate) fn run_by(world: &World, program: &[&str], arguments: &[&str]) -> Outcome {
    let inner = world.pitstop.command(arguments);
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(inner.get_program()).args(inner.get_args());
    Run::start(command).wait()
}

/// Everything that a run can touch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touchables {
    servers: Vec<String>,
    rules: String,
    state: BTreeMap<String, String>,
    pids: Vec<Option<i32>>,
}

impl Touchables {
    /// As they are now; HAProxy must answer.
    pub(crate) fn of(world: &World) -> Self {
        let states = world.haproxy.command("show servers state");
        // Names, address, administrative state and weight: the rest are times and check results.
        let kept = |line: &str| {
            line.split(' ')
                .enumerate()
                .filter(|(n, _)| [1, 3, 4, 6, 7].contains(n))
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        };
        Self {
            servers: states.lines().skip(2).map(kept).collect(),
            rules: ["nat", "filter"].map(|table| netns::run(&["iptables", "-w", "5", "-t", table, "-S"])).concat(),
            state: files(&world.pitstop.state()),
            pids: world.apps.iter().map(integration::app::App::pid).collect(),
        }
    }

    /// Panics unless everything is as it was, and all apps run.
    pub(crate) fn assert_untouched(&self, world: &World) {
        assert_eq!(self, &Self::of(world));
        assert!(world.apps.iter().all(integration::app::App::is_running));
    }
}

/// All files under a folder, with what is in them.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.display().to_string(),
                    String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
                );
            }
        }
    }
    found
}

/// What was said on both streams.
pub(crate) fn said(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stderr, outcome.stdout)
}

/// Panics unless it ended so, naming each of these things.
pub(crate) fn assert_says(outcome: &Outcome, code: i32, wanted: &[&str]) {
    outcome.assert_code(code);
    let said = said(outcome);
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted:?} is not in:\n{said}");
    }
}

/// Refused: says why and what to type, for `restart` and for `check`, and nothing is touched.
pub(crate) fn assert_refused(world: &World, app: &str, wanted: &[&str]) {
    let before = Touchables::of(world);
    assert_says(&world.pitstop.run(&["restart", app]), 3, wanted);
    assert_says(&world.pitstop.run(&["check", app]), 3, wanted);
    world.pitstop.run(&["status", app]).assert_code(0);
    before.assert_untouched(world);
}
