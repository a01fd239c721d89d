//! `# pitstop: allow RULE, RULE …`: at the end of a line for that line, on a line of its own for the next that says something.

use std::collections::HashMap;

use super::{Finding, Rule};
use crate::config::Config;
use crate::document::Place;

/// Takes out what comments allow.
pub(super) fn remove_allowed(config: &Config, findings: &mut Vec<Finding>) {
    let allowed = allowed(config);
    let is_allowed =
        |finding: &Finding| allowed.get(&finding.span.place).is_some_and(|rules| rules.contains(&finding.rule));
    findings.retain(|finding| !is_allowed(finding));
}

fn allowed(config: &Config) -> HashMap<Place, Vec<Rule>> {
    let mut allowed: HashMap<Place, Vec<Rule>> = HashMap::new();
    for file in config.document().numbered() {
        let mut next = Vec::new();
        for place in config.document().places(file) {
            let line = config.document().line(place);
            // Most lines have no comment, and none of the others is for us.
            let rules =
                if line.contains(&b'#') { config.comment(place).map(rules).unwrap_or_default() } else { Vec::new() };
            let says_something = line.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'#');
            next.extend(rules);
            if says_something && !next.is_empty() {
                allowed.insert(place, std::mem::take(&mut next));
            }
        }
    }
    allowed
}

fn rules(comment: &[u8]) -> Vec<Rule> {
    let text = String::from_utf8_lossy(comment);
    let Some((_, names)) = text.split_once("pitstop: allow ") else { return Vec::new() };
    let names = names.split([' ', ',', '\t']).filter(|name| !name.is_empty());
    names.map_while(|name| name.parse().ok()).collect()
}
