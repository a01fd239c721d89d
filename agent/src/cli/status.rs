//! `status`: where every app stands now.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::args::Arguments;
use super::check::chosen;
use super::{CliError, printer, unconfigured};
use crate::config;
use crate::config::settings::App;
use crate::engine::fault;
use crate::haproxy::StatRow;
use crate::journal::{self, Claim, History, JournalError, Lease};
use crate::keeper::duty::Duty;
use crate::keeper::seat::Seat;
use crate::rotation::admin::Admin;
use crate::rotation::ports::Ports;
use crate::rotation::{Rotation, Standing};
use crate::run::Ending;
use crate::service::{self, Identity};

#[derive(Serialize)]
struct AppStatus {
    event: &'static str,
    app: String,
    balancers: Vec<BalancerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<String>,
    process: Option<Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_error: Option<String>,
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseStatus>,
    /// What runs left owing.
    #[serde(skip_serializing_if = "Option::is_none")]
    owing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper: Option<KeeperStatus>,
    /// Whether it needs a person.
    stuck: bool,
    /// Whether a run died and was not recovered since.
    interrupted: bool,
}

#[derive(Serialize)]
struct LeaseStatus {
    #[serde(flatten)]
    lease: Lease,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
}

/// Whether a keeper is at work where one is needed.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum KeeperStatus {
    Alive,
    Missing,
}

#[derive(Serialize)]
struct BalancerStatus {
    balancer: String,
    standing: String,
    servers: Vec<ServerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Serialize)]
struct ServerStatus {
    server: String,
    status: String,
    sessions: u64,
    queued: u64,
    weight: Option<u32>,
}

/// Shows some apps, or all; exit code 7 while one needs a person, be it to type `recover`.
pub(super) async fn run(arguments: &Arguments, names: &[String]) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let mut stuck = false;
    for app in chosen(&settings, names)? {
        let status = look(app, arguments).await;
        stuck |= status.stuck || status.interrupted;
        if arguments.is_json() {
            printer::out(&serde_json::json!(status).to_string());
        } else {
            print(&status);
        }
    }
    stuck |= names.is_empty() && unconfigured::told(arguments, &settings);
    Ok(if stuck { ExitCode::from(Ending::Stuck.exit_code()) } else { ExitCode::SUCCESS })
}

async fn look(app: &App, arguments: &Arguments) -> AppStatus {
    let mut balancers = Vec::new();
    for balancer in &app.balancers {
        balancers.push(match Admin::new(app, balancer) {
            Some(admin) => look_at(admin).await,
            None => BalancerStatus {
                balancer: balancer.name.to_string(),
                standing: "unknown: no socket is configured".to_owned(),
                servers: Vec::new(),
                error: None,
                hint: None,
            },
        });
    }
    let redirect = match Ports::new(app) {
        Some(mut ports) => Some(match ports.standing().await {
            Ok(standing) => standing.to_string(),
            Err(error) => format!("unknown: {error}"),
        }),
        None => None,
    };
    let logs = journal::app_dir(&arguments.state_dir, app.name.as_str());
    let (process, process_error) = match service::service_for(app, &logs, "").identity().await {
        Ok(identity) => (identity, None),
        Err(error) => (None, Some(fault::chain(&error))),
    };
    let name = app.name.as_str();
    // A run may begin or end while its journal is read, and is not taken for one that died.
    let held = || Claim::is_held(&arguments.state_dir, name);
    let held_before = held();
    let history = journal::history(&arguments.state_dir, name);
    let is_held = held_before || held();
    let (run, history, damaged) = match history {
        Ok(history) => (run_of(name, &history, &arguments.state_dir, is_held), history, false),
        // A journal that can't be believed is a matter for a person.
        Err(error) => {
            let damaged = matches!(error, JournalError::Damaged { .. });
            (Some(format!("unknown: {}", fault::chain(&error))), History::default(), damaged)
        }
    };
    // It has run out when nothing is left, not in its last second.
    let seconds = |left: Duration| left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let lease = history.lease.clone().map(|lease| LeaseStatus { seconds_left: lease.left().map(seconds), lease });
    // A run that goes on just now is no debt.
    let interrupted = !is_held && history.interrupted().is_some();
    let ended = !is_held && !interrupted;
    let owing = if ended { owing(name, &history, &balancers) } else { None };
    let is_stuck = ended && history.debt.as_ref().is_some_and(|debt| debt.ending == Ending::Stuck);
    let keeper = match Duty::of(&history) {
        Duty::Nothing => None,
        _ if Seat::is_taken(&arguments.state_dir, name) => Some(KeeperStatus::Alive),
        Duty::KeepOut { .. } | Duty::Pay(_) if ended => Some(KeeperStatus::Missing),
        _ => None,
    };
    AppStatus {
        event: "status",
        app: app.name.to_string(),
        balancers,
        redirect,
        process,
        process_error,
        run,
        lease,
        owing,
        keeper,
        stuck: is_stuck || damaged,
        interrupted,
    }
}

