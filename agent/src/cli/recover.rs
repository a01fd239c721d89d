//! `recover`: finishes or undoes what died, and pays what is owing. The other commands that act do the first for their app.

use std::process::ExitCode;

use super::args::Arguments;
use super::aside::{self, Aside};
use super::check::chosen;
use super::pit_stop::{conclude, display, told_to_stop, who};
use super::{CliError, keep, printer, unconfigured};
use crate::config;
use crate::config::settings::App;
use crate::engine::interrupt::Interrupt;
use crate::engine::recover::Recovery;
use crate::engine::{self, Engine, Report, Request};
use crate::journal::{self, Holder};
use crate::keeper::refused;
use crate::run::Ending;

/// Recovers some apps, or all: what is wrong with one does not keep the others from it. The exit code is 0 when nothing is owing then, and
/// else that of the worst.
pub(super) async fn run(arguments: &Arguments, names: &[String]) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let apps = chosen(&settings, names)?;
    let interrupt = Interrupt::listen(told_to_stop).map_err(|source| CliError::Start { source })?;
    let mut worst = 0;
    for app in apps {
        let code = recover(arguments, app, &interrupt).await.unwrap_or_else(|error| {
            error.print(arguments.output);
            error.exit_code()
        });
        worst = worst.max(code);
        keep::leave_behind(arguments, app).await;
    }
    if names.is_empty() && unconfigured::told(arguments, &settings) {
        worst = worst.max(Ending::Stuck.exit_code());
    }
    Ok(ExitCode::from(worst))
}

/// What is left owing, as an exit code.
async fn recover(arguments: &Arguments, app: &App, interrupt: &Interrupt) -> Result<u8, CliError> {
    let mut recovered = None;
    // First what died; what was owing before that is paid by a run of its own.
    loop {
        if let Some(holder) = holder(arguments, app, interrupt).await {
            say(arguments, app, &format!("nothing to recover: {holder}"), Ending::Held.exit_code());
            return Ok(Ending::Held.exit_code());
        }
        let Some(recovery) = Recovery::of(app, &arguments.state_dir)? else { break };
        let (of, died) = (recovery.of.clone(), recovery.died);
        let mut display = display(arguments);
        let report = perform(arguments, app, recovery, &mut display, interrupt).await?;
        display.finish();
        let ending = report.ending;
        // Somebody came in between; what that leaves is looked at again.
        if ending == Ending::Held && !interrupt.is_asked() {
            continue;
        }
        if ending == Ending::Refused {
            say_refused(arguments, app, &of, &report, interrupt).await?;
        }
        if !arguments.is_json() {
            aside::say_last(move || conclude(&report));
        }
        let first = recovered.replace(ending).is_none();
        if !(died && first) || ending == Ending::Refused || interrupt.is_asked() {
            break;
        }
    }
    holder(arguments, app, interrupt).await;
    let owing = Recovery::of(app, &arguments.state_dir)?.is_some();
    let code = recovered.filter(|_| owing).map_or(0, Ending::exit_code);
    match (recovered, on_lease(arguments, app)?.filter(|_| !owing)) {
        (None, None) => say(arguments, app, "nothing is owing", code),
        (None, Some(lease)) => say(arguments, app, &format!("nothing is owing; {lease}"), code),
        (Some(_), Some(lease)) => say(arguments, app, &lease, code),
        // People have read how the run ended; a program also reads that it was all.
        (Some(_), None) if arguments.is_json() => {
            say(arguments, app, if owing { "something is still owing" } else { "nothing is owing" }, code);
        }
        (Some(_), None) => {}
    }
    Ok(code)
}

/// That nothing is owing does not mean that the app is in.
fn on_lease(arguments: &Arguments, app: &App) -> Result<Option<String>, CliError> {
    let lease = journal::history(&arguments.state_dir, app.name.as_str())?.lease.filter(|lease| !lease.is_over());
    Ok(lease
        .map(|lease| format!("it is out of rotation by {}: `pitstop in {}` puts it in", lease.describe(), app.name)))
}

/// Recovers a run of `app` that died, before another one begins. What remains to be said is returned where the other must not begin.
pub(super) async fn before_a_run(
    arguments: &Arguments,
    app: &App,
    display: &mut Aside,
    interrupt: &Interrupt,
) -> Result<Option<Report>, CliError> {
    if holder(arguments, app, interrupt).await.is_some() {
        return Ok(None);
    }
    // A journal that can't be believed is the preflight's to tell.
    let Some(recovery) = Recovery::of(app, &arguments.state_dir).ok().flatten().filter(|recovery| recovery.died) else {
        return Ok(None);
    };
    let report = perform(arguments, app, recovery, display, interrupt).await?;
    let may_go_on = !interrupt.is_asked()
        && matches!(report.ending, Ending::Done | Ending::Undone | Ending::StaysOut | Ending::PartlyIn);
    Ok((!may_go_on).then_some(report))
}

/// Who holds the app, once no other recovery does.
async fn holder(arguments: &Arguments, app: &App, interrupt: &Interrupt) -> Option<Holder> {
    let is_json = arguments.is_json();
    let tell = |waits: String| {
        if !is_json {
            aside::say_last(move || printer::err(&printer::escape(&waits)));
        }
    };
    engine::holder(&arguments.state_dir, app.name.as_str(), interrupt, tell).await
}

/// At boot nobody reads what a recovery says.
async fn say_refused(
    arguments: &Arguments,
    app: &App,
    of: &str,
    report: &Report,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let why = report.trouble.as_ref().map_or(report.state.as_str(), |trouble| trouble.what.as_str());
    let mut display = display(arguments);
    let mut engine = Engine::new(app, Request::recovery(who(), &arguments.state_dir), &mut display, interrupt.clone())?;
    refused::say_once(&mut engine, &arguments.state_dir, app.name.as_str(), of, why).await;
    drop(engine);
    display.finish();
    Ok(())
}

async fn perform(
    arguments: &Arguments,
    app: &App,
    recovery: Recovery,
    display: &mut Aside,
    interrupt: &Interrupt,
) -> Result<Report, CliError> {
    Ok(Engine::new(app, Request::recovery(who(), &arguments.state_dir), display, interrupt.clone())?
        .recovering(recovery)
        .run()
        .await)
}

fn say(arguments: &Arguments, app: &App, what: &str, exit_code: u8) {
    if arguments.is_json() {
        let event =
            serde_json::json!({"event": "recovered", "app": app.name.as_str(), "what": what, "exit_code": exit_code});
        printer::out(&event.to_string());
    } else {
        printer::out(&format!("{}: {}", app.name, printer::escape(what)));
    }
}
