//! The one place that acts. It performs one step at a time as the core says: intent on disk, act, outcome on disk, event.
//!
//! | file | steps |
//! |---|---|
//! | [`preflight`] | what is looked at before anything is touched; also most of `pitstop check` |
//! | `balancers` | preflight: how the app's entries stand, and what would be left without them |
//! | `configs`, `advice` | preflight: HAProxy's own files, and what in them costs requests |
//! | `check`, `compare` | what only `pitstop check` looks at: whether the app is healthy now, and whether files, settings and the HAProxy that runs agree |
//! | `claim` | claim, release |
//! | `out` | soften, take out, await out, last look |
//! | `drain` | settle, drain, shutdown sessions: the waits, and what is done again meanwhile |
//! | `restart` | restart, revert, alert |
//! | `back` | ready, put back, await in, undo, pull back |
//! | `watch` | what a reload has undone is done again, beside every step while the app is out |
//! | [`recover`] | where a run that died, or left something owing, goes on |
//! | `unloaded`, `unnamed` | preflight: what HAProxy has not read yet, and what is out under a name that the configuration has lost |
//! | [`log`] | journal and events, in this order |
//! | [`interrupt`] | Ctrl-C and signals |

pub(crate) mod advice;
mod back;
mod balancers;
mod check;
mod claim;
mod compare;
mod configs;
mod drain;
pub mod fault;
pub mod interrupt;
pub mod log;
mod out;
mod plan;
pub mod preflight;
pub mod recover;
mod restart;
mod unloaded;
mod unnamed;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::claim::holder;
pub use self::fault::Fault;
use self::interrupt::Interrupt;
use self::log::Log;
pub use self::preflight::{Finding, Severity};
use self::recover::Recovery;
use self::watch::Watched;
use crate::config::settings::App;
use crate::descriptors;
use crate::drain::Sighting;
use crate::drain::sockets::Sockets;
use crate::drain::workers::OldWorkers;
use crate::events::{Kind, Listener, Trouble};
use crate::haproxy::ServerId;
use crate::journal::{Claim, Debt, Last, Lease, Record};
use crate::probe::{self, Requirement};
use crate::rotation::admin::Admin;
use crate::rotation::ports::Ports;
use crate::run::{Ending, Goal, Outcome, Policy, Receipt, Run, Step, StepTime};
use crate::service::{self, Identity, Service};

/// What is asked of the engine.
#[derive(Debug, Clone)]
pub struct Request {
    /// What the run is for.
    pub goal: Goal,
    /// Who asks.
    pub who: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// Refuse where a server is in somebody else's maintenance.
    pub strict: bool,
    /// Do not ask the guard.
    pub force: bool,
    /// For how long an `out` is wanted; `None`: until somebody says `in`.
    pub lease: Option<Duration>,
    /// Replace foreign rules on the check port by ours.
    pub adopt_rules: bool,
    /// Where journals and claims live.
    pub state_dir: PathBuf,
}

