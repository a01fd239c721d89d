//! What is looked at after each point: the balancers, the redirect, the app, and what pitstop says of all that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::judge::{End, Process};
use super::scenario::Scenario;
use crate::haproxy::Haproxy;
use crate::pitstop::Outcome;
use crate::request::Pending;
use crate::world::World;
use crate::{binaries, netns, wait};

/// How long HAProxy may take to have an entry up.
const SOON: Duration = Duration::from_secs(20);

/// The app, its balancers, and a file for alerts.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) folder: TempDir,
    /// The rules of the app's redirect, as they are while it is in.
    rules: String,
}

impl Scene {
    pub(super) fn new(scenario: Scenario) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-sweep-").tempdir().expect("create a folder");
        let world = scenario.scene(&folder.path().join("alerts")).start();
        let rules = rules();
        assert!(!rules.is_empty(), "there is a redirect");
        Self { world, folder, rules }
    }

    pub(super) fn balancers(&self) -> impl Iterator<Item = &Haproxy> {
        [&self.world.haproxy].into_iter().chain(&self.world.others)
    }

    /// What was said by `on_alert`, a line each.
    pub(super) fn alerts(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("alerts")).unwrap_or_default()
    }

    pub(super) fn recover(&self) -> Outcome {
        self.world.pitstop.run(&["recover", self.world.apps[0].name()])
    }

    /// Where the app is, by the balancers' own record; half-way is nowhere.
    pub(super) fn end(&self, ends: &[End]) -> Result<End, String> {
        let status = self.status()?;
        let end = match (&status["lease"], &status["owing"]) {
            (Value::Null, Value::Null) => End::In,
            (Value::Object(_), Value::Null) => End::OnLease,
            (Value::Null, Value::String(_)) => End::Unproven,
            other => return Err(format!("status tells of {other:?}")),
        };
        if status["stuck"] != false || status["interrupted"] != false {
            return Err(format!("status tells of a run that is not over\n{status}"));
        }
        let keeper = if end == End::In { &Value::Null } else { &Value::from("alive") };
        if &status["keeper"] != keeper {
            return Err(format!("{end:?}, and status tells of {} as the keeper", status["keeper"]));
        }
        match end {
            End::In => self.is_in()?,
            End::OnLease => self.is_out().and_then(|()| self.runs())?,
            End::Unproven => self.is_out()?,
        }
        if ends.contains(&end) { Ok(end) } else { Err(format!("{end:?}, and not {ends:?}")) }
    }

    /// Whether the recovery says aloud where the app is; `alerts` are those before the run.
    pub(super) fn is_said(&self, end: End, recovery: &Outcome, alerts: &str) -> Result<(), String> {
        let (code, words): (i32, &[&str]) = match end {
            End::In => (0, &["and in rotation", "as that run found it", "as that run left it", "nothing is owing"]),
            End::OnLease => (0, &["out of rotation"]),
            End::Unproven => (6, &["OUT of rotation"]),
        };
        if recovery.code != Some(code) {
            return Err(format!("{end:?}, and the recovery ends with {:?}", recovery.code));
        }
        if !words.iter().any(|words| recovery.stdout.contains(words)) {
            return Err(format!("{end:?}, and the recovery does not say so"));
        }
        if end != End::In && recovery.stdout.contains("and in rotation") {
            return Err(format!("{end:?}, and the recovery says that it is in"));
        }
        if end == End::Unproven && self.alerts() == alerts {
            return Err("no alert was raised".to_owned());
        }
        Ok(())
    }

    /// A second recovery finds nothing to do.
    pub(super) fn owes_nothing(&self) -> Result<(), String> {
        let journal = self.world.pitstop.state().join("apps/webA/journal");
        let before = std::fs::read(&journal).unwrap_or_default();
        let again = self.recover();
        if again.code != Some(0) || std::fs::read(&journal).unwrap_or_default() != before {
            return Err(format!("a second recovery ends with {:?} and does something\n{}", again.code, again.stdout));
        }
        Ok(())
    }

    /// Whether the app is the process that it must be, given the one before.
    pub(super) fn is_process(&self, process: Process, before: Option<i32>) -> Result<(), String> {
        let now = self.world.apps[0].pid();
        match process {
            Process::Same if now != before => Err(format!("the app was process {before:?} and is {now:?}: restarted")),
            Process::New if now == before => Err(format!("the app is still process {now:?}: not restarted")),
            Process::Same | Process::New | Process::Any => Ok(()),
        }
    }

    /// On every balancer by its own record, redirect included; and it runs.
    pub(super) fn is_in(&self) -> Result<(), String> {
        for haproxy in self.balancers() {
            for server in self.world.servers(0) {
                let is_up = || haproxy.status(&server).starts_with("UP").then_some(());
                wait::within(SOON, is_up).ok_or_else(|| format!("{server} is {}", haproxy.status(&server)))?;
                let weight = haproxy.stat(&server)["weight"].clone();
                if weight != "1" {
                    return Err(format!("{server} has weight {weight}"));
                }
            }
        }
        let rules = rules();
        if rules != self.rules {
            return Err(format!("the redirect was\n{}and is\n{rules}", self.rules));
        }
        self.runs()
    }

    /// On every balancer by its own record, redirect included.
    fn is_out(&self) -> Result<(), String> {
        for haproxy in self.balancers() {
            for server in self.world.servers(0) {
                let status = haproxy.status(&server);
                if !status.starts_with("MAINT") {
                    return Err(format!("{server} is {status}"));
                }
            }
        }
        let rules = rules();
        if rules.is_empty() { Ok(()) } else { Err(format!("the redirect is still there\n{rules}")) }
    }

    /// As one process that answers.
    fn runs(&self) -> Result<(), String> {
        let app = &self.world.apps[0];
        let processes = processes_of(&app.pidfile());
        if processes.len() != 1 || app.pid() != processes.first().copied() {
            let states = processes.iter().map(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.chars().take(200).collect::<String>()
            });
            let states: Vec<_> = states.collect();
            return Err(format!(
                "the app's processes are {states:?}, its pid file says {:?}\n{}",
                app.pid(),
                app.log()
            ));
        }
        let answer = Pending::work(app.listen(), Duration::ZERO, None).answer();
        match answer {
            Some(answer) if answer.status == 200 && Some(answer.pid) == app.pid() => Ok(()),
            other => Err(format!("the app answers {other:?}")),
        }
    }

    fn status(&self) -> Result<Value, String> {
        let status = self.world.pitstop.run(&["--output", "json", "status", self.world.apps[0].name()]);
        let value = serde_json::from_str(&status.stdout);
        value.map_err(|error| format!("status can't be read: {error}\n{}\n{}", status.stdout, status.stderr))
    }
}

/// Those of the app's redirect.
fn rules() -> String {
    let all = netns::run(&["iptables", "-w", "5", "-t", "nat", "-S"]);
    all.lines().filter(|rule| rule.contains("--dport 2001 ")).map(|rule| format!("{rule}\n")).collect()
}

/// The processes that were started with this pid file, without the command that starts them.
fn processes_of(pidfile: &Path) -> Vec<i32> {
    let pidfile = format!("--pidfile={}", binaries::text(pidfile));
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("read /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command_line: PathBuf = entry.path().join("cmdline");
        let words = std::fs::read(command_line).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        if words.split('\0').any(|word| word == pidfile) && words.contains("--session") && wait::is_running(pid) {
            found.push(pid);
        }
    }
    found
}
