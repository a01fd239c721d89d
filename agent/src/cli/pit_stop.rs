//! `restart`, `out` and `in`.

use std::process::ExitCode;
use std::time::Duration;

use super::args::{Arguments, InOptions, LeaseOptions, OutOptions, RunOptions};
use super::aside::{self, Aside};
use super::progress::{Display, JsonLines};
use super::{CliError, keep, printer, receipt, recover};
use crate::config;
use crate::engine::interrupt::Interrupt;
use crate::engine::{Engine, Report, Request, Severity};
use crate::events::Listener;
use crate::run::{Ending, Goal};

/// `restart`.
pub(super) async fn run_restart(arguments: &Arguments, options: &OutOptions) -> Result<ExitCode, CliError> {
    perform(arguments, out_request(arguments, Goal::Restart, options), &options.run).await
}

/// `out`.
pub(super) async fn run_out(arguments: &Arguments, options: &LeaseOptions) -> Result<ExitCode, CliError> {
    let request = Request { lease: options.lease, ..out_request(arguments, Goal::Out, &options.out) };
    perform(arguments, request, &options.out.run).await
}

fn out_request(arguments: &Arguments, goal: Goal, options: &OutOptions) -> Request {
    let &OutOptions { ref run, strict, force } = options;
    Request { strict, force, ..request(arguments, goal, run) }
}

/// `in`.
pub(super) async fn run_in(arguments: &Arguments, options: &InOptions) -> Result<ExitCode, CliError> {
    let request = Request { adopt_rules: options.adopt_rules, ..request(arguments, Goal::In, &options.run) };
    perform(arguments, request, &options.run).await
}

fn request(arguments: &Arguments, goal: Goal, options: &RunOptions) -> Request {
    Request {
        goal,
        who: who(),
        reason: options.reason.clone(),
        strict: false,
        force: false,
        lease: None,
        adopt_rules: false,
        state_dir: arguments.state_dir.clone(),
    }
}

/// Runs, or shows what would be done.
async fn perform(arguments: &Arguments, request: Request, options: &RunOptions) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let app = settings.app(&options.app)?;
    // A dry run has nothing to undo: a signal just ends it.
    let interrupt = if options.dry_run {
        Interrupt::never()
    } else {
        Interrupt::listen(told_to_stop).map_err(|source| CliError::Start { source })?
    };
    let mut display = display(arguments);
    if !options.dry_run
        && let Some(report) = recover::before_a_run(arguments, app, &mut display, &interrupt).await?
    {
        let code = ended(arguments, display, report);
        keep::leave_behind(arguments, app).await;
        return Ok(code);
    }
    let lease = request.lease;
    let engine = Engine::new(app, request, &mut display, interrupt)?;
    if options.dry_run {
        return Ok(dry_run(engine, lease, arguments.is_json()).await);
    }
    let report = engine.run().await;
    let code = ended(arguments, display, report);
    keep::leave_behind(arguments, app).await;
    Ok(code)
}

/// Where the events go.
pub(super) fn display(arguments: &Arguments) -> Aside {
    let json = arguments.is_json();
    Aside::new(move || if json { Box::new(JsonLines) as Box<dyn Listener> } else { Box::new(Display::new()) })
}

fn ended(arguments: &Arguments, display: Aside, report: Report) -> ExitCode {
    display.finish();
    let code = report.ending.exit_code();
    if !arguments.is_json() {
        aside::say_last(move || conclude(&report));
    }
    ExitCode::from(code)
}

pub(super) fn told_to_stop(times: u32) {
    let words = match times {
        1 => "stopping where it is safe: undone before the restart, finished after it (once more: stop at once)",
        _ => "stopping at once",
    };
    aside::say(move || printer::err(words));
}

/// The trouble and its hint on stderr; the state, and what the run cost, on stdout.
pub(super) fn conclude(report: &Report) {
    if let Some(trouble) = &report.trouble {
        let (word, colour) = if report.ending.exit_code() == 0 { ("note", "36") } else { ("error", "31") };
        let word = printer::paint(&std::io::stderr(), colour, word);
        printer::err(&format!("{word}: {}", printer::escape_lines(&trouble.what)));
        for hint in trouble.hint.iter().flat_map(|hint| hint.lines()) {
            printer::err(&format!("hint: {}", printer::escape(hint)));
        }
    }
    printer::out(&format!("state: {}", printer::escape(&report.state)));
    // Where nothing was done there is nothing to account for.
    if !matches!(report.ending, Ending::Refused | Ending::Held) {
        for line in receipt::lines(&report.receipt) {
            printer::out(&line);
        }
    }
}

/// Looks, prints the exact acts of every step, and touches nothing.
async fn dry_run(mut engine: Engine<'_>, lease: Option<Duration>, json: bool) -> ExitCode {
    let findings = engine.inspect().await;
    let plan = engine.plan();
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let code = if refused { 3 } else { 0 };
    if json {
        let lease = lease.map(|time| time.as_secs());
        let line = serde_json::json!({
            "event": "dry_run", "findings": findings, "plan": plan, "lease_seconds": lease, "exit_code": code
        });
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
        if let Some(time) = lease.filter(|_| !refused) {
            let time = humantime::format_duration(time);
            printer::out(&format!("for {time}; then a keeper proves the app and puts it back"));
        }
    }
    ExitCode::from(code)
}

/// Who calls: the user, and from where where that is known.
pub(super) fn who() -> String {
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