impl Request {
    /// A recovery, asked for by `who`.
    pub fn recovery(who: String, state_dir: &Path) -> Self {
        Self {
            goal: Goal::Recover,
            who,
            reason: None,
            strict: false,
            force: false,
            lease: None,
            adopt_rules: false,
            state_dir: state_dir.to_owned(),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// How.
    pub ending: Ending,
    /// The first thing that went wrong, if anything did.
    pub trouble: Option<Trouble>,
    /// What state things are in now, in one sentence.
    pub state: String,
    /// What it cost.
    pub receipt: Receipt,
}

/// Everything that one run needs to act on one app.
pub struct Engine<'a> {
    app: &'a App,
    request: Request,
    log: Arc<Log<'a>>,
    interrupt: Interrupt,
    /// Balancers with a socket that answers.
    balancers: Vec<Watched>,
    /// Balancers that were given up in this run; they are tried again on the way back.
    lost: Vec<Watched>,
    /// What a run for [`Goal::Recover`] recovers.
    recovery: Option<Recovery>,
    ports: Option<Ports>,
    sockets: Sockets,
    service: Box<dyn Service>,
    probes: Vec<Requirement>,
    claim: Option<Claim>,
    /// Whether going down kills sessions, as far as is known.
    kills: preflight::Kills,
    /// Backends whose guard counts, by balancer: those in which an entry of the app is up.
    guarded: BTreeSet<(String, String)>,
    /// Whether the present step may be interrupted where it rests.
    may_rest: bool,
    /// Whether nothing was left in flight before `maint`.
    settled: bool,
    /// What was left in flight when the drain was over.
    left: Vec<Sighting>,
    /// What a dead run has left of its restart.
    unfinished: Option<service::left::Left>,
    /// The process that is to be proven and watched.
    after: Option<Identity>,
    receipt: Receipt,
    trouble: Option<Trouble>,
    /// Whether the app was found out of rotation everywhere.
    found_out: bool,
    /// Entries left as they were found, in somebody else's maintenance.
    left_alone: Vec<(String, ServerId)>,
    /// Whether the last counters were read.
    counted: bool,
    /// The run that was the last when the journal was looked at.
    last_run: Option<Last>,
    /// What runs that had to leave the app out still owe it: maintenance that is theirs is ours.
    owed: Option<Debt>,
    /// Who wants the app out.
    lease: Option<Lease>,
    /// Where the app could not be put back.
    owing: Vec<String>,
}

/// A driver that could not be made from the settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A probe's certificate or name.
    #[error(transparent)]
    Probe(#[from] probe::ProbeError),
}

impl<'a> Engine<'a> {
    /// The engine for one run on `app`. Touches nothing.
    pub fn new(
        app: &'a App,
        request: Request,
        listener: &'a mut (dyn Listener + Send),
        interrupt: Interrupt,
    ) -> Result<Self, BuildError> {
        let addresses = app.balancers.iter().map(|balancer| balancer.addresses.clone()).collect::<Vec<_>>();
        // Where one balancer's addresses are not known, connections may come from anywhere.
        let peers = if addresses.iter().any(Vec::is_empty) { Vec::new() } else { addresses.concat() };
        let watched = |balancer| Some(Watched::new(Admin::new(app, balancer)?, OldWorkers::new(app, balancer)));
        let logs = crate::journal::app_dir(&request.state_dir, app.name.as_str());
        let log = Arc::new(Log::new(app.name.as_str(), listener));
        Ok(Self {
            interrupt,
            balancers: app.balancers.iter().filter_map(watched).collect(),
            lost: Vec::new(),
            recovery: None,
            ports: Ports::new(app),
            sockets: Sockets::new(app.listen, peers),
            service: service::service_for(app, &logs, log.run()),
            log,
            probes: probe::proof_of(app)?,
            claim: None,
            kills: preflight::Kills::Unknown,
            guarded: BTreeSet::new(),
            may_rest: true,
            settled: false,
            left: Vec::new(),
            unfinished: None,
            after: None,
            receipt: Receipt::default(),
            trouble: None,
            found_out: false,
            left_alone: Vec::new(),
            counted: true,
            last_run: None,
            owed: None,
            lease: None,
            owing: Vec::new(),
            app,
            request,
        })
    }

    /// Runs to the end.
    pub async fn run(mut self) -> Report {
        let policy = Policy::of(self.app);
        let mut run = self.recovery.as_ref().map_or_else(|| Run::new(self.request.goal), |recovery| recovery.run);
        self.log.publish(Kind::RunStarted { goal: self.request.goal });
        while let Some(step) = run.step {
            let began = Instant::now();
            let outcome = match self.perform(step).await {
                Ok(outcome) => self.step_ended(step, outcome, began, None),
                Err(fault) => self.step_ended(step, fault.outcome, began, Some(fault.trouble)),
            };
            if outcome == Outcome::Interrupted && self.interrupt.is_abandoned() {
                return self.abandoned(step);
            }
            run = run.after(outcome, &policy);
            if step == Step::Release {
                self.log.record_or_remark(Record::End {
                    ending: run.ending,
                    out: self.request.goal == Goal::Out || self.leaves_out(),
                });
            }
        }
        self.claim = None;
        self.report(run.ending)
    }

