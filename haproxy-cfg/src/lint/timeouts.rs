//! Rules on what makes a drain endless.

use std::time::Duration;

use super::{Report, Rule};

/// From here on a timeout counts as long.
const LONG: Duration = Duration::from_secs(3600);

pub(super) fn look(report: &mut Report<'_>) {
    let config = report.config;
    let mut is_long = false;
    for proxy in config.proxies() {
        let settings = &proxy.settings;
        for (name, timeout) in [("tunnel", &settings.timeout_tunnel), ("client", &settings.timeout_client)] {
            let Some(Some(time)) = timeout.known() else { continue };
            let Some(place) = timeout.place().filter(|_| *time >= LONG) else { continue };
            is_long = true;
            let what = format!("`timeout {name}` is {} h", time.as_secs() / 3600);
            let fix = "write minutes, and `drain.timeout` in pitstop.toml for those who stay longer";
            report.at(Rule::LongTimeout, place, name, what, fix);
        }
    }
    let section = config.sections().iter().find(|section| section.keyword == "global");
    if let Some(section) = section.filter(|_| is_long && config.global().settings.hard_stop_after.is(&None)) {
        let what = "there is no `hard-stop-after`";
        report.at(
            Rule::NoHardStop,
            section.place,
            "global",
            what,
            "add `hard-stop-after 30m`, or what your clients bear",
        );
    }
}