/// What runs left owing, and how it is paid.
fn owing(app: &str, history: &History, balancers: &[BalancerStatus]) -> Option<String> {
    let debt = history.debt.as_ref()?;
    let pay = format!("`pitstop recover {app}`");
    Some(match debt.ending {
        Ending::PartlyIn => {
            let missing = |status: &&BalancerStatus| status.standing != Standing::In.to_string();
            let missing: Vec<_> = balancers.iter().filter(missing).map(|status| status.balancer.as_str()).collect();
            let place = if missing.is_empty() { "every balancer".to_owned() } else { missing.join(", ") };
            format!("it is NOT back on {place}, since {}: {pay} tries again", debt.run)
        }
        Ending::Stuck => format!("it is STUCK since {} and needs a person: {pay} once that is mended", debt.run),
        _ => format!(
            "it stays OUT until it is proven healthy, since {}: {pay} or `pitstop in {app}` proves it",
            debt.run
        ),
    })
}

async fn look_at(mut admin: Admin) -> BalancerStatus {
    let balancer = admin.name().to_owned();
    let looked = match admin.standing().await {
        Ok(standing) => admin.poll().await.map(|poll| (standing, poll)),
        Err(error) => Err(error),
    };
    match looked {
        Ok((standing, poll)) => BalancerStatus {
            balancer,
            standing: standing.to_string(),
            servers: poll.rows.iter().map(server).collect(),
            error: None,
            hint: None,
        },
        Err(error) => BalancerStatus {
            balancer,
            standing: "unknown".to_owned(),
            servers: Vec::new(),
            hint: error.hint(),
            error: Some(fault::chain(&error)),
        },
    }
}

fn server(row: &StatRow) -> ServerStatus {
    ServerStatus {
        server: format!("{}/{}", row.proxy, row.server),
        status: row.status.to_string(),
        sessions: row.scur,
        queued: row.qcur,
        weight: row.weight,
    }
}

/// What runs now, what died and was not recovered since, or how the last run ended.
fn run_of(name: &str, history: &History, state_dir: &Path, is_held: bool) -> Option<String> {
    if is_held {
        let holder = Claim::holder(state_dir, name);
        return Some(holder.map_or_else(|| "a run has just begun".to_owned(), |holder| holder.to_string()));
    }
    if let Some(run) = history.interrupted() {
        let asked = history.asked().unwrap_or(run).begin();
        let by = asked.map(|begin| format!(" by {}", journal::who_and_why(&begin.who, begin.reason.as_deref())));
        let (run, by) = (&run.run, by.unwrap_or_default());
        return Some(format!("{run}{by} was INTERRUPTED: `pitstop recover {name}` finishes or undoes it"));
    }
    let last = history.last()?;
    Some(format!("{} ended: {}", last.run, last.ending()?.name()))
}

