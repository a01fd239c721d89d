//! What stands in HAProxy's files, and the process that runs does not know yet.
//!
//! A check port of its own needs its redirect before HAProxy is reloaded with it, so `in` must do without whatever comes with that
//! reload: a backup entry, or the admin socket.

use std::io;

use haproxy_cfg::Config;

use super::Engine;
use super::preflight::Finding;
use crate::haproxy::{Address, ServerId};
use crate::rotation::RotationError;
use crate::rotation::admin::Admin;
use crate::run::Goal;

/// Goes on without backup entries that only the files have.
pub(super) async fn leave_entries_aside(
    balancer: &mut Admin,
    config: &Config,
) -> Result<Option<Finding>, RotationError> {
    let all = balancer.all_states().await?;
    let is_new = |server: &ServerId| {
        let (backend, name) = (server.backend.as_str(), server.server.as_str());
        !all.iter().any(|state| state.id == *server) && config.server(backend, name).is_some()
    };
    let new = balancer.leave_aside(is_new);
    if new.is_empty() {
        return Ok(None);
    }
    let names: Vec<_> = new.iter().map(ServerId::to_string).collect();
    let what =
        format!("balancer {}: HAProxy has not read {} yet, which its files have", balancer.name(), names.join(", "));
    Ok(Some(Finding::warning(what, "reload HAProxy once this is done")))
}

impl Engine<'_> {
    /// A socket that only the files have, where a redirect is to be set and nothing is owing that it would have to be told. A HAProxy
    /// that does not run yet is the same: it begins with nothing in maintenance.
    pub(super) fn unloaded_socket(&self, balancer: &str, config: &Config) -> Option<Finding> {
        let owes = self.lease.is_some() || self.owed.is_some();
        if self.request.goal != Goal::In || self.app.redirect.is_none() || owes {
            return None;
        }
        let balancer = self.app.balancers.iter().find(|known| known.name.as_str() == balancer)?;
        let Some(Address::Unix(path)) = &balancer.socket else { return None };
        let is_missing = std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let is_in_files = config
            .global()
            .sockets
            .iter()
            .filter_map(|socket| socket.address.known())
            .any(|address| std::path::Path::new(address.strip_prefix("unix@").unwrap_or(address)) == path);
        let what =
            format!("balancer {}: HAProxy has not opened {} yet, which its files have", balancer.name, path.display());
        (is_missing && is_in_files).then(|| Finding::warning(what, "reload HAProxy once this is done"))
    }
}
