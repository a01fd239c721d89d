//! The keeper: a process that is left behind where an app stays out of rotation, or is owing, and no run is at it.
//!
//! It does again what a reload of HAProxy or somebody's hand undoes, ends a lease that has run out, and pays what a balancer that did
//! not answer is owing. It is the same binary, in a session of its own, one for each app; it knows nothing but the journal, so that it can
//! be killed and started again at any time. It never disputes an app with a run: it acts with a [`Share`] of the claim, or by a run.
//!
//! | file | what it holds |
//! |---|---|
//! | [`duty`] | what the journal asks for, as a pure function |
//! | [`seat`] | at most one keeper an app |
//! | [`start`] | leaving one behind |
//! | [`refused`] | saying aloud, once, that a run is still owing whose recovery was refused |
//! | `diary` | its log |
//! | `news` | noticing that there is something new |

mod diary;
pub mod duty;
mod news;
pub mod refused;
pub mod seat;
pub mod start;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::diary::Diary;
use self::duty::Duty;
use self::news::News;
use self::seat::Seat;
use crate::config::{self, settings::App};
use crate::engine::interrupt::Interrupt;
use crate::engine::recover::Recovery;
use crate::engine::{BuildError, Engine, Request};
use crate::journal::{self, Claim, Debt, JournalError, Last, Lease, Share};
use crate::run::{Ending, Goal};

/// How often it looks for news.
const PAUSE: Duration = Duration::from_millis(30);

/// How long a run that died is left to those who may be about to recover it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is tried to reach a balancer that is owing.
const REACH: Duration = Duration::from_secs(1);

/// The first pause after an app could not be put back; each one after it is twice as long.
const AGAIN: Duration = Duration::from_secs(15);

/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(600);

/// The longest that it sleeps towards the end of a lease: its timers stand still while the host sleeps, and the lease's clock does not.
const NAP: Duration = Duration::from_secs(1);

/// How long such a try may take.
const PROOF: Duration = Duration::from_secs(5);

/// One app's keeper.
#[derive(Debug)]
pub struct Keeper {
    config: PathBuf,
    state_dir: PathBuf,
    app: App,
    interrupt: Interrupt,
    diary: Diary,
    tried: Option<Tried>,
}

/// What was last tried to be brought to an end, and how often.
#[derive(Debug)]
struct Tried {
    /// The run that began it.
    run: String,
    times: u32,
    /// When the last try ended.
    last: Instant,
}

/// Why a keeper gives up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself in its message")]
pub enum KeeperError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Keeper {
    /// The keeper of `app`, which it reads anew from `config` whenever something has happened.
    pub fn new(config: PathBuf, state_dir: PathBuf, app: App, interrupt: Interrupt) -> Self {
        let diary = Diary::new(&state_dir, app.name.as_str());
        Self { config, state_dir, app, interrupt, diary, tried: None }
    }

    /// Keeps the app until nothing is to be kept, the state directory is gone, or somebody asks it to stop. Returns at once where
    /// another keeper is at it.
    ///
    /// # Errors
    /// The journal can't be read or believed: that is a matter for a person.
    pub async fn run(mut self) -> Result<(), KeeperError> {
        while let Some(seat) = Seat::take(&self.state_dir, self.app.name.as_str()) {
            let seen = self.keep().await?;
            drop(seat);
            // What came in between was told that there is a keeper.
            if self.interrupt.is_asked() || self.news() == seen {
                break;
            }
        }
        self.diary.note("nothing is to be kept any more");
        Ok(())
    }

    /// Returns what was the last news when it came to its end.
    async fn keep(&mut self) -> Result<Option<News>, KeeperError> {
        loop {
            let seen = self.news();
            if seen.is_none() || self.interrupt.is_asked() {
                return Ok(seen);
            }
            if Claim::is_held(&self.state_dir, self.app.name.as_str()) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            self.read_config();
            let history = journal::history(&self.state_dir, self.app.name.as_str())?;
            match Duty::of(&history) {
                Duty::Nothing => return Ok(seen),
                Duty::Finish(run) => self.finish(&run, &seen).await?,
                Duty::KeepOut { debt, lease } => {
                    let unproven = history.debt.is_some();
                    self.keep_out(&debt, lease.as_deref(), unproven, &seen).await?;
                }
                Duty::Pay(debt) => self.pay(&debt, &seen).await?,
            }
        }
    }

    /// Finishes a run that died, once nobody else has for a while.
    async fn finish(&mut self, run: &str, seen: &Option<News>) -> Result<(), KeeperError> {
        let patience = self.due(run, AGAIN).unwrap_or(PATIENCE);
        tokio::select! {
            () = self.something_new(seen) => Ok(()),
            () = tokio::time::sleep(patience) => self.recover(run, format!("keeper: run {run} was interrupted")).await,
        }
    }

    /// Keeps it out until something happens, or the lease has run out and the app may be put back.
    async fn keep_out(
        &mut self,
        debt: &Debt,
        lease: Option<&Lease>,
        unproven: bool,
        seen: &Option<News>,
    ) -> Result<(), KeeperError> {
        let (state_dir, app) = (self.state_dir.clone(), self.app.clone());
        let hand = || Share::take(&state_dir, app.name.as_str()).filter(|_| self.news() == *seen);
        let (mut diary, mut unread) = (self.diary.clone(), self.diary.clone());
        let mut engine = beside_runs(&app, &self.state_dir, &mut diary)?;
        let prober = beside_runs(&app, &self.state_dir, &mut unread)?;
        let over = async {
            tokio::select! {
                () = self.something_new(seen) => false,
                () = self.lease_is_to_end(lease, unproven, &prober) => true,
            }
        };
        let ends = engine.keep_out(debt, &hand, over).await;
        match lease.filter(|_| ends) {
            Some(lease) => self.recover(&lease.run, format!("keeper: the lease of {} ran out", lease.who)).await,
            None => Ok(()),
        }
    }

