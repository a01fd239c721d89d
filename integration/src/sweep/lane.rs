//! A scene under load in which one point after the other is tried, and what must be so after each.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::call::Names;
use super::judge;
use super::point::{Point, Recording, Strike};
use super::scenario::{Scenario, Sweep};
use super::scene::Scene;
use super::tracer::{End, Followed, Verdict, Whose};
use crate::load::{Load, Options};
use crate::request::Pending;

/// How long the load may take to ask.
const SOON: Duration = Duration::from_secs(20);
/// Requests that are awaited before a point counts as survived.
const REQUESTS: u64 = 10;
/// How often a run is made that is to come to a point.
const TRIES: usize = 3;

/// How one point was survived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// The point that was meant.
    pub point: Point,
    /// Where it was killed in fact, which may be as it left the step; `None` where no run came there.
    pub at: Option<Point>,
    /// What was killed, where that is a child.
    pub child: Option<String>,
    /// The run's own exit code; `None` where it was killed.
    pub run: Option<i32>,
    /// Where the app was in the end.
    pub end: Option<judge::End>,
    /// What is not as it must be.
    pub wrong: Option<String>,
    /// How long it took altogether, in seconds.
    pub took: f64,
}

impl Trial {
    /// Not tried yet.
    pub fn of(point: &Point) -> Self {
        Self { point: point.clone(), at: None, child: None, run: None, end: None, wrong: None, took: 0.0 }
    }
}

/// The scene.
#[derive(Debug)]
pub struct Lane {
    sweep: Sweep,
    loads: Vec<Load>,
    scene: Scene,
}

impl Lane {
    /// Sets the scene in a new network namespace, and the load to work.
    pub fn new(sweep: Sweep) -> Self {
        let scene = Scene::new(sweep.scenario);
        let options = Options {
            seconds: 24 * 3600,
            think: 40,
            long_max: 200,
            short: 1,
            per_request: 1,
            ..Options::nobody(scene.world.frontend())
        };
        let first = Options { long: 1, sticky: 1, sticky_per_request: 1, upload: 1, ..options.clone() };
        let second = Options { target: scene.world.frontend_of(1), ..options };
        let lane = Self { sweep, loads: [first, second].iter().map(Load::start).collect(), scene };
        lane.wait_for_requests();
        lane
    }

    /// What is swept in it.
    pub fn sweep(&self) -> Sweep {
        self.sweep
    }

    /// A run that nobody kills, call by call; its points and how many calls it made.
    pub fn record(&self) -> (Vec<Point>, usize) {
        let pending = self.prepare();
        let mut recording = Recording::new(self.sweep.whose);
        let end =
            self.followed(self.sweep.scenario.goal(), self.sweep.whose).run(|child, call| recording.add(child, call));
        let said = std::fs::read_to_string(self.scene.folder.path().join("stderr")).unwrap_or_default();
        assert_eq!(end, End::Code(self.sweep.scenario.exit_code()), "the run that is recorded\n{said}");
        self.tidy_up(judge::as_meant(self.sweep.scenario), pending).expect("the run that is recorded ends as it must");
        let calls = recording.calls();
        let from = self.sweep.scenario.differs_from();
        let differs = |point: &Point| self.sweep.whose == Whose::Own && point.step != from;
        (recording.points().into_iter().skip_while(differs).collect(), calls)
    }

    /// Kills a run at this point, recovers, and looks at everything. A lane in which something is wrong is used up.
    ///
    /// Runs are not the same to the call: where one does not come to the point, another one is made.
    pub fn strike(&self, point: &Point) -> Trial {
        let begun = Instant::now();
        let mut trial = Trial::of(point);
        for _ in 0..TRIES {
            let tried = catch_unwind(AssertUnwindSafe(|| self.try_point(&mut trial)));
            trial.wrong = match tried {
                Ok(tried) => tried.err(),
                Err(panic) => Some(match panic.downcast::<String>() {
                    Ok(words) => *words,
                    Err(_) => "the test itself failed".to_owned(),
                }),
            };
            if trial.at.is_some() || trial.wrong.is_some() {
                break;
            }
        }
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
        let pending = self.prepare();
        let before = self.scene.world.apps[0].pid();
        let alerts = self.scene.alerts();
        let mut strike = Strike::new(self.sweep.whose, &trial.point);
        let end =
            self.followed(self.sweep.scenario.goal(), self.sweep.whose).run(|child, call| strike.judge(child, call));
        (trial.at, trial.child) = (strike.at, strike.child);
        trial.run = match end {
            End::Code(code) => Some(code),
            End::Signal(_) => None,
        };
        let recovery = self.scene.recover();
        let checked = judge::allowed(self.sweep, trial).and_then(|ends| {
            let end = self.scene.end(&ends)?;
            self.scene.is_process(judge::process(self.sweep, trial, end), before)?;
            self.scene.is_said(end, &recovery, &alerts)?;
            Ok(end)
        });
        let end = checked.map_err(|wrong| {
            format!("{wrong}\nrun: {end:?}\nrecovery: {:?}\n{}\n{}", recovery.code, recovery.stdout, recovery.stderr)
        })?;
        trial.end = Some(end);
        if end != judge::End::Unproven {
            self.scene.owes_nothing()?;
        }
        self.nothing_failed()?;
        self.tidy_up(end, pending)?;
        self.nothing_failed()
    }

