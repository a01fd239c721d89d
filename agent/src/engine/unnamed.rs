//! Entries that were taken out under a name which the configuration does not give the app any more. Whoever goes on without them would
//! forget them: out for good, and recorded nowhere.

use super::Engine;
use super::preflight::Finding;
use crate::haproxy::ServerId;
use crate::journal::Found;
use crate::rotation::RotationError;

impl Engine<'_> {
    /// One finding for each such entry: an error where it is still out, on a balancer that answers. Where the configuration does not
    /// name the balancer either, nobody can look; then it is said.
    pub(super) async fn inspect_unnamed(&self) -> Result<Vec<Finding>, RotationError> {
        let mut findings = Vec::new();
        let debts = self.lease.iter().map(|lease| &lease.owes).chain(&self.owed);
        for (name, found) in debts.flat_map(|debt| &debt.found) {
            let name = name.as_str();
            let taken = found.iter().filter(|found| !found.in_maintenance());
            if self.app.balancers.iter().all(|balancer| balancer.name.as_str() != name) {
                findings.extend(taken.map(|found| self.unnamed_balancer(name, &found.server)));
                continue;
            }
            let unnamed: Vec<_> = taken.filter(|found| !self.names(&found.server)).collect();
            let reached = self.balancers.iter().find(|balancer| balancer.name() == name);
            let Some(balancer) = reached.filter(|_| !unnamed.is_empty()) else { continue };
            for state in balancer.all_states().await? {
                let found = unnamed.iter().find(|found| found.server == state.id);
                if let Some(found) = found.filter(|_| state.admin.in_maintenance() || state.admin.forced_drain()) {
                    findings.push(self.unnamed_entry(name, found));
                }
            }
        }
        Ok(findings)
    }

    fn names(&self, server: &ServerId) -> bool {
        self.app.servers.iter().chain(&self.app.backups).any(|named| named == server)
    }

    fn unnamed_entry(&self, balancer: &str, found: &Found) -> Finding {
        let (app, server) = (&self.app.name, &found.server);
        let list = if found.backup { "backups" } else { "servers" };
        let mut hint = format!("put it back into `{list}` of [apps.{app}], then `pitstop recover {app}`");
        let known = self.app.balancers.iter().find(|known| known.name.as_str() == balancer);
        if let Some(socket) = known.and_then(|known| known.socket.as_ref()) {
            let ready = socket.command(&format!("set server {server} state ready"));
            hint += &format!("; or, if it is not this app's any more: {ready}");
        }
        let what =
            format!("{server} on {balancer} was taken out for {app}, and [apps.{app}] does not name it any more");
        Finding::error(what, Some(hint))
    }

    fn unnamed_balancer(&self, balancer: &str, server: &ServerId) -> Finding {
        let app = &self.app.name;
        Finding::warning(
            format!(
                "{server} was taken out for {app} on {balancer}, which is not in the configuration any more: it may be out there still"
            ),
            format!("if {balancer} is still there: `set server {server} state ready` on its admin socket"),
        )
    }
}
