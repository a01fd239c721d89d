//! The kernel's side of an app's rotation as one driver: the redirect, and where no admin socket may be written,
//! the count of refused checks and the gate.

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
    /// Closes the traffic port to those who stick to a backup entry.
    gate: Option<Gate>,
    /// Whether the redirect was there before we came.
    found: Option<bool>,
}

impl Ports {
    /// The ports of `app`; `None` where no redirect is configured.
    pub fn new(app: &App) -> Option<Self> {
        let settings = app.redirect.as_ref()?;
        let redirect = Redirect::new(app.name.clone(), app.listen, settings.check_port);
        let blind = app.balancers.iter().filter(|balancer| balancer.socket.is_none());
        let sources: Vec<_> = blind.flat_map(|balancer| balancer.addresses.iter().copied()).collect();
        let refusals = Refusals::new(settings.check_port, &sources, redirect.families());
        let no_admin = settings.alone || app.balancers.iter().all(|balancer| balancer.socket.is_none());
        let gate = (no_admin && !app.backups.is_empty()).then(|| Gate::new(app.listen));
        Some(Self { redirect, refusals: (!sources.is_empty()).then_some(refusals), gate, found: None })
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
        self.found
    }

    /// Looks whether the redirect is there, and keeps it as what undo restores.
    pub async fn find(&mut self) -> Result<bool, RotationError> {
        let present = self.redirect.present().await?;
        self.found = Some(present);
        Ok(present)
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

    /// The fewest checks that any known source was refused since the redirect was removed; `None` where no source is known.
    pub async fn refused(&self) -> Result<Option<u64>, RotationError> {
        match &self.refusals {
            Some(refusals) => Ok(refusals.counts().await?.into_iter().map(|(_, count)| count).min()),
            None => Ok(None),
        }
    }
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
                let open = self.gate.as_ref().map(Gate::acts_open).unwrap_or_default();
                let stop = refusals.map(Refusals::acts_stop).unwrap_or_default();
                let add = if step == Move::Restore && self.found == Some(false) {
                    Vec::new()
                } else {
                    self.redirect.acts_in()
                };
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
                if let Some(gate) = &self.gate {
                    gate.open().await?;
                }
                if let Some(refusals) = &self.refusals {
                    refusals.stop().await?;
                }
                if step == Move::PutBack || self.found != Some(false) {
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
