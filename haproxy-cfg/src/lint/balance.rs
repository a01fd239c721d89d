//! Rules on where requests go: once more to another server, by fixed weights, on connections that are used again.

use super::{Backend, Report, Rule, Severity};
use crate::proxy_settings::{HttpReuse, Mode};

/// With a single server there is no other to go to.
pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    for backend in backends {
        if backend.is_balanced {
            redispatch(report, backend);
            fixed_weights(report, backend);
        }
        reuse(report, backend);
    }
}

fn redispatch(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    let place = backend.proxy.place;
    if settings.retries.is(&0) {
        let what = format!("{} has `retries 0`", backend.name());
        report.setting(Rule::NoRedispatch, &settings.retries, place, "retries", what, "write `retries 3`");
    }
    if settings.redispatch.is(&false) {
        let what = format!("{} is without `option redispatch`", backend.name());
        let word = if settings.redispatch.place().is_some() { "redispatch" } else { backend.name() };
        report.setting(
            Rule::NoRedispatch,
            &settings.redispatch,
            place,
            word,
            what,
            "add `option redispatch`, here or in `defaults`",
        );
    }
}

fn fixed_weights(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    if settings.has_fixed_weights() != Some(true) {
        return;
    }
    let algorithm = settings.balance.known().cloned().flatten().unwrap_or_default();
    let is_ramped = report.context.ramps.iter().any(|(name, _)| name == backend.name());
    let place = settings.balance.place().unwrap_or(backend.proxy.place);
    let severity = if is_ramped { Severity::Error } else { Rule::FixedWeights.severity() };
    let span = report.find(place, &algorithm);
    let what = format!("{}: weights are fixed with `balance {algorithm}`", backend.name());
    let fix = match algorithm.as_str() {
        "static-rr" => "write `balance roundrobin`",
        _ if settings.hash_type.place().is_some() => "write `hash-type consistent` instead of `hash-type map-based`",
        _ => "add `hash-type consistent`",
    };
    report.with(Rule::FixedWeights, severity, span, what, fix);
}

fn reuse(report: &mut Report<'_>, backend: &Backend<'_>) {
    let settings = &backend.proxy.settings;
    let is_always = settings.http_reuse.is(&HttpReuse::Always);
    if is_always && settings.mode.is(&Mode::Http) && !backend.servers.is_empty() {
        let what = format!("{}: `http-reuse always`", backend.name());
        let fix = "write `http-reuse safe`, or let the app keep idle connections for a minute or more";
        report.setting(Rule::ReuseAlways, &settings.http_reuse, backend.proxy.place, "http-reuse", what, fix);
    }
}
