//! The waits on the way out: until those who stick may be moved, and until nothing is in flight. Meanwhile what a reload, or
//! somebody's hand, has undone is done again (see `watch`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::preflight::Kills;
use super::watch::Watched;
use super::{Engine, Fault};
use crate::config::settings::OnTimeout;
use crate::drain::{Pace, Sighting};
use crate::events::Kind;
use crate::run::Outcome;

/// How often in a row everything must be quiet, from the same HAProxy process.
const QUIET_IN_A_ROW: u32 = 3;

/// How often at least it is told what is left in flight.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How much longer than its deadline a wait may take in which HAProxy is reloaded again and again.
const RELOADS: Duration = Duration::from_secs(10);

impl Engine<'_> {
    /// Those who stick are let go on for `sticky_grace`. Where going down kills sessions (unknown counts as yes), they are
    /// waited for instead, for `maint` would be their end.
    pub(super) async fn settle(&mut self) -> Result<Outcome, Fault> {
        let drain = &self.app.drain;
        let (limit, outcome) = match self.kills {
            Kills::No => (drain.sticky_grace, Outcome::Done),
            Kills::Yes | Kills::Unknown => (drain.timeout, Outcome::TimedOut),
        };
        if limit.is_zero() {
            return Ok(Outcome::Done);
        }
        let left = self.wait_until_quiet(Instant::now() + limit).await?;
        self.settled = left.is_empty();
        if self.settled || outcome == Outcome::Done {
            return Ok(Outcome::Done);
        }
        let what = format!(
            "after {} still in flight: {}; they were not moved, for going down {} kill sessions",
            humantime::format_duration(limit),
            describe(&left),
            if self.kills == Kills::Yes { "does" } else { "may" },
        );
        let hint = if self.kills == Kills::Unknown {
            self.kills_hint()
        } else {
            format!("give it longer: `timeout` in [apps.{}.drain]; or decide by `on_timeout` there", self.app.name)
        };
        Err(Fault::new(Outcome::TimedOut, what, Some(hint)))
    }

    /// Waits until every witness is quiet, several times in a row.
    pub(super) async fn drain(&mut self) -> Result<Outcome, Fault> {
        let limit = self.app.drain.timeout;
        self.left = self.wait_until_quiet(Instant::now() + limit).await?;
        if self.left.is_empty() {
            return Ok(Outcome::Done);
        }
        let what = format!("after {} still in flight: {}", humantime::format_duration(limit), describe(&self.left));
        let hint = format!(
            "give it longer: `timeout` in [apps.{0}.drain]; or decide by `on_timeout` there (now \"{1}\")",
            self.app.name,
            match self.app.drain.on_timeout {
                OnTimeout::Abort => "abort",
                OnTimeout::Proceed => "proceed",
                OnTimeout::ShutdownSessions => "shutdown-sessions",
            }
        );
        Err(Fault::new(Outcome::TimedOut, what, Some(hint)))
    }

    /// Returns what is left when `until` has passed; nothing when all is quiet.
    pub(super) async fn wait_until_quiet(&mut self, until: Instant) -> Result<Vec<Sighting>, Fault> {
        let mut pace = Pace::new();
        let mut quiet: u32 = 0;
        let mut told: Vec<Sighting> = Vec::new();
        let mut told_at = Instant::now();
        loop {
            let (left, steady) = self.look().await?;
            let count = left.iter().flat_map(|sighting| &sighting.left).map(|left| left.sessions + left.queued).sum();
            self.receipt.drained = self.receipt.drained.max(count);
            if left.is_empty() && steady {
                quiet += 1;
                pace.quicken();
                if quiet >= QUIET_IN_A_ROW {
                    return Ok(left);
                }
            } else {
                quiet = 0;
                // Also when nothing changes: who watches wants to see that it is still waited for.
                if left != told || told_at.elapsed() >= SIGN_OF_LIFE {
                    self.log.publish(Kind::Draining { sightings: left.clone() });
                    told.clone_from(&left);
                    told_at = Instant::now();
                }
                if !left.is_empty() && Instant::now() >= until {
                    return Ok(left);
                }
            }
            if Instant::now() >= until + RELOADS {
                return Err(Fault::new(Outcome::TimedOut, "a balancer is reloaded again and again", None));
            }
            self.rest(pace.pause()).await?;
        }
    }

    /// What is left, and whether every balancer is the process of the last look and shows what it was told. The kernel is asked
    /// once the balancers are quiet.
    async fn look(&mut self) -> Result<(Vec<Sighting>, bool), Fault> {
        let (polls, steady) = self.watch().await?;
        let mut sightings: Vec<_> = polls.iter().map(|(name, poll)| poll.sighting(name)).collect();
        for (name, poll) in &polls {
            if let Some(balancer) = self.balancers.iter_mut().find(|balancer| balancer.name() == name) {
                sightings.extend(balancer.old_workers(poll.info.pid, &self.log).await);
            }
        }
        if sightings.iter().all(|sighting| sighting.left.is_empty()) {
            let snapshot = self.sockets.snapshot().await.map_err(|error| {
                Fault::new(Outcome::Failed, format!("the kernel's socket table can't be read: {error}"), None)
            })?;
            // Where counters can be read, idle is quiet. What an unseen old worker holds may be a websocket.
            let unseen = self.balancers.iter().any(Watched::has_unseen_workers);
            let idle_after = match (unseen, self.is_blind()) {
                (true, _) => Duration::MAX,
                (false, true) => self.app.drain.idle_after,
                (false, false) => Duration::ZERO,
            };
            sightings.push(snapshot.sighting(idle_after));
        }
        sightings.retain(|sighting| !sighting.left.is_empty());
        Ok((sightings, steady))
    }

    pub(super) async fn shutdown_sessions(&mut self) -> Result<Outcome, Fault> {
        for balancer in &mut self.balancers {
            self.log.acts(balancer.name(), &balancer.acts_shutdown())?;
            balancer.shutdown_sessions().await?;
        }
        // They end asynchronously; this is bounded, for whatever is left now was to be ended.
        self.left = self.wait_until_quiet(Instant::now() + Duration::from_secs(5)).await?;
        if !self.left.is_empty() {
            self.log.remark(format!("still in flight after their end was asked for: {}", describe(&self.left)));
        }
        Ok(Outcome::Done)
    }
}

/// What is left, in one line.
pub(super) fn describe(left: &[Sighting]) -> String {
    let one = |sighting: &Sighting| {
        let each: BTreeSet<_> = sighting.left.iter().map(ToString::to_string).collect();
        format!("{} on {}", each.into_iter().collect::<Vec<_>>().join(", "), sighting.witness)
    };
    left.iter().map(one).collect::<Vec<_>>().join("; ")
}
