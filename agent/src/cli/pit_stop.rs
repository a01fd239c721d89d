//! `restart`, `out` and `in`.

use std::process::ExitCode;

use super::args::{Arguments, RunOptions};
use super::progress::{Display, JsonLines};
use super::{CliError, printer, receipt};
use crate::config;
use crate::engine::interrupt::Interrupt;
use crate::engine::{Engine, Report, Request, Severity};
use crate::events::Listener;
use crate::run::Goal;

/// Runs one of the three, or shows what it would do.
pub(super) async fn run(arguments: &Arguments, goal: Goal, options: &RunOptions) -> Result<ExitCode, CliError> {
    if options.adopt_rules && goal != Goal::In {
        return Err(CliError::Usage("--adopt-rules goes with `pitstop in`".to_owned()));
    }
    let settings = config::load(&arguments.config)?;
    let app = settings.app(&options.app)?;
    let request = Request {
        goal,
        who: who(),
        reason: options.reason.clone(),
        strict: options.strict,
        force: options.force,
        adopt_rules: options.adopt_rules,
        state_dir: arguments.state_dir.clone(),
    };
    let interrupt = Interrupt::listen(told_to_stop).map_err(|source| CliError::Start { source })?;
    let mut display: Box<dyn Listener + Send> =
        if arguments.is_json() { Box::new(JsonLines) } else { Box::new(Display::new()) };
    let engine = Engine::new(app, request, display.as_mut(), interrupt)?;
    if options.dry_run {
        return Ok(dry_run(engine, arguments.is_json()).await);
    }
    let report = engine.run().await;
    drop(display);
    if !arguments.is_json() {
        conclude(&report);
    }
    Ok(ExitCode::from(report.ending.exit_code()))
}

fn told_to_stop(times: u32) {
    printer::err(match times {
        1 => "stopping where it is safe: undone before the restart, finished after it (once more: stop at once)",
        _ => "stopping at once",
    });
}

fn conclude(report: &Report) {
    if let Some(trouble) = &report.trouble {
        let word = if report.ending.exit_code() == 0 { "note" } else { "error" };
        printer::err(&format!("{word}: {}", printer::escape_lines(&trouble.what)));
        if let Some(hint) = &trouble.hint {
            printer::err(&format!("hint: {}", printer::escape_lines(hint)));
        }
    }
    printer::out(&format!("state: {}", printer::escape(&report.state)));
    for line in receipt::lines(&report.receipt) {
        printer::out(&line);
    }
}

/// Looks, prints the exact acts of every step, and touches nothing.
async fn dry_run(mut engine: Engine<'_>, json: bool) -> ExitCode {
    let findings = engine.inspect().await;
    let plan = engine.plan();
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    if json {
        let line = serde_json::json!({"event": "dry_run", "findings": findings, "plan": plan});
        printer::out(&line.to_string());
    } else {
        super::check::print(&findings, false);
        if refused {
            printer::out("refused: nothing would be done");
        }
        for step in plan.iter().filter(|_| !refused) {
            printer::out(&step.step.to_string());
            for act in &step.acts {
                printer::out(&format!("  {}: {}", act.on, printer::escape(&act.what)));
            }
        }
    }
    ExitCode::from(if refused { 3 } else { 0 })
}

/// Who calls: the user, and from where where that is known.
fn who() -> String {
    let uid = nix::unistd::getuid();
    let user = match std::env::var("SUDO_USER") {
        Ok(user) if uid.is_root() => format!("{user} (sudo)"),
        _ => nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name),
    };
    match std::env::var("SSH_CONNECTION").ok().as_deref().and_then(|from| from.split(' ').next()) {
        Some(from) => format!("{} from {}", printer::escape(&user), printer::escape(from)),
        None => printer::escape(&user),
    }
}
