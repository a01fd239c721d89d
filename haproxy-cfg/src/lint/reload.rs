//! Rules on what a reload forgets, or brings back.

use super::{Backend, Report, Rule};
use crate::proxy_settings::LoadServerState;

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    let config = report.config;
    let global = &config.global().settings;
    let states = || backends.iter().map(|backend| &backend.proxy.settings.load_server_state);
    let section = config.sections().iter().find(|section| section.keyword == "global");
    if let Some(section) =
        section.filter(|_| !backends.is_empty() && states().all(|state| state.is(&LoadServerState::None)))
    {
        let what = "states of servers do not outlive a reload";
        let fix = "nothing has to be done where pitstop alone takes servers out: it does so again after a reload";
        report.at(Rule::StateForgotten, section.place, "global", what, fix);
    }
    for backend in backends {
        let state = &backend.proxy.settings.load_server_state;
        let is_from_file = state.is(&LoadServerState::Global) || state.is(&LoadServerState::Local);
        let Some(place) = state.place().filter(|_| is_from_file) else { continue };
        let word = "load-server-state-from-file";
        let named =
            if state.is(&LoadServerState::Global) { &global.server_state_file } else { &global.server_state_base };
        // A proxy may name its own file; HAProxy then takes its name for one.
        if state.is(&LoadServerState::Global) && named.is(&None) {
            let what = "states are loaded from a file, and there is no `server-state-file`";
            report.at(Rule::StateFile, place, word, what, "add `server-state-file /var/lib/haproxy/state` to `global`");
        } else {
            let what = "states are loaded from a file at every start and reload";
            let fix = "let whatever reloads HAProxy write the file right before (`show servers state`), and never keep it longer";
            report.at(Rule::StateStale, place, word, what, fix);
        }
    }
}
