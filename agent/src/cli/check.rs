//! `check`: the configuration and the live system, nothing touched.

use std::process::ExitCode;

use super::args::Arguments;
use super::{CliError, printer};
use crate::config::settings::App;
use crate::config::{self, Settings, UnknownApp};
use crate::engine::interrupt::Interrupt;
use crate::engine::{Engine, Finding, Request, Severity};
use crate::events::{Event, Listener};
use crate::run::Goal;

/// Nobody listens to a check.
struct Silence;

impl Listener for Silence {
    fn hear(&mut self, _: &Event) {}
}

/// Checks some apps, or all; exit code 3 if a restart of one would be refused.
pub(super) async fn run(arguments: &Arguments, names: &[String]) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let mut refused = false;
    for app in chosen(&settings, names)? {
        let findings = inspect(app, arguments).await?;
        refused |= findings.iter().any(|finding| finding.severity == Severity::Error);
        if arguments.is_json() {
            let line = serde_json::json!({"event": "check", "app": app.name.as_str(), "findings": findings});
            printer::out(&line.to_string());
        } else {
            printer::out(&format!("{}:", app.name));
            print(&findings, true);
        }
    }
    let code = if refused { 3 } else { 0 };
    if arguments.is_json() {
        printer::out(&serde_json::json!({"event": "checked", "exit_code": code}).to_string());
    }
    Ok(ExitCode::from(code))
}

/// The apps of these names, or all.
pub(super) fn chosen<'s>(settings: &'s Settings, names: &[String]) -> Result<Vec<&'s App>, UnknownApp> {
    if names.is_empty() {
        Ok(settings.apps.values().collect())
    } else {
        names.iter().map(|name| settings.app(name)).collect()
    }
}

async fn inspect(app: &App, arguments: &Arguments) -> Result<Vec<Finding>, CliError> {
    let request = Request {
        goal: Goal::Restart,
        who: String::new(),
        reason: None,
        strict: false,
        force: false,
        lease: None,
        adopt_rules: false,
        state_dir: arguments.state_dir.clone(),
    };
    let interrupt = Interrupt::never();
    Ok(Engine::new(app, request, &mut Silence, interrupt)?.check().await)
}

/// Findings as lines; the good ones only where asked for.
pub(super) fn print(findings: &[Finding], good_too: bool) {
    for finding in findings.iter().filter(|finding| good_too || finding.severity > Severity::Good) {
        let (word, colour) = match finding.severity {
            Severity::Good => ("ok", "32"),
            Severity::Note => ("note", "36"),
            Severity::Warning => ("warning", "33"),
            Severity::Error => ("error", "31"),
        };
        let what = printer::escape(&finding.what);
        printer::out(&format!("  {}: {what}", printer::paint(&std::io::stdout(), colour, word)));
        if let Some(hint) = finding.hint.as_deref().filter(|hint| !hint.is_empty()) {
            printer::out(&format!("    hint: {}", printer::escape(hint)));
        }
    }
}
