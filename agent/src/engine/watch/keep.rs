//! An app that is kept out whatever happens: beside a step of a run while the app is down, and by a keeper while no run is at it.
//!
//! Nothing ends this watch before its time. What a balancer refuses is told once and tried again; only somebody who puts the app back on
//! it again and again has their way there, until it is another process.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::{mpsc, watch};

use super::super::configs::Configs;
use super::super::fault::chain;
use super::super::log::Log;
use super::super::preflight::Kills;
use super::{Ended, Engine, Fault, Watched};
use crate::journal::{Debt, Share};
use crate::probe;
use crate::rotation::admin::Poll;
use crate::rotation::{Move, Rotation as _, Standing};
use crate::run::{Outcome, Step};

/// The pause between two looks while the app is down: a new HAProxy process sends it traffic until it is told.
const WHILE_DOWN: Duration = Duration::from_millis(20);

/// The same for an app that may run, by a keeper, and for weeks: with it a new HAProxy process is told well within 100 ms.
const WHILE_OUT: Duration = Duration::from_millis(30);

/// The pause after a balancer refused: it will hardly do otherwise sooner.
const REFUSED: Duration = Duration::from_millis(100);

/// How often it is looked whether the redirect is back, where nothing else keeps the app out: each look starts a program.
const REDIRECT: Duration = Duration::from_secs(5);

/// What all balancers of one app share while it is kept out.
struct Keep<'k, 'l> {
    log: &'k Log<'l>,
    kills: Kills,
    /// The pause between two looks.
    pause: Duration,
    /// Gives a keeper a hand on the app, or not now; a run has the claim itself.
    hand: Option<&'k dyn Fn() -> Option<Share>>,
    over: watch::Receiver<bool>,
    /// What a keeper is to say aloud; a run's remarks are read.
    alerts: Option<mpsc::UnboundedSender<String>>,
}

/// What one balancer has to be asked next.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Whether its admin bits are to be read.
    look: bool,
    /// Whether it was reloaded since they were read.
    reloaded: bool,
    /// The HAProxy process on which somebody has their way.
    left_to_them: Option<u32>,
    /// What it refused the last time, so that it is told once.
    refused: Option<String>,
}

impl Engine<'_> {
    /// Performs a step while the app is kept out. The watch is over, and its last act with it, when this returns.
    pub(in crate::engine) async fn step_while_out(&mut self, step: Step) -> Result<Outcome, Fault> {
        let mut balancers = std::mem::take(&mut self.balancers);
        let (log, kills) = (self.log.clone(), self.kills);
        let (end, over) = watch::channel(false);
        let work = async {
            let done = self.step(step).await;
            end.send_replace(true);
            done
        };
        let keep = Keep { log: &log, kills, pause: WHILE_DOWN, hand: None, over, alerts: None };
        let (done, _) = tokio::join!(work, join_all(balancers.iter_mut().map(|balancer| balancer.keep(&keep))));
        self.balancers = balancers;
        done
    }

    /// Keeps the app out on every balancer until `over`, beside no run: acts only with a hand on the app. What `debt` was opened with
    /// is ours; the rest is left as it is. An act that was begun is finished.
    pub async fn keep_out<T>(
        &mut self,
        debt: &Debt,
        hand: &dyn Fn() -> Option<Share>,
        over: impl Future<Output = T>,
    ) -> T {
        self.inspect_kills(&Configs::read(&self.app.balancers));
        let mut balancers = std::mem::take(&mut self.balancers);
        // One that did not answer when the app was taken out was never told.
        balancers.retain_mut(|balancer| {
            let found = debt.on(balancer.name());
            balancer.adopt(found, None, true);
            balancer.told(Move::TakeOut);
            balancer.due.look = true;
            !found.is_empty()
        });
        let (end, ended) = watch::channel(false);
        let (alerts, mut heard) = mpsc::unbounded_channel();
        let log = self.log.clone();
        let (kills, pause) = (self.kills, WHILE_OUT);
        let keep = Keep { log: &log, kills, pause, hand: Some(hand), over: ended, alerts: Some(alerts) };
        let redirect_alone = debt.redirect == Some(true) && balancers.iter().all(|balancer| balancer.is_read_only());
        let work = async {
            let mut over = std::pin::pin!(over);
            let over = loop {
                tokio::select! {
                    over = &mut over => break over,
                    Some(message) = heard.recv() => self.tell(message).await,
                    () = tokio::time::sleep(REDIRECT), if redirect_alone => self.keep_redirect_out(hand).await,
                }
            };
            end.send_replace(true);
            over
        };
        let (over, _) = tokio::join!(work, join_all(balancers.iter_mut().map(|balancer| balancer.keep(&keep))));
        over
    }

    /// Says something aloud by `on_alert`. That it fails is told, and changes nothing.
    pub async fn tell(&mut self, message: String) {
        if let Err(fault) = self.say_aloud(message).await {
            self.log.remark(format!("the alert failed: {}", fault.trouble.what));
        }
    }

    async fn keep_redirect_out(&mut self, hand: &dyn Fn() -> Option<Share>) {
        let Some(ports) = &mut self.ports else { return };
        let removed = match ports.standing().await {
            Ok(Standing::In) => match hand() {
                Some(_hand) => ports.make(Move::TakeOut).await.map(|()| true),
                None => Ok(false),
            },
            looked => looked.map(|_| false),
        };
        match removed {
            Ok(true) => self.log.remark("somebody has set the redirect again: out again"),
            Ok(false) => {}
            Err(error) => self.log.remark(chain(&error)),
        }
    }

    /// Whether paying `debt` may get any further: a balancer answers that has the app otherwise than is owed, or all answer.
    pub async fn may_pay(&mut self, debt: &Debt) -> bool {
        let mut all = true;
        for balancer in &mut self.balancers {
            let found = debt.on(balancer.name());
            balancer.adopt(found, None, true);
            match balancer.states().await {
                Ok(states) if !balancer.shows_all(&states, Move::PutBack) => return true,
                Ok(_) => {}
                Err(_) => all = false,
            }
        }
        all
    }

    /// Whether every probe of the app passes within `limit`.
    pub async fn is_healthy(&self, limit: Duration) -> bool {
        let silent = |_: probe::Progress| {};
        matches!(tokio::time::timeout(limit, probe::prove(&self.probes, &silent)).await, Ok(Ok(_)))
    }
}

