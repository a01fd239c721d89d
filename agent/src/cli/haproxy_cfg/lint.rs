//! `haproxy-cfg lint`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use haproxy_cfg::lint::worst_case::{WorstCase, worst_cases};
use haproxy_cfg::lint::{Context, Finding, Severity, lint};
use haproxy_cfg::{Config, Environment, Span};

use super::snippet::snippet;
use crate::cli::CliError;
use crate::cli::args::{Arguments, LintOptions};
use crate::cli::printer::{self, escape};
use crate::haproxy::read_files;

/// Prints what the rules find; exit code 1 where something is as bad as was asked for.
pub(super) fn run(arguments: &Arguments, options: &LintOptions) -> Result<ExitCode, CliError> {
    let sources = read_files(&options.files)?;
    let environment = Environment { variables: variables(options), ..Environment::default() };
    let config = Config::read(sources, &environment)?;
    let findings = lint(&config, &Context::default());
    let worst = findings.iter().map(|finding| finding.severity).max();
    let fails = worst.is_some_and(|worst| worst >= options.fail_on.into());
    let code = u8::from(fails);
    if arguments.is_json() {
        for finding in &findings {
            printer::out(&json(&config, finding).to_string());
        }
        for case in worst_cases(&config) {
            printer::out(&json_case(&config, &case).to_string());
        }
        let line = serde_json::json!({"event": "linted", "findings": findings.len(), "exit_code": code});
        printer::out(&line.to_string());
    } else {
        findings.iter().for_each(|finding| print(&config, finding));
        if options.times {
            print_times(&worst_cases(&config));
        }
        printer::out(&summary(&findings));
    }
    Ok(ExitCode::from(code))
}

fn variables(options: &LintOptions) -> Option<BTreeMap<String, String>> {
    (!options.set.is_empty()).then(|| options.set.iter().cloned().collect())
}

fn print(config: &Config, finding: &Finding) {
    let colour = match finding.severity {
        Severity::Note => "36",
        Severity::Warning => "33",
        Severity::Error => "31",
    };
    let word = printer::paint(&std::io::stdout(), colour, finding.severity.name());
    printer::out(&format!("{word}[{}]: {}", finding.rule, escape(&finding.what)));
    let print_snippet = |span: &Span| snippet(config.document(), span).iter().for_each(|line| printer::out(line));
    print_snippet(&finding.span);
    if let Some(see) = &finding.see {
        print_snippet(see);
    }
    printer::out(&format!("  why: {}", finding.rule.why()));
    printer::out(&format!("  fix: {}\n", escape(&finding.fix)));
}

fn print_times(cases: &[WorstCase]) {
    for case in cases {
        let name = escape(&format!("{}/{}", case.backend, case.server));
        printer::out(&format!("{name}: by its checks alone out within {:?}, in within {:?}", case.out, case.back));
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    match [Severity::Error, Severity::Warning, Severity::Note].map(count) {
        [0, 0, 0] => "nothing found that would make a restart drop requests".to_owned(),
        [errors, warnings, notes] => format!("{errors} errors, {warnings} warnings, {notes} notes"),
    }
}

fn json(config: &Config, finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "event": "finding",
        "rule": finding.rule.name(),
        "severity": finding.severity.name(),
        "at": at(config, &finding.span),
        "see": finding.see.as_ref().map(|span| at(config, span)),
        "what": finding.what,
        "why": finding.rule.why(),
        "fix": finding.fix,
    })
}

/// Columns count characters from 1; the end is behind the last.
fn at(config: &Config, span: &Span) -> serde_json::Value {
    let document = config.document();
    let line = document.line(span.place);
    let column = |byte: usize| String::from_utf8_lossy(line.get(..byte).unwrap_or(line)).chars().count() + 1;
    let file = document.file(span.place.file).map(haproxy_cfg::File::name);
    serde_json::json!({
        "file": file, "line": span.place.line, "column": column(span.bytes.start), "end": column(span.bytes.end)
    })
}

fn json_case(config: &Config, case: &WorstCase) -> serde_json::Value {
    serde_json::json!({
        "event": "worst_case",
        "server": format!("{}/{}", case.backend, case.server),
        "at": config.document().describe(case.place),
        "out_ms": case.out.as_millis() as u64,
        "in_ms": case.back.as_millis() as u64,
    })
}
