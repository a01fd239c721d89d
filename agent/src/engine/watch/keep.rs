//! The watch of an app that is kept out while no run is at it: a keeper's.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::{mpsc, watch};

use super::super::advice::Configs;
use super::super::fault::chain;
use super::super::log::Log;
use super::super::preflight::Kills;
use super::{Ended, Engine, OVERRULED, Watched};
use crate::journal::{Debt, Found, Share};
use crate::probe;
use crate::rotation::admin::Poll;
use crate::rotation::{Move, Rotation as _, Standing};

/// The pause between two looks: with it a new HAProxy process is told well within 100 ms.
const PAUSE: Duration = Duration::from_millis(30);

/// The pause after a balancer refused: it will hardly do otherwise so soon.
const REFUSED: Duration = Duration::from_millis(500);

/// How often it is looked whether the redirect is back, where nothing else keeps the app out: each look starts a program.
const REDIRECT: Duration = Duration::from_secs(5);

/// What all balancers of one app share while it is kept out.
struct Keep<'k, 'l> {
    log: &'k Log<'l>,
    kills: Kills,
    /// Gives a hand on the app, or not now.
    hand: &'k dyn Fn() -> Option<Share>,
    over: watch::Receiver<bool>,
    alerts: mpsc::UnboundedSender<String>,
}

/// What one balancer has to be asked next.
#[derive(Debug, Default)]
struct Due {
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
            let found = on(debt, balancer.name());
            balancer.adopt(found, None, true);
            balancer.told(Move::TakeOut);
            !found.is_empty()
        });
        let (end, ended) = watch::channel(false);
        let (alerts, mut heard) = mpsc::unbounded_channel();
        let log = self.log.clone();
        let keep = Keep { log: &log, kills: self.kills, hand, over: ended, alerts };
        let redirect_alone = debt.redirect == Some(true) && balancers.iter().all(|balancer| balancer.is_read_only());
        let work = async {
            let mut over = std::pin::pin!(over);
            let over = loop {
                tokio::select! {
                    over = &mut over => break over,
                    Some(message) = heard.recv() => {
                        if let Err(fault) = self.say_aloud(message).await {
                            self.log.remark(fault.trouble.what);
                        }
                    }
                    () = tokio::time::sleep(REDIRECT), if redirect_alone => self.keep_redirect_out(hand).await,
                }
            };
            end.send_replace(true);
            over
        };
        let (over, _) = tokio::join!(work, join_all(balancers.iter_mut().map(|balancer| balancer.keep(&keep))));
        over
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
            let found = on(debt, balancer.name());
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
        let mut due = Due { look: true, ..Due::default() };
        while !*over.borrow() {
            let pause = self.keep_once(keep, &mut due).await;
            tokio::select! {
                _ = over.wait_for(|over| *over) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look, and what follows from it. Returns the pause before the next.
    async fn keep_once(&mut self, keep: &Keep<'_, '_>, due: &mut Due) -> Duration {
        let asked = Instant::now();
        let poll = match self.count().await {
            Ok(poll) => poll,
            Err(error) => {
                if self.silent.is_none() {
                    keep.log.remark(chain(&error));
                }
                self.silent.get_or_insert(asked);
                return PAUSE;
            }
        };
        if self.silent.take().is_some() {
            keep.log.remark(format!("{} answers again", self.name()));
        }
        due.look |= poll.changed;
        due.reloaded |= poll.reloaded;
        if due.left_to_them == Some(poll.info.pid) {
            return PAUSE;
        }
        if !due.look && !self.to_take_out {
            self.good = asked;
            return PAUSE;
        }
        let Some(_hand) = (keep.hand)() else { return PAUSE };
        let poll = Poll { reloaded: due.reloaded, ..poll };
        match self.make_sure(&poll, due.look, keep).await {
            Ok(true) => {
                self.good = asked;
                *due = Due::default();
                PAUSE
            }
            // Looked at once more, by the next; what it was then is told by its poll.
            Ok(false) => {
                due.reloaded = false;
                PAUSE
            }
            Err(refused) => self.is_refused(&poll, refused, keep, due),
        }
    }

    /// Whether it shows what it is told; if not, it is told again.
    async fn make_sure(&mut self, poll: &Poll, look: bool, keep: &Keep<'_, '_>) -> Result<bool, Ended> {
        let shows = !look || self.assert_again(poll, keep.log, keep.kills).await?;
        if self.to_take_out {
            self.to_take_out = !self.admin.take_out_if_quiet().await?;
            return Ok(false);
        }
        Ok(shows)
    }

    fn is_refused(&self, poll: &Poll, refused: Ended, keep: &Keep<'_, '_>, due: &mut Due) -> Duration {
        let what = match refused {
            Ended::Silent(error) => chain(&error),
            Ended::Fault(fault) => fault.trouble.what,
        };
        let (pid, times) = self.overruled;
        if pid == poll.info.pid && times > OVERRULED {
            due.left_to_them = Some(pid);
            keep.log.remark(format!("{what}: left to them, until {} is reloaded", self.name()));
            let _ = keep.alerts.send(format!("pitstop: {what}, though it is to be out: left to them"));
            return PAUSE;
        }
        if due.refused.as_ref() != Some(&what) {
            keep.log.remark(what.clone());
            due.refused = Some(what);
        }
        REFUSED
    }
}

/// What `debt` owes on a balancer.
fn on<'d>(debt: &'d Debt, balancer: &str) -> &'d [Found] {
    let found = debt.found.iter().find(|(name, _)| name.as_str() == balancer);
    found.map(|(_, found)| found.as_slice()).unwrap_or_default()
}
