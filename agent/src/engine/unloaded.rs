//! What stands in HAProxy's files, and the process that runs does not know yet.
//!
//! A check port of its own needs its redirect before HAProxy is reloaded with it, so `in` must do without whatever comes with that
//! reload: a backup entry, or the admin socket.

use std::path::Path;
use std::{fs, io};

use haproxy_cfg::{Config, LoadServerState};

use super::Engine;
use super::preflight::Finding;
use crate::haproxy::{Address, ServerId, ServerState};
use crate::journal::Found;
use crate::rotation::RotationError;
use crate::rotation::admin::Admin;
use crate::run::Goal;

/// As [`Admin::find`], but without backup entries that only the files have; no run has recorded those either, so nothing of them is to be
/// undone. They are named.
pub(super) async fn find(
    balancer: &mut Admin,
    config: Option<&Config>,
    recorded: &[Found],
) -> Result<(Vec<ServerState>, Option<Finding>), RotationError> {
    let error = match balancer.find().await {
        Ok(states) => return Ok((states, None)),
        Err(error) => error,
    };
    let (Some(config), RotationError::NoSuchServer { known, .. }) = (config, &error) else { return Err(error) };
    let is_new = |server: &ServerId| {
        !known.contains(server) && is_in(config, server) && !recorded.iter().any(|found| found.server == *server)
    };
    let new = balancer.leave_aside(is_new);
    if new.is_empty() {
        return Err(error);
    }
    let names: Vec<_> = new.iter().map(ServerId::to_string).collect();
    let what =
        format!("balancer {}: HAProxy has not read {} yet, which its files have", balancer.name(), names.join(", "));
    let finding = Finding::warning(what, "reload HAProxy once this is done");
    Ok((balancer.find().await?, Some(finding)))
}

/// What to type where a run refuses because HAProxy does not know an entry that its files have.
pub(super) fn hint(app: &str, config: Option<&Config>, error: &RotationError) -> Option<String> {
    let RotationError::NoSuchServer { server, .. } = error else { return None };
    let is_new = config.is_some_and(|config| is_in(config, server));
    is_new.then(|| {
        format!(
            "HAProxy's files have it: reload HAProxy; where that brings a check port of its own, `pitstop in {app}` comes first"
        )
    })
}

fn is_in(config: &Config, server: &ServerId) -> bool {
    config.server(server.backend.as_str(), server.server.as_str()).is_some()
}

impl Engine<'_> {
    /// An admin socket that only the files have, where a redirect is to be set: nobody serves it, nothing is owing that it would have
    /// to be told, and whoever opens it begins with nothing in maintenance.
    pub(super) fn unloaded_socket(&self, balancer: &str, config: &Config) -> Option<Finding> {
        let owes = self.lease.is_some() || self.owed.is_some();
        if self.request.goal != Goal::In || self.app.redirect.is_none() || owes || keeps_states(config) {
            return None;
        }
        let balancer = self.app.balancers.iter().find(|known| known.name.as_str() == balancer)?;
        let Some(Address::Unix(path)) = &balancer.socket else { return None };
        let mut sockets = config.global().sockets.iter().filter_map(|socket| socket.address.known());
        let is_path = |address: &str| matches!(haproxy_cfg::Address::read(address), haproxy_cfg::Address::Path(of) if Path::new(of) == path);
        let is_in_files = sockets.any(|address| is_path(address));
        let what = format!(
            "balancer {} was not asked: nobody serves {}, which its files have, so HAProxy does not run or has not read them yet",
            balancer.name,
            path.display()
        );
        let finding = Finding::warning(what, "reload or start HAProxy once this is done");
        (is_in_files && is_missing(path) && !is_served(path)).then_some(finding)
    }
}

fn keeps_states(config: &Config) -> bool {
    config.backends().any(|backend| !backend.settings.load_server_state.is(&LoadServerState::None))
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether a socket was bound to this path, though its file may be gone. HAProxy binds to the path with its pid and `.tmp` after it, and
/// renames that (`uxst_bind_listener()` in its `proto_uxst.c`); the kernel goes by the name of the bind (unix(7), proc(5)).
fn is_served(path: &Path) -> bool {
    let Ok(sockets) = fs::read_to_string("/proc/net/unix") else { return true };
    let path = path.to_string_lossy();
    let mut bound = sockets.lines().filter_map(|line| line.split_once('/')).map(|(_, name)| format!("/{name}"));
    let is_own = |name: &str| {
        name.strip_prefix(&*path)
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('.') && rest.ends_with(".tmp")))
    };
    bound.any(|name| is_own(&name))
}