    /// What must be so before the run begins; the request is to be answered.
    fn prepare(&self) -> Option<Pending> {
        let world = &self.scene.world;
        let app = &world.apps[0];
        match self.sweep.scenario {
            Scenario::Restart | Scenario::Out | Scenario::DrainTimeout => {}
            Scenario::In => {
                world.pitstop.run(&["out", app.name()]).assert_code(0);
            }
            Scenario::NeverReady => app.at_next_start(&["--health-only-broken"]),
            Scenario::InAfterStaysOut => {
                app.at_next_start(&["--health-only-broken"]);
                world.pitstop.run(&["restart", app.name()]).assert_code(6);
                app.at_next_start(&[]);
                app.restart_plainly();
            }
            Scenario::RecoverDrain | Scenario::RecoverRestart | Scenario::RecoverPutBack => self.die(),
        }
        let time = self.sweep.scenario.in_flight()?;
        Some(Pending::work(world.frontend(), time, Some("SERVER=A")))
    }

    /// A restart that dies, so that there is something to recover.
    fn die(&self) {
        let scenario = self.sweep.scenario;
        let mut step = String::new();
        let end = self.followed("restart", Whose::Own).run(|_, call| {
            step = call.begins.clone().unwrap_or_else(|| std::mem::take(&mut step));
            if scenario.dies_at(&step, call) { Verdict::Kill } else { Verdict::Go }
        });
        assert_eq!(end, End::Signal(Signal::SIGKILL), "a restart that dies");
    }

    fn followed(&self, goal: &str, whose: Whose) -> Followed {
        let Scene { world, folder, .. } = &self.scene;
        let mut names = Names::default();
        for (haproxy, name) in self.scene.balancers().zip(["balancer_one", "balancer_two"]) {
            names.call(haproxy.folder(), name);
        }
        let app = &world.apps[0];
        names.call(app.pidfile().parent().expect("a file is in a folder"), "app_folder");
        names.call(&world.pitstop.state(), "state");
        names.call(&world.pitstop.config(), "configuration");
        names.call(folder.path(), "sweep");
        let mut command = world.pitstop.command(&["--output", "json", goal, app.name()]);
        // What a developer has set beside it costs hundreds of calls that fail.
        command.env_remove("LD_LIBRARY_PATH").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = |name| File::create(folder.path().join(name)).expect("create a file for output");
        Followed::new(&command, whose, names).output(output("stdout"), output("stderr"))
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
    fn tidy_up(&self, end: judge::End, pending: Option<Pending>) -> Result<(), String> {
        if let Some(pending) = pending {
            let answer = pending.answer();
            if !answer.as_ref().is_some_and(|answer| answer.status == 200 && answer.complete) {
                return Err(format!("the request that outlasts the drain: {answer:?}"));
            }
        }
        let app = &self.scene.world.apps[0];
        app.at_next_start(&[]);
        let back = match end {
            judge::End::In => None,
            judge::End::OnLease => Some("in"),
            // A broken process may have been started, or none at all.
            judge::End::Unproven => Some("restart"),
        };
        if let Some(goal) = back {
            let back = self.scene.world.pitstop.run(&[goal, app.name()]);
            if back.code != Some(0) {
                return Err(format!("`pitstop {goal}` ends with {:?}\n{}\n{}", back.code, back.stdout, back.stderr));
            }
        }
        self.scene.is_in()
    }
}
