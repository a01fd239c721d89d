//! A scene under load in which one point after the other is tried, and what must be so after each.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::call::Names;
use super::point::{Point, Recording, Strike};
use super::scenario::{Scenario, Sweep};
use super::tracer::{End, Followed, Whose};
use crate::haproxy::Haproxy;
use crate::load::{Load, Options};
use crate::pitstop::Outcome;
use crate::request::Pending;
use crate::world::World;
use crate::{binaries, netns, wait};

/// How long HAProxy may take to have an entry up, and the load to ask.
const SOON: Duration = Duration::from_secs(20);
/// Requests that are awaited before a point counts as survived.
const REQUESTS: u64 = 10;
/// What recovers.
const RECOVER: &str = "recover";

/// How one point was survived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// The point that was meant.
    pub point: Point,
    /// Where it was killed in fact; `None` where the run never came there.
    pub at: Option<Point>,
    /// The run's own exit code; `None` where it was killed.
    pub run: Option<i32>,
    /// The recovery's exit code.
    pub recovery: Option<i32>,
    /// What is not as it must be.
    pub wrong: Option<String>,
    /// How long it took altogether, in seconds.
    pub took: f64,
}

/// The scene.
#[derive(Debug)]
pub struct Lane {
    sweep: Sweep,
    loads: Vec<Load>,
    world: World,
    folder: TempDir,
}

