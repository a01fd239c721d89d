//! Rules on what a reload forgets, or brings back.

use super::{Backend, Report, Rule};
use crate::effective::Effective;
use crate::proxy_settings::LoadServerState;

const KEYWORD: &str = "load-server-state-from-file";

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    let backends: Vec<_> = backends.iter().filter(|backend| !backend.servers.is_empty()).collect();
    forgotten(report, &backends);
    for backend in backends {
        let state = &backend.proxy.settings.load_server_state;
        let Some(place) = state.place() else { continue };
        // Of a proxy with a file of its own HAProxy takes the name for that of the file.
        let is_named = !report.config.global().settings.server_state_file.is(&None);
        if state.is(&LoadServerState::Global) && !is_named && report.global().is_some() {
            let what = "states are loaded from a file, and there is no `server-state-file`";
            report.at(
                Rule::StateFile,
                place,
                KEYWORD,
                what,
                "add `server-state-file /var/lib/haproxy/state` to `global`",
            );
        } else if is_loaded(state) {
            let what = "states are loaded from a file at every start and reload";
            let fix =
                "let whatever reloads HAProxy write the file right before (`show servers state`), and remove it after";
            report.at(Rule::StateStale, place, KEYWORD, what, fix);
        }
    }
}

/// Where nothing at all is kept, that is how HAProxy is; where a part is, the rest is easily taken for kept.
fn forgotten(report: &mut Report<'_>, backends: &[&Backend<'_>]) {
    let settings = &report.config.global().settings;
    let state = |backend: &Backend<'_>| backend.proxy.settings.load_server_state;
    let is_left_out =
        |backend: &Backend<'_>| state(backend).is(&LoadServerState::None) && state(backend).place().is_none();
    let fix = format!("add `{KEYWORD} global` to `defaults`, or write `{KEYWORD} none` where nothing is to be kept");
    if backends.iter().any(|backend| is_loaded(&state(backend))) {
        for backend in backends.iter().filter(|backend| is_left_out(backend)) {
            let what = format!("states of {} are not loaded, while those of other backends are", backend.name());
            report.at(Rule::StateForgotten, backend.proxy.place, backend.name(), what, fix.as_str());
        }
    } else if !backends.is_empty() && backends.iter().all(|backend| is_left_out(backend)) {
        for (keyword, named) in
            [("server-state-file", &settings.server_state_file), ("server-state-base", &settings.server_state_base)]
        {
            if let (Some(Some(_)), Some(place)) = (named.known(), named.place()) {
                let what = format!("`{keyword}` names where states are, and no backend loads them");
                report.at(Rule::StateForgotten, place, keyword, what, fix.as_str());
            }
        }
    }
}

fn is_loaded(state: &Effective<LoadServerState>) -> bool {
    state.is(&LoadServerState::Global) || state.is(&LoadServerState::Local)
}