    async fn perform(&mut self, step: Step) -> Result<Outcome, Fault> {
        self.log.publish(Kind::StepStarted { step });
        if let Some(claim) = &mut self.claim {
            claim.set_step(step);
            let written = self.log.record(Record::StepIntent { step });
            // A safe end must be reached also without a journal; anything else must not begin without one.
            match written {
                Err(error) if !leads_to_a_safe_end(step) => {
                    let outcome = if step == Step::Restart { Outcome::Untouched } else { Outcome::Failed };
                    return Err(Fault::from(error).with_outcome(outcome));
                }
                // A release does nothing that would have to be known.
                Err(error) if step == Step::Release => self.log.remark(error.to_string()),
                Err(error) => self.log.lose(&error),
                Ok(()) => {}
            }
        }
        if step == Step::Restart || leads_to_a_safe_end(step) {
            descriptors::release();
        }
        self.may_rest = can_be_interrupted(step, self.request.goal);
        let interrupt = self.interrupt.clone();
        tokio::select! {
            biased;
            // The end of a run is short, and better than an interrupted one.
            () = interrupt.abandoned(), if step != Step::Release => Ok(Outcome::Interrupted),
            () = interrupt.asked(), if only_looks(step, self.request.goal) => Err(Fault::interrupted()),
            done = self.unless_interrupted(step) => done,
        }
    }

    async fn unless_interrupted(&mut self, step: Step) -> Result<Outcome, Fault> {
        if self.may_rest && self.interrupt.is_asked() {
            return Err(Fault::interrupted());
        }
        match step {
            // All that time nothing else looks at the balancers.
            Step::Restart | Step::Ready | Step::Revert | Step::Alert => self.step_while_out(step).await,
            _ => self.step(step).await,
        }
    }