    /// Returns when the lease has run out; where the app is known not to be proven, or was not then, when it is healthy.
    async fn lease_is_to_end(&self, lease: Option<&Lease>, unproven: bool, prober: &Engine<'_>) {
        let Some((lease, left)) = lease.and_then(|lease| Some((lease, lease.left()?))) else {
            return std::future::pending().await;
        };
        let mut left = left;
        while !left.is_zero() {
            tokio::time::sleep(left.min(NAP)).await;
            left = lease.left().unwrap_or_default();
        }
        match self.due(&lease.run, AGAIN) {
            Some(pause) => tokio::time::sleep(pause).await,
            None if unproven => {}
            None => return,
        }
        while !prober.is_healthy(PROOF).await {
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Pays what is owing once that may get any further.
    async fn pay(&mut self, debt: &Debt, seen: &Option<News>) -> Result<(), KeeperError> {
        let (app, mut diary) = (self.app.clone(), self.diary.clone());
        let mut engine = beside_runs(&app, &self.state_dir, &mut diary)?;
        let pause = self.due(&debt.run, REACH);
        let payable = async {
            tokio::time::sleep(pause.unwrap_or_default()).await;
            while !engine.may_pay(debt).await || !engine.is_healthy(PROOF).await {
                tokio::time::sleep(REACH).await;
            }
        };
        let payable = tokio::select! {
            () = self.something_new(seen) => false,
            () = payable => true,
        };
        if payable {
            return self.recover(&debt.run, "keeper: it is not back everywhere".to_owned()).await;
        }
        Ok(())
    }

    /// Recovers what the journal asks for, as `pitstop recover` does; `of` is the run that began it.
    async fn recover(&mut self, of: &str, who: String) -> Result<(), KeeperError> {
        let history = journal::history(&self.state_dir, self.app.name.as_str())?;
        // With the end of a lease it may have become a person's.
        if Duty::of(&history) == Duty::Nothing {
            return Ok(());
        }
        let Some(recovery) = Recovery::of(&self.app, &self.state_dir)? else { return Ok(()) };
        // What a recovery before this one has said aloud is not said again.
        let said = history.last().and_then(said_aloud);
        let on_alert = if said.is_some() { Vec::new() } else { self.app.on_alert.clone() };
        let (app, mut diary) = (App { on_alert, ..self.app.clone() }, self.diary.clone());
        let engine = Engine::new(&app, Request::recovery(who, &self.state_dir), &mut diary, self.interrupt.clone())?;
        let report = engine.recovering(recovery).run().await;
        let times = self.tried.take().filter(|tried| tried.run == of).map_or(0, |tried| tried.times);
        self.tried = Some(Tried { run: of.to_owned(), times: times + 1, last: Instant::now() });

        let why = report.trouble.map_or(report.state, |trouble| trouble.what);
        let mut aloud = beside_runs(&self.app, &self.state_dir, &mut diary)?;
        match report.ending {
            Ending::Refused => {
                refused::say_once(&mut aloud, &self.state_dir, self.app.name.as_str(), of, &why).await;
            }
            Ending::StaysOut | Ending::PartlyIn | Ending::Stuck if said.is_some_and(|said| said != report.ending) => {
                aloud.tell(format!("pitstop: {}, now {}: {why}", self.app.name, report.ending.name())).await;
            }
            _ => {}
        }
        Ok(())
    }

    /// How long it is until the next try, where each pause is twice the one before it; `None` where there was no try yet.
    fn due(&self, of: &str, first: Duration) -> Option<Duration> {
        let tried = self.tried.as_ref().filter(|tried| tried.run == of)?;
        let pause = first * 2_u32.saturating_pow(tried.times.saturating_sub(1).min(16));
        Some(pause.min(LONGEST).saturating_sub(tried.last.elapsed()))
    }

    /// A configuration that can't be read, or has lost the app, is a matter for a person: until then the last one stands.
    fn read_config(&mut self) {
        match config::load(&self.config) {
            Ok(settings) => match settings.app(self.app.name.as_str()) {
                Ok(app) => self.app = app.clone(),
                Err(error) => self.diary.note(&error.to_string()),
            },
            Err(error) => self.diary.note(&error.to_string()),
        }
    }

    fn news(&self) -> Option<News> {
        News::of(&self.state_dir, self.app.name.as_str(), &self.config)
    }

    /// Returns when there is something new, or somebody asks to stop.
    async fn something_new(&self, seen: &Option<News>) {
        while !self.interrupt.is_asked() && self.news() == *seen {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An engine that keeps, looks and says aloud, and makes no run.
fn beside_runs<'a>(app: &'a App, state_dir: &Path, diary: &'a mut Diary) -> Result<Engine<'a>, BuildError> {
    Engine::new(app, Request::recovery(String::new(), state_dir), diary, Interrupt::never())
}

/// What a recovery that left the app out, or in on some balancers only, has said aloud.
fn said_aloud(run: &Last) -> Option<Ending> {
    let ending = run.ending().filter(|ending| matches!(ending, Ending::StaysOut | Ending::PartlyIn))?;
    (run.goal() == Some(Goal::Recover)).then_some(ending)
}