impl Lane {
    /// Sets the scene in a new network namespace, and the load to work.
    pub fn new(sweep: Sweep) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-sweep-").tempdir().expect("create a folder");
        let world = sweep.scenario.scene(&folder.path().join("alerts")).start();
        let options = Options {
            seconds: 24 * 3600,
            think: 40,
            long_max: 200,
            short: 1,
            per_request: 1,
            ..Options::nobody(world.frontend())
        };
        let first = Options { long: 1, sticky: 1, sticky_per_request: 1, upload: 1, ..options.clone() };
        let second = Options { target: world.frontend_of(1), ..options };
        let lane = Self { sweep, loads: [first, second].iter().map(Load::start).collect(), world, folder };
        lane.wait_for_requests();
        lane
    }

    /// What is swept in it.
    pub fn sweep(&self) -> Sweep {
        self.sweep
    }

    /// A run that nobody kills, call by call; its points and how many calls it made.
    pub fn record(&self) -> (Vec<Point>, usize) {
        let pending = self.sweep.scenario.prepare(&self.world);
        let mut recording = Recording::new(self.sweep.whose);
        let end = self.followed().run(|child, call| recording.add(child, call));
        let said = std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        assert_eq!(end, End::Code(self.sweep.scenario.exit_code()), "the run that is recorded\n{said}");
        self.tidy_up(pending).expect("the run that is recorded ends as it must");
        let calls = recording.calls();
        let from = self.sweep.scenario.differs_from();
        let differs = |point: &Point| self.sweep.whose == Whose::Own && point.step != from;
        (recording.points().into_iter().skip_while(differs).collect(), calls)
    }

    /// Kills a run at this point, recovers, and looks at everything. A lane in which something is wrong is used up.
    pub fn strike(&self, point: &Point) -> Trial {
        let begun = Instant::now();
        let mut trial = Trial { point: point.clone(), at: None, run: None, recovery: None, wrong: None, took: 0.0 };
        let tried = catch_unwind(AssertUnwindSafe(|| self.try_point(&mut trial)));
        trial.wrong = match tried {
            Ok(tried) => tried.err(),
            Err(panic) => Some(match panic.downcast::<String>() {
                Ok(words) => *words,
                Err(_) => "the test itself failed".to_owned(),
            }),
        };
        trial.took = begun.elapsed().as_secs_f64();
        trial
    }

    /// Ends the load; how many requests it asked, or what failed.
    pub fn finish(self) -> Result<u64, String> {
        let mut requests = 0;
        for load in self.loads {
            let summary = load.stop();
            requests += summary.requests;
            if summary.failed > 0 {
                return Err(format!("{} requests failed: {:?}", summary.failed, summary.failures.first()));
            }
        }
        Ok(requests)
    }

    fn try_point(&self, trial: &mut Trial) -> Result<(), String> {
        let pending = self.sweep.scenario.prepare(&self.world);
        let alerts = self.alerts();
        let mut strike = Strike::new(self.sweep.whose, &trial.point);
        let end = self.followed().run(|child, call| strike.judge(child, call));
        trial.at = strike.at;
        if let End::Code(code) = end {
            trial.run = Some(code);
        }
        let recovery = self.recover();
        trial.recovery = recovery.code;
        let checked = match recovery.code {
            // As it was before, or as it was meant to be.
            Some(0) if matches!(self.sweep.scenario, Scenario::Out | Scenario::In) => {
                self.is_out().and_then(|()| self.runs()).or_else(|_| self.is_in())
            }
            Some(0) => self.is_in(),
            Some(6 | 7) => self.is_out().and_then(|()| self.is_said(&alerts)),
            _ => Err("a recovery ends with 0, 6 or 7".to_owned()),
        };
        let checked = checked.and_then(|()| self.owes_nothing(recovery.code));
        checked.map_err(|wrong| {
            format!("{wrong}\nrun: {end:?}\nrecovery: {:?}\n{}\n{}", recovery.code, recovery.stdout, recovery.stderr)
        })?;
        self.nothing_failed()?;
        self.tidy_up(pending)?;
        self.nothing_failed()
    }

    fn followed(&self) -> Followed {
        let mut names = Names::default();
        for (haproxy, name) in self.balancers().zip(["balancer_one", "balancer_two"]) {
            names.call(haproxy.folder(), name);
        }
        let app = &self.world.apps[0];
        names.call(app.pidfile().parent().expect("a file is in a folder"), "app_folder");
        names.call(&self.world.pitstop.state(), "state");
        names.call(&self.world.pitstop.config(), "configuration");
        names.call(self.folder.path(), "sweep");
        let mut command = self.world.pitstop.command(&["--output", "json", self.sweep.scenario.goal(), app.name()]);
        // What a developer has set beside it costs hundreds of calls that fail.
        command.env_remove("LD_LIBRARY_PATH").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = |name| File::create(self.folder.path().join(name)).expect("create a file for output");
        Followed::new(&command, self.sweep.whose, names).output(output("stdout"), output("stderr"))
    }

    fn balancers(&self) -> impl Iterator<Item = &Haproxy> {
        [&self.world.haproxy].into_iter().chain(&self.world.others)
    }

    fn recover(&self) -> Outcome {
        self.world.pitstop.run(&[RECOVER, self.world.apps[0].name()])
    }

    /// On every balancer by its own record, redirect included; and it runs.
    fn is_in(&self) -> Result<(), String> {
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
        let rules = netns::run(&["iptables", "-w", "5", "-t", "nat", "-S"]);
        let redirects = rules.lines().filter(|rule| rule.contains("--dport 2001")).count();
        if redirects == 0 {
            return Err(format!("the redirect is missing\n{rules}"));
        }
        self.runs()
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

    /// On every balancer by its own record.
    fn is_out(&self) -> Result<(), String> {
        for haproxy in self.balancers() {
            for server in self.world.servers(0) {
                let status = haproxy.status(&server);
                if !status.starts_with("MAINT") {
                    return Err(format!("{server} is {status}"));
                }
            }
        }
        Ok(())
    }

    fn is_said(&self, before: &str) -> Result<(), String> {
        if self.alerts() == before {
            return Err("no alert was raised".to_owned());
        }
        Ok(())
    }

    /// A second recovery finds nothing to do, and says what the first one said.
    fn owes_nothing(&self, code: Option<i32>) -> Result<(), String> {
        let status = self.world.pitstop.run(&["status", self.world.apps[0].name()]);
        if status.stdout.contains("INTERRUPTED") {
            return Err(format!("status still tells of an interrupted run\n{}", status.stdout));
        }
        if RECOVER != "recover" || code != Some(0) {
            return Ok(());
        }
        let journal = self.world.pitstop.state().join("apps/webA/journal");
        let before = std::fs::read(&journal).unwrap_or_default();
        let again = self.recover();
        if again.code != Some(0) || std::fs::read(&journal).unwrap_or_default() != before {
            return Err(format!("a second recovery ends with {:?} and does something\n{}", again.code, again.stdout));
        }
        Ok(())
    }

    fn nothing_failed(&self) -> Result<(), String> {
        self.wait_for_requests();
        let failed: u64 = self.loads.iter().map(|load| load.progress().failed).sum();
        if failed == 0 { Ok(()) } else { Err(format!("{failed} requests failed")) }
    }

    fn wait_for_requests(&self) {
        self.loads.iter().for_each(|load| load.wait_for_requests(REQUESTS, SOON));
    }

    /// Back to the beginning, for the next point.
    fn tidy_up(&self, pending: Option<Pending>) -> Result<(), String> {
        if let Some(pending) = pending {
            let answer = pending.answer();
            if !answer.as_ref().is_some_and(|answer| answer.status == 200 && answer.complete) {
                return Err(format!("the request that outlasts the drain: {answer:?}"));
            }
        }
        let app = &self.world.apps[0];
        app.at_next_start(&[]);
        // A broken process may have been started, or none at all.
        let is_out = self.is_out().is_ok();
        let back = match self.sweep.scenario {
            Scenario::Restart | Scenario::NeverReady | Scenario::DrainTimeout if is_out => Some("restart"),
            Scenario::Out | Scenario::In if is_out => Some("in"),
            _ => None,
        };
        if let Some(goal) = back {
            let back = self.world.pitstop.run(&[goal, app.name()]);
            if back.code != Some(0) {
                return Err(format!("`pitstop {goal}` ends with {:?}\n{}\n{}", back.code, back.stdout, back.stderr));
            }
        }
        self.is_in()
    }

    fn alerts(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("alerts")).unwrap_or_default()
    }
}

/// The processes that were started with this pid file, without the command that starts them.
fn processes_of(pidfile: &std::path::Path) -> Vec<i32> {
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
