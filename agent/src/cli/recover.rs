//! `recover`: finishes or undoes what died, and pays what is owing. The other commands that act do the first for their app.

use std::process::ExitCode;
use std::time::Duration;

use super::args::Arguments;
use super::aside::{self, Aside};
use super::check::chosen;
use super::pit_stop::{conclude, display, told_to_stop, who};
use super::{CliError, keep, printer};
use crate::config;
use crate::config::settings::App;
use crate::engine::interrupt::Interrupt;
use crate::engine::recover::Recovery;
use crate::engine::{Engine, Report, Request};
use crate::journal::{self, Claim, Holder};
use crate::run::{Ending, Goal};

/// How often it is looked whether another recovery is over.
const PAUSE: Duration = Duration::from_millis(50);

/// Recovers some apps, or all. The exit code is 0 when nothing is owing then, and else that of the worst.
pub(super) async fn run(arguments: &Arguments, names: &[String]) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let apps = chosen(&settings, names)?;
    let interrupt = Interrupt::listen(told_to_stop).map_err(|source| CliError::Start { source })?;
    let mut worst = 0;
    for app in apps {
        worst = worst.max(recover(arguments, app, &interrupt).await?);
        keep::leave_behind(arguments, app).await;
    }
    Ok(ExitCode::from(worst))
}

/// What is left owing, as an exit code.
async fn recover(arguments: &Arguments, app: &App, interrupt: &Interrupt) -> Result<u8, CliError> {
    let mut recovered = None;
    // First what died; what was owing before that is paid by a run of its own.
    loop {
        if let Some(holder) = await_recovery(arguments, app, interrupt).await {
            say(arguments, app, &format!("nothing to recover: {holder}"), Ending::Held);
            return Ok(Ending::Held.exit_code());
        }
        let Some(recovery) = Recovery::of(app, &arguments.state_dir)? else { break };
        let died = recovery.died;
        let mut display = display(arguments);
        let report = perform(arguments, app, recovery, &mut display, interrupt).await?;
        display.finish();
        let ending = report.ending;
        // Somebody came in between; what that leaves is looked at again.
        if ending == Ending::Held && !interrupt.is_asked() {
            continue;
        }
        if !arguments.is_json() {
            aside::say_last(move || conclude(&report));
        }
        let first = recovered.replace(ending).is_none();
        if !(died && first) || interrupt.is_asked() {
            break;
        }
    }
    let owing = Recovery::of(app, &arguments.state_dir)?.is_some();
    match (recovered, on_lease(arguments, app)?.filter(|_| !owing)) {
        (None, None) => say(arguments, app, "nothing is owing", Ending::Done),
        (None, Some(lease)) => say(arguments, app, &format!("nothing is owing; {lease}"), Ending::Done),
        (Some(_), Some(lease)) => say(arguments, app, &lease, Ending::Done),
        (Some(_), None) => {}
    }
    Ok(recovered.filter(|_| owing).map_or(0, Ending::exit_code))
}

/// That nothing is owing does not mean that the app is in.
fn on_lease(arguments: &Arguments, app: &App) -> Result<Option<String>, CliError> {
    let lease = journal::history(&arguments.state_dir, app.name.as_str())?.lease.filter(|lease| !lease.is_over());
    Ok(lease
        .map(|lease| format!("it is out of rotation by {}: `pitstop in {}` puts it in", lease.describe(), app.name)))
}

/// Waits for another recovery of `app`, such as its keeper's, which wants the same. Returns who else holds the app.
async fn await_recovery(arguments: &Arguments, app: &App, interrupt: &Interrupt) -> Option<Holder> {
    let holder = || Claim::holder(&arguments.state_dir, app.name.as_str());
    let mut told = false;
    while let Some(other) = holder() {
        if other.goal != Goal::Recover || interrupt.is_asked() {
            return Some(other);
        }
        if !std::mem::replace(&mut told, true) && !arguments.is_json() {
            let other = printer::escape(&other.to_string());
            aside::say_last(move || printer::err(&format!("waits for the recovery that is under way: {other}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// Recovers a run of `app` that died, before another one begins. What remains to be said is returned where the other must not begin.
pub(super) async fn before_a_run(
    arguments: &Arguments,
    app: &App,
    display: &mut Aside,
    interrupt: &Interrupt,
) -> Result<Option<Report>, CliError> {
    if Claim::holder(&arguments.state_dir, app.name.as_str()).is_some() {
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

async fn perform(
    arguments: &Arguments,
    app: &App,
    recovery: Recovery,
    display: &mut Aside,
    interrupt: &Interrupt,
) -> Result<Report, CliError> {
    let request = Request {
        goal: Goal::Recover,
        who: who(),
        reason: None,
        strict: false,
        force: false,
        lease: None,
        adopt_rules: false,
        state_dir: arguments.state_dir.clone(),
    };
    Ok(Engine::new(app, request, display, interrupt.clone())?.recovering(recovery).run().await)
}

fn say(arguments: &Arguments, app: &App, what: &str, ending: Ending) {
    if arguments.is_json() {
        let event = serde_json::json!({"event": "recovered", "app": app.name.as_str(), "what": what, "exit_code": ending.exit_code()});
        printer::out(&event.to_string());
    } else {
        printer::out(&format!("{}: {}", app.name, printer::escape(what)));
    }
}