    /// A pause between two looks. Here, and only here, someone's wish to stop is heard in a step that acts: an act that was begun is
    /// finished, for one broken off may still happen later.
    async fn rest(&self, pause: Duration) -> Result<(), Fault> {
        tokio::select! {
            biased;
            () = self.interrupt.asked(), if self.may_rest => Err(Fault::interrupted()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    async fn step(&mut self, step: Step) -> Result<Outcome, Fault> {
        match step {
            Step::Preflight => self.preflight().await,
            Step::Claim => self.claim().await,
            Step::Soften => self.soften().await,
            Step::Settle => self.settle().await,
            Step::TakeOut => self.take_out().await,
            Step::AwaitOut => self.await_out().await,
            Step::Drain => self.drain().await,
            Step::ShutdownSessions => self.shutdown_sessions().await,
            Step::LastLook => self.last_look().await,
            Step::Restart => self.restart().await,
            Step::Ready => self.ready().await,
            Step::PutBack => self.put_back().await,
            Step::AwaitIn => self.await_in().await,
            Step::Undo => self.undo().await,
            Step::Pause => self.pause().await,
            Step::Revert => self.revert().await,
            Step::PullBack => self.pull_back().await,
            Step::Alert => self.alert().await,
            Step::Release => self.release().await,
        }
    }

    fn step_ended(&mut self, step: Step, outcome: Outcome, began: Instant, error: Option<Trouble>) -> Outcome {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.receipt.steps.push(StepTime { step, outcome, micros });
        if self.claim.is_some() {
            let why = error.as_ref().map(|trouble| trouble.what.clone());
            self.log.record_or_remark(Record::StepOutcome { step, outcome, why });
        }
        if let Some(trouble) = &error {
            self.trouble.get_or_insert_with(|| trouble.clone());
        }
        self.log.publish(Kind::StepEnded { step, outcome, micros, error });
        outcome
    }

    fn report(&mut self, ending: Ending) -> Report {
        for balancer in self.balancers.iter().chain(&self.lost) {
            let mut delta = balancer.delta();
            delta.complete &= self.counted && !self.lost.iter().any(|lost| lost.name() == balancer.name());
            self.receipt.balancers.insert(balancer.name().to_owned(), delta);
        }
        self.add_way_back(ending);
        let state = self.state(ending);
        self.log.publish(Kind::RunEnded {
            ending,
            exit_code: ending.exit_code(),
            state: state.clone(),
            error: self.trouble.clone(),
            receipt: self.receipt.clone(),
        });
        Report { ending, trouble: self.trouble.clone(), state, receipt: self.receipt.clone() }
    }

    /// However it came to that: who reads how an app was left out also reads how it gets in.
    fn add_way_back(&mut self, ending: Ending) {
        let app = &self.app.name;
        let recover = format!("`pitstop recover {app}`");
        let way = match ending {
            Ending::StaysOut | Ending::Stuck => format!(
                "once that is mended, {recover} proves the app and puts it back as it was found; `pitstop in {app}` proves it \
                 and puts every entry in"
            ),
            Ending::PartlyIn => format!(
                "once that is mended, its keeper puts the app back there too; {recover} or `pitstop in {app}` does so at once"
            ),
            Ending::Done | Ending::Refused | Ending::Held | Ending::Undone => return,
        };
        let Some(trouble) = &mut self.trouble else { return };
        if trouble.hint.as_ref().is_some_and(|hint| hint.contains(&recover)) {
            return;
        }
        trouble.hint = Some(trouble.hint.take().map_or_else(|| way.clone(), |hint| format!("{hint}\n{way}")));
    }

    /// Told twice to stop: nothing more is done, and the run stays in the journal as interrupted.
    fn abandoned(&mut self, step: Step) -> Report {
        if self.claim.is_none() {
            return self.report(Ending::Undone);
        }
        let what = format!("stopped at once in step \"{step}\", as asked; nothing was undone");
        let hint = Some(format!(
            "look with `pitstop status`; `pitstop recover {0}` finishes or undoes it, and so does the next run of {0}",
            self.app.name
        ));
        self.trouble = Some(Trouble { what, hint });
        self.report(Ending::Stuck)
    }

    /// What state things are in, in one sentence.
    fn state(&self, ending: Ending) -> String {
        let app = &self.app.name;
        let mut state = match (ending, self.request.goal) {
            (Ending::Done, Goal::Restart) => format!("{app} is restarted, proven and back as it was"),
            (Ending::Done, Goal::Out) if self.left.is_empty() => {
                format!("{app} is out of rotation and drained; it runs on")
            }
            (Ending::Done, Goal::Out) => {
                format!("{app} is out of rotation; still in flight: {}", drain::describe(&self.left))
            }
            (Ending::Done, Goal::Recover) if self.has_nothing_to_recover() => {
                format!("the interrupted run had come to its end: {app} is as that run left it")
            }
            (Ending::Done, Goal::Recover) if self.leaves_out() => format!("{app} is proven"),
            (Ending::Done, Goal::In | Goal::Recover) => format!("{app} is proven and in rotation"),
            (Ending::Refused, _) => format!("nothing was touched; {app} is as it was"),
            (Ending::Held, _) => format!("nothing was touched; another run has {app}"),
            (Ending::Undone, Goal::Recover) => {
                format!("the interrupted run was undone: {app} was not stopped, and everything is as that run found it")
            }
            (Ending::Undone, Goal::In) => format!("nothing was changed; {app} is as it was found"),
            (Ending::Undone, _) => format!("{app} was not stopped, and everything is as it was found"),
            (Ending::StaysOut, _) => format!("{app} is OUT of rotation and stays out until it is proven healthy"),
            (Ending::PartlyIn, _) => format!("{app} is NOT known to be back on {}", self.owing.join(", ")),
            (Ending::Stuck, _) => format!("{app} needs a person: it may be out of rotation"),
        };
        if !self.left_alone.is_empty() && ending != Ending::Refused {
            let alone: Vec<_> = self.left_alone.iter().map(|(name, server)| format!("{server} on {name}")).collect();
            state += &format!("; left in somebody else's maintenance: {}", alone.join(", "));
        }
        let now = self.request.lease.filter(|_| self.request.goal == Goal::Out && ending == Ending::Done);
        if let Some(time) = now {
            let time = humantime::format_duration(time);
            state += &format!("; in {time}, or by `pitstop in {app}`, it is proven and put back");
        }
        if self.leaves_out() && ending == Ending::Done {
            let whose = self.lease.as_ref().map(|lease| format!(" by {}", lease.describe())).unwrap_or_default();
            state += &format!("; it was out of rotation{whose} and is left so: `pitstop in {app}` puts it in");
        }
        state
    }

    /// Whether the app was out by somebody's wish, and a restart leaves it so.
    fn leaves_out(&self) -> bool {
        match self.request.goal {
            Goal::Restart => self.found_out && (self.lease.is_some() || self.owed.is_none()),
            Goal::Recover => self.found_out,
            Goal::Out | Goal::In => false,
        }
    }

    /// Whether the run that died had done all but say so.
    fn has_nothing_to_recover(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.run.first_step() == Step::Release)
    }

    /// Whether there is a balancer whose counters and record can't be read.
    fn is_blind(&self) -> bool {
        self.app.balancers.len() > self.balancers.len() || self.balancers.is_empty()
    }

    /// Whether a balancer with a socket can't be reached, and the run goes on without it.
    fn has_lost_one(&self) -> bool {
        let with_socket = self.app.balancers.iter().filter(|balancer| balancer.socket.is_some()).count();
        with_socket > self.balancers.len()
    }

    /// The longest that HAProxy takes to call a server down once its check port is closed:
    /// `(fall + 1) × (inter + check timeout)`.
    fn worst_case_out(&self) -> Duration {
        self.app
            .redirect
            .as_ref()
            .map_or(Duration::ZERO, |redirect| (redirect.inter + redirect.check_timeout) * (redirect.fall + 1))
    }

    /// The same for up: `(rise + 1) × (inter + check timeout)`.
    fn worst_case_in(&self) -> Duration {
        self.app
            .redirect
            .as_ref()
            .map_or(Duration::ZERO, |redirect| (redirect.inter + redirect.check_timeout) * (redirect.rise + 1))
    }
}

/// Before the stop a run may be broken off and undone; from the stop on it must be finished, and so must a recovery.
fn can_be_interrupted(step: Step, goal: Goal) -> bool {
    match step {
        _ if goal == Goal::Recover => false,
        Step::Preflight
        | Step::Soften
        | Step::Settle
        | Step::TakeOut
        | Step::AwaitOut
        | Step::Drain
        | Step::LastLook
        | Step::Pause => true,
        Step::Ready => goal == Goal::In,
        _ => false,
    }
}

/// Whether a step can be dropped at any moment, because it changes nothing.
fn only_looks(step: Step, goal: Goal) -> bool {
    step == Step::Preflight || (step == Step::Ready && goal == Goal::In)
}

fn leads_to_a_safe_end(step: Step) -> bool {
    match step {
        Step::Ready | Step::PutBack | Step::AwaitIn | Step::Undo | Step::PullBack | Step::Alert | Step::Release => true,
        Step::Preflight
        | Step::Claim
        | Step::Soften
        | Step::Settle
        | Step::TakeOut
        | Step::AwaitOut
        | Step::Drain
        | Step::ShutdownSessions
        | Step::LastLook
        | Step::Restart
        | Step::Pause
        | Step::Revert => false,
    }
}
