//! The kernel's side of an app's rotation as one driver: the redirect, and where no admin socket may be written,
//! the count of refused checks and the gate.

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;

use super::gate::Gate;
use super::redirect::Redirect;
use super::refusals::Refusals;
use super::{Move, Rotation, RotationError, Standing};
use crate::config::settings::App;

/// The redirect of one app, and what belongs to it.
#[derive(Debug)]
pub struct Ports {
    redirect: Redirect,
    /// Counts refused checks by source, where only that tells that a balancer has noticed.
    refusals: Option<Refusals>,
    /// How many entries each source checks.
    entries: BTreeMap<IpAddr, u64>,
    /// Closes the traffic port to those who stick to a backup entry.
    gate: Option<Gate>,
    found: Option<Found>,
    /// Put-back restores what was found, too.
    left_out: bool,
}

/// What was there before we came.
#[derive(Debug, Clone, Copy)]
struct Found {
    redirect: bool,
    gate_closed: bool,
}

impl Found {
    /// As it is for an app in rotation.
    const IN: Self = Self { redirect: true, gate_closed: false };
}

impl Ports {
    /// The ports of `app`; `None` where no redirect is configured.
    pub fn new(app: &App) -> Option<Self> {
        let settings = app.redirect.as_ref()?;
        let redirect = Redirect::new(app.name.clone(), app.listen, settings.check_port);
        let blind = app.balancers.iter().filter(|balancer| balancer.socket.is_none());
        // Where one of them may check from anywhere, the others' counts say nothing about it.
        let known = blind.clone().all(|balancer| !balancer.addresses.is_empty());
        let sources: Vec<_> = blind.flat_map(|balancer| balancer.addresses.iter().copied()).collect();
        let refusals = Refusals::new(settings.check_port, &sources, redirect.families());
        let no_admin = settings.alone || app.balancers.iter().all(|balancer| balancer.socket.is_none());
        let gate = (no_admin && !app.backups.is_empty()).then(|| Gate::new(app.listen));
        Some(Self {
            redirect,
            refusals: (known && !sources.is_empty()).then_some(refusals),
            entries: entries(app),
            gate,
            found: None,
            left_out: false,
        })
    }

    /// The redirect itself.
    pub fn redirect(&self) -> &Redirect {
        &self.redirect
    }

    /// Whether there is a gate to close.
    pub fn has_gate(&self) -> bool {
        self.gate.is_some()
    }

    /// Whether the redirect was there before we came.
    pub fn found(&self) -> Option<bool> {
        self.found.map(|found| found.redirect)
    }

    /// Looks whether the redirect is there and the gate closed, and keeps that as what undo restores.
    pub async fn find(&mut self) -> Result<bool, RotationError> {
        let redirect = self.redirect.present().await?;
        let gate_closed = match &self.gate {
            Some(gate) => gate.is_closed().await?,
            None => false,
        };
        self.found = Some(Found { redirect, gate_closed });
        Ok(redirect)
    }

    /// Takes this as what was there before anything of ours.
    pub fn adopt(&mut self, redirect: bool) {
        self.found = Some(Found { redirect, gate_closed: false });
    }

    /// Found out, the app is left so: put-back restores what was found.
    pub fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// What a way back leads to.
    fn goal(&self, step: Move) -> Found {
        let as_found = step == Move::Restore || self.left_out;
        self.found.filter(|_| as_found).unwrap_or(Found::IN)
    }

    /// The exact acts of closing the gate.
    pub fn acts_close(&self) -> Vec<String> {
        self.gate.as_ref().map(Gate::acts_close).unwrap_or_default()
    }

    /// Rejects new connections to the traffic port but our own; existing ones go on.
    pub async fn close_gate(&self) -> Result<(), RotationError> {
        match &self.gate {
            Some(gate) => Ok(gate.close().await?),
            None => Ok(()),
        }
    }