impl Watched {
    /// Keeps it out until the end; never broken off in the midst of an act.
    async fn keep(&mut self, keep: &Keep<'_, '_>) {
        let mut over = keep.over.clone();
        while !*over.borrow() {
            let pause = self.keep_once(keep).await;
            tokio::select! {
                _ = over.wait_for(|over| *over) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look, and what follows from it. Returns the pause before the next.
    async fn keep_once(&mut self, keep: &Keep<'_, '_>) -> Duration {
        let asked = Instant::now();
        let poll = match self.count().await {
            Ok(poll) => poll,
            Err(error) => {
                if self.silent.is_none() {
                    keep.log.remark(format!("{}; it is asked again", chain(&error)));
                }
                self.silent.get_or_insert(asked);
                return keep.pause;
            }
        };
        if self.silent.take().is_some() {
            keep.log.remark(format!("{} answers again", self.name()));
        }
        // A look that is not finished is made up for: a poll tells of a change but once.
        self.due.look |= poll.changed;
        self.due.reloaded |= poll.reloaded;
        if self.due.left_to_them == Some(poll.info.pid) {
            return keep.pause;
        }
        if !self.due.look && !self.to_take_out {
            self.good = asked;
            return keep.pause;
        }
        let hand = keep.hand.map(|hand| hand());
        if matches!(hand, Some(None)) {
            return keep.pause;
        }
        let poll = Poll { reloaded: self.due.reloaded, ..poll };
        match self.make_sure(&poll, keep).await {
            Ok(true) => {
                self.good = asked;
                self.due = Due::default();
                keep.pause
            }
            // Looked at once more, by the next; what it was then is told by its poll.
            Ok(false) => {
                self.due.reloaded = false;
                keep.pause
            }
            Err(refused) => self.is_refused(&poll, refused, keep),
        }
    }

    /// Whether it shows what it is told; if not, it is told again.
    async fn make_sure(&mut self, poll: &Poll, keep: &Keep<'_, '_>) -> Result<bool, Ended> {
        let shows = !self.due.look || self.assert_again(poll, keep.log, keep.kills).await?;
        if self.to_take_out {
            self.to_take_out = !self.admin.take_out_if_quiet().await?;
            return Ok(false);
        }
        Ok(shows)
    }

    fn is_refused(&mut self, poll: &Poll, refused: Ended, keep: &Keep<'_, '_>) -> Duration {
        let what = match refused {
            Ended::Silent(error) => chain(&error),
            Ended::Fault(fault) => fault.trouble.what,
            Ended::Disputed(fault) => {
                let what = fault.trouble.what;
                self.due.left_to_them = Some(poll.info.pid);
                keep.log.remark(format!("{what}: left to them, until {} is reloaded", self.name()));
                if let Some(alerts) = &keep.alerts {
                    let _ = alerts.send(format!("pitstop: {what}, though it is to be out: left to them"));
                }
                return keep.pause;
            }
        };
        if self.due.refused.as_ref() != Some(&what) {
            keep.log.remark(format!("{what}; it is tried again"));
            self.due.refused = Some(what);
        }
        REFUSED
    }
}