fn print(status: &AppStatus) {
    printer::out(&status.app);
    for balancer in &status.balancers {
        printer::out(&format!("  {}: {}", balancer.balancer, printer::escape(&balancer.standing)));
        if let Some(error) = &balancer.error {
            printer::out(&format!("    {}", printer::escape(error)));
        }
        if let Some(hint) = &balancer.hint {
            printer::out(&format!("    hint: {}", printer::escape(hint)));
        }
        for server in &balancer.servers {
            let weight = server.weight.map(|weight| format!(", weight {weight}")).unwrap_or_default();
            printer::out(&format!(
                "    {} {}, {} in flight, {} queued{weight}",
                printer::escape(&server.server),
                printer::escape(&server.status),
                server.sessions,
                server.queued,
            ));
        }
    }
    if let Some(redirect) = &status.redirect {
        printer::out(&format!("  redirect: {}", printer::escape(redirect)));
    }
    printer::out(&match (&status.process, &status.process_error) {
        (Some(identity), _) => format!("  process: pid {}", identity.main.pid),
        (None, Some(error)) => format!("  process: unknown: {}", printer::escape_lines(error)),
        (None, None) => "  process: not running".to_owned(),
    });
    if let Some(run) = &status.run {
        printer::out(&format!("  last run: {}", printer::escape(run)));
    }
    if let Some(lease) = &status.lease {
        printer::out(&format!("  lease: {}", printer::escape(&lease.describe())));
    }
    if let Some(owing) = &status.owing {
        printer::out(&format!("  owing: {}", printer::escape(owing)));
    }
    match status.keeper {
        Some(KeeperStatus::Alive) => printer::out("  keeper: at work"),
        Some(KeeperStatus::Missing) => {
            printer::out("  keeper: MISSING: what a reload undoes stays undone, and no lease ends by itself");
            printer::out(&format!("    hint: `pitstop recover {}` starts one", status.app));
        }
        None => {}
    }
}

impl LeaseStatus {
    fn describe(&self) -> String {
        let Lease { who, reason, since, until, .. } = &self.lease;
        let whose = journal::who_and_why(who, reason.as_deref());
        let since = since.split_once('.').map_or_else(|| since.clone(), |(seconds, _)| format!("{seconds}Z"));
        let until = match (until, self.seconds_left) {
            (Some(until), Some(0)) => format!("it ran out at {}", until.wall),
            (Some(until), Some(left)) => {
                let left = humantime::format_duration(Duration::from_secs(left));
                format!("{left} left, until {}", until.wall)
            }
            _ => "until `pitstop in`".to_owned(),
        };
        format!("out by {whose} since {since}, {until}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::journal::{Holder, Journal, Record, Recovers};
    use crate::run::{Goal, Run};

    fn begin(goal: Goal) -> Record {
        let recovers =
            (goal == Goal::Recover).then(|| Recovers { run: "one".into(), from: Run::paying(Ending::StaysOut) });
        Record::Begin { goal, who: "me".into(), reason: None, boot_id: "boot".into(), until: None, recovers }
    }

    #[tokio::test]
    async fn a_run_that_died_is_shown_interrupted_until_it_is_recovered_and_a_held_claim_is_a_run_under_way() {
        let state = tempfile::tempdir().unwrap();
        let written = |run: &str, records: &[Record]| {
            Journal::open(state.path(), "web", run).unwrap().append(records).unwrap();
        };
        let shown = || {
            let history = journal::history(state.path(), "web").unwrap();
            run_of("web", &history, state.path(), Claim::is_held(state.path(), "web"))
        };
        assert_eq!(shown(), None);
        let act = Record::ActIntent { on: "lb1".into(), what: "act".into() };
        written("one", &[begin(Goal::Restart), act]);
        assert!(shown().unwrap().starts_with("one by me was INTERRUPTED"));
        // A recovery that was refused has changed nothing.
        written("two", &[begin(Goal::Recover), Record::End { ending: Ending::Refused, out: false }]);
        assert!(shown().unwrap().starts_with("one by me was INTERRUPTED"));
        let holder = Holder {
            pid: 1,
            run: "three".into(),
            goal: Goal::Recover,
            who: "me".into(),
            since: "now".into(),
            reason: None,
            step: None,
        };
        let claim = Claim::take(state.path(), "web", holder).await.unwrap();
        assert!(shown().unwrap().starts_with("three (pid 1)"));
        drop(claim);
        written("three", &[begin(Goal::Recover), Record::End { ending: Ending::Done, out: false }]);
        assert_eq!(shown().unwrap(), "three ended: done");
    }
}
