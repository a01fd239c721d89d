//! How long HAProxy takes, at worst, to see that a server went down or came up by its checks alone.

use std::time::Duration;

use crate::config::Config;
use crate::document::Place;
use crate::server::Server;

/// The longest times of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorstCase {
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// Its line.
    pub place: Place,
    /// From the moment its check port is closed until it is DOWN: a connect is refused at once, so one `inter`, then `fall` − 1
    /// times `fastinter`.
    pub out: Duration,
    /// From the moment its check port is open until it is UP: one `downinter`, then `rise` − 1 times `fastinter`.
    pub back: Duration,
}

/// Those of every server whose health is checked, of a `server-template` the first, where all that they depend on is known (configuration manual, 5.2: `inter`,
/// `fastinter`, `downinter`, `fall`, `rise`).
pub fn worst_cases(config: &Config) -> Vec<WorstCase> {
    let all = config.backends().flat_map(|backend| {
        let name = backend.name.clone().unwrap_or_default();
        backend.server_lines().filter_map(move |server| worst_case(&name, &server)).collect::<Vec<_>>()
    });
    all.collect()
}

fn worst_case(backend: &str, server: &Server) -> Option<WorstCase> {
    let settings = &server.settings;
    if !settings.check.is(&true) {
        return None;
    }
    let inter = *settings.inter.known()?;
    let fast = settings.fastinter.known()?.unwrap_or(inter);
    let down = settings.downinter.known()?.unwrap_or(inter);
    let after = |times: u32, pause: Duration| pause.saturating_mul(times.saturating_sub(1));
    Some(WorstCase {
        backend: backend.to_owned(),
        server: server.name.clone(),
        place: server.place,
        out: inter.saturating_add(after(*settings.fall.known()?, fast)),
        back: down.saturating_add(after(*settings.rise.known()?, fast)),
    })
}
