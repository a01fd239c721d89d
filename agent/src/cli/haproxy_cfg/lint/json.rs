//! What was found, as one JSON object for each line.

use haproxy_cfg::lint::Finding;
use haproxy_cfg::lint::worst_case::WorstCase;
use haproxy_cfg::{Config, File, ParseError, Span};
use serde_json::{Value, json};

use super::super::snippet::column;
use super::Linted;

pub(super) fn lines(linted: &Linted, code: u8) -> String {
    let config = &linted.config;
    let (servers, backends) = linted.size();
    let last = json!({
        "event": "linted",
        "findings": linted.findings.len(),
        "backends": backends,
        "servers": servers,
        "exit_code": code,
    });
    let findings = linted.findings.iter().map(|one| finding(config, one));
    let times = linted.times.iter().map(|case| worst_case(config, case));
    findings.chain(times).chain([last]).map(|line| format!("{line}\n")).collect()
}

/// As other errors, with the place.
pub(super) fn error(error: &ParseError) -> Value {
    json!({
        "event": "error",
        "what": format!("HAProxy could not read this: {error}"),
        "at": {"file": error.file, "line": error.line, "column": error.column},
        "hint": super::text::hint(error),
        "exit_code": 2,
    })
}

fn finding(config: &Config, finding: &Finding) -> Value {
    json!({
        "event": "finding",
        "rule": finding.rule.name(),
        "severity": finding.severity.name(),
        "at": at(config, &finding.span),
        "see": finding.see.as_ref().map(|span| at(config, span)),
        "servers": finding.servers.iter().map(|(backend, server)| format!("{backend}/{server}")).collect::<Vec<_>>(),
        "what": finding.what,
        "why": finding.rule.why(),
        "fix": finding.fix,
    })
}

/// Columns count characters from 1; the end is behind the last.
fn at(config: &Config, span: &Span) -> Value {
    let document = config.document();
    let line = document.line(span.place);
    let [column, end] = [span.bytes.start, span.bytes.end].map(|byte| column(line, byte));
    let file = document.file(span.place.file).map(File::name);
    json!({"file": file, "line": span.place.line, "column": column, "end": end})
}

fn worst_case(config: &Config, case: &WorstCase) -> Value {
    let file = config.document().file(case.place.file).map(File::name);
    json!({
        "event": "worst_case",
        "server": format!("{}/{}", case.backend, case.server),
        "at": {"file": file, "line": case.place.line},
        "out_ms": milliseconds(case.out),
        "in_ms": milliseconds(case.back),
    })
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
