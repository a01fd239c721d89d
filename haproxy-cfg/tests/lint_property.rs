//! What holds of every configuration that is linted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use haproxy_cfg::lint::{Context, Finding, Rule, lint};
use haproxy_cfg::{Config, Environment, Place, Source};
use proptest::prelude::*;

fn found(text: &str) -> Vec<Finding> {
    lint(&Config::parse("any", text).unwrap(), &Context::default())
}

/// Lines that give findings, in any order.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        Just("global".to_owned()),
        Just("defaults".to_owned()),
        "backend [ab]",
        "listen [ab]",
        r" server s[0-3] 10\.0\.0\.[1-3]:80( check)?( backup)?( cookie [AB])?( check port [12]000)?( disabled)?",
        " (no )?option (redispatch|persist|httpchk|httpchk GET /)",
        " (mode http|retries 0|cookie C insert|balance source|http-reuse always|timeout tunnel [19]h|timeout client 0)",
        " (stats socket /s level (admin|operator)|server-state-file /f|load-server-state-from-file (global|none))",
        " default-server (check|slowstart 1s|agent-check|on-marked-(down shutdown-sessions|up shutdown-backup-sessions))",
    ];
    prop::collection::vec(line, 0..24).prop_map(|mut lines| {
        lines.insert(0, "global".to_owned());
        lines
    })
}

proptest! {
    #[test]
    fn comments_only_ever_take_findings_away(lines in lines(), allowed in prop::collection::vec((0..24_usize, 0..40_usize), 0..6)) {
        let plain = lines.join("\n");
        let mut commented = lines;
        for (line, rule) in allowed {
            if let (Some(line), Some(rule)) = (commented.get_mut(line), Rule::ALL.get(rule)) && !line.contains('#') {
                line.push_str(&format!(" # pitstop: allow {rule}"));
            }
        }
        let before = found(&plain);
        let after = found(&commented.join("\n"));
        for finding in &after {
            prop_assert!(before.contains(finding), "{finding:?}\n{}", commented.join("\n"));
        }
        for finding in before.iter().filter(|finding| !after.contains(finding)) {
            let line = &commented[finding.span.place.line as usize - 1];
            prop_assert!(line.ends_with(finding.rule.name()), "{line} {finding:?}");
        }
    }

    #[test]
    fn no_bytes_make_a_rule_fail(lines in lines(), bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        let mut text = lines.join("\n").into_bytes();
        let at = at.index(text.len() + 1);
        text.splice(at..at, bytes);
        if let Ok(config) = Config::read(vec![Source::new("any", text)], &Environment::default()) {
            lint(&config, &Context::default());
        }
    }

    #[test]
    fn a_finding_is_at_a_place_that_is_there_and_none_is_said_twice(lines in lines()) {
        let text = lines.join("\n");
        let config = Config::parse("any", &text).unwrap();
        let findings = lint(&config, &Context::default());
        let mut seen = std::collections::HashSet::new();
        for finding in &findings {
            let line = config.document().line(Place { file: 0, line: finding.span.place.line });
            prop_assert!(finding.span.bytes.start < finding.span.bytes.end && finding.span.bytes.end <= line.len());
            prop_assert!(seen.insert((finding.rule, finding.span.place, finding.span.bytes.start)));
        }
    }
}