    /// The fewest checks that any entry of any known source was refused since the redirect was removed; `None` where no source
    /// is known. Checks of one source look alike, so its entries are taken to be checked equally often.
    pub async fn refused(&self) -> Result<Option<u64>, RotationError> {
        match &self.refusals {
            Some(refusals) => Ok(fewest(&refusals.counts().await?, &self.entries)),
            None => Ok(None),
        }
    }
}

/// How many entries each source checks: HAProxy counts to `fall` for each main entry by itself, and balancers behind one
/// address, where each of them lists it, add up. Backup entries check the traffic port.
fn entries(app: &App) -> BTreeMap<IpAddr, u64> {
    let mut entries = BTreeMap::new();
    for address in app.balancers.iter().flat_map(|balancer| &balancer.addresses) {
        *entries.entry(address.to_canonical()).or_default() += app.servers.len() as u64;
    }
    entries
}

fn fewest(counts: &[(IpAddr, u64)], entries: &BTreeMap<IpAddr, u64>) -> Option<u64> {
    let each = |(source, count): &(IpAddr, u64)| count / entries.get(source).copied().unwrap_or(1).max(1);
    counts.iter().map(each).min()
}

#[async_trait]
impl Rotation for Ports {
    fn place(&self) -> &str {
        "redirect"
    }

    fn acts(&self, step: Move) -> Vec<String> {
        let refusals = self.refusals.as_ref();
        match step {
            Move::Soften => Vec::new(),
            Move::TakeOut => {
                let count = refusals.map(Refusals::acts_start).unwrap_or_default();
                self.redirect.acts_out().into_iter().chain(count).collect()
            }
            Move::PutBack | Move::Restore => {
                let goal = self.goal(step);
                let gate = self.gate.as_ref().filter(|_| !goal.gate_closed);
                let open = gate.map(Gate::acts_open).unwrap_or_default();
                let stop = refusals.map(Refusals::acts_stop).unwrap_or_default();
                let add = if goal.redirect { self.redirect.acts_in() } else { Vec::new() };
                open.into_iter().chain(stop).chain(add).collect()
            }
        }
    }

    async fn make(&mut self, step: Move) -> Result<(), RotationError> {
        match step {
            Move::Soften => {}
            Move::TakeOut => {
                self.redirect.remove().await?;
                if let Some(refusals) = &self.refusals {
                    refusals.start().await?;
                }
            }
            Move::PutBack | Move::Restore => {
                let goal = self.goal(step);
                if let Some(gate) = self.gate.as_ref().filter(|_| !goal.gate_closed) {
                    gate.open().await?;
                }
                if let Some(refusals) = &self.refusals {
                    refusals.stop().await?;
                }
                if goal.redirect {
                    self.redirect.add().await?;
                }
            }
        }
        Ok(())
    }

    async fn standing(&mut self) -> Result<Standing, RotationError> {
        Ok(if self.redirect.present().await? { Standing::In } else { Standing::Out })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    #[test]
    fn refused_checks_are_counted_for_each_entry_that_a_source_checks() {
        let text = r#"
            [balancers.lb1]
            addresses = ["10.0.0.5"]
            [balancers.lb2]
            addresses = ["10.0.0.5", "10.0.0.6"]
            [apps.web]
            servers = ["a/web", "b/web"]
            listen = "127.0.0.1:1000"
            redirect = { check_port = 2000, alone = true }
            service = { systemd = "web.service" }
            ready = [{ tcp = "127.0.0.1:1000" }]
        "#;
        let settings = config::parse("pitstop.toml".as_ref(), text).unwrap();
        let entries = entries(settings.app("web").unwrap());
        let (shared, alone) = ([10, 0, 0, 5].into(), [10, 0, 0, 6].into());
        assert_eq!(entries, BTreeMap::from([(shared, 4), (alone, 2)]));
        // One and a half rounds of two entries are not three checks of either.
        assert_eq!(fewest(&[(shared, 100), (alone, 3)], &entries), Some(1));
        assert_eq!(fewest(&[(shared, 11), (alone, 6)], &entries), Some(2));
        assert_eq!(fewest(&[(shared, 12), (alone, 6)], &entries), Some(3));
    }
}
