//! Rules on what makes a drain endless.

use std::time::Duration;

use super::{Backend, Report, Rule, Severity, time};
use crate::effective::Effective;
use crate::proxy::{Proxy, ProxyKind};
use crate::proxy_settings::Mode;

/// From here on a timeout counts as long.
const LONG: Duration = Duration::from_secs(3600);

const FIX: &str = "write what your clients bear, in seconds or minutes";

pub(super) fn look(report: &mut Report<'_>, backends: &[Backend<'_>]) {
    let config = report.config;
    let before = report.findings.len();
    let is_frontend = |proxy: &&Proxy| proxy.kind == ProxyKind::Frontend && !proxy.settings.disabled.is(&true);
    for proxy in config.proxies().iter().filter(is_frontend) {
        silence(report, proxy, "client", &proxy.settings.timeout_client);
    }
    for backend in backends.iter().filter(|backend| !backend.servers.is_empty()) {
        let (proxy, settings) = (backend.proxy, &backend.proxy.settings);
        if proxy.kind == ProxyKind::Listen {
            silence(report, proxy, "client", &settings.timeout_client);
        }
        // In mode tcp a silent client ends a connection as well; a request whose client waits is ended by this alone.
        if settings.mode.is(&Mode::Http) {
            silence(report, proxy, "server", &settings.timeout_server);
        }
        tunnel(report, &settings.timeout_tunnel);
    }
    let has_long = report.findings.len() > before;
    if let Some(section) = report.global().filter(|_| has_long && config.global().settings.hard_stop_after.is(&None)) {
        let fix = "add `hard-stop-after 30m`, or what your clients bear";
        report.at(Rule::NoHardStop, section.place, "global", "there is no `hard-stop-after`", fix);
    }
}

/// For how long one side may say nothing: 0, or no such line, is for ever.
fn silence(report: &mut Report<'_>, proxy: &Proxy, side: &str, timeout: &Effective<Option<Duration>>) {
    let name = proxy.name.as_deref().unwrap_or_default();
    match (timeout.known(), timeout.place()) {
        (Some(None), _) if report.global().is_some() => {
            let what = format!("{name} has no `timeout {side}`");
            report.at(Rule::LongTimeout, proxy.place, name, what, format!("add `timeout {side} 60s`"));
        }
        (Some(Some(Duration::ZERO)), Some(place)) => {
            report.at(Rule::LongTimeout, place, side, format!("`timeout {side}` 0 is no limit at all"), FIX);
        }
        (Some(Some(long)), Some(place)) if *long >= LONG => {
            report.at(Rule::LongTimeout, place, side, format!("`timeout {side}` is {}", time(*long)), FIX);
        }
        _ => {}
    }
}

/// Tunnels are meant to be long, and many have signs of life of their own.
fn tunnel(report: &mut Report<'_>, timeout: &Effective<Option<Duration>>) {
    if let (Some(Some(long)), Some(place)) = (timeout.known(), timeout.place())
        && *long >= LONG
    {
        let what = format!("`timeout tunnel` is {}", time(*long));
        let fix = "write minutes where tunnels have signs of life of their own; `drain.timeout` in pitstop.toml is for those who stay";
        report.with(Rule::LongTimeout, Severity::Note, report.find(place, "tunnel"), what, fix);
    }
}
