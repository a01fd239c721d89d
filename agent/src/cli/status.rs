//! `status`: where every app stands now.

use std::process::ExitCode;

use serde::Serialize;

use super::args::Arguments;
use super::check::chosen;
use super::{CliError, printer};
use crate::config;
use crate::config::settings::App;
use crate::engine::fault;
use crate::haproxy::StatRow;
use crate::journal::{self, Claim, Record};
use crate::rotation::Rotation;
use crate::rotation::admin::Admin;
use crate::rotation::ports::Ports;
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

/// Shows some apps, or all.
pub(super) async fn run(arguments: &Arguments, names: &[String]) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    for app in chosen(&settings, names)? {
        let status = look(app, arguments).await;
        if arguments.is_json() {
            printer::out(&serde_json::json!(status).to_string());
        } else {
            print(&status);
        }
    }
    Ok(ExitCode::SUCCESS)
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
    let run = run_of(app, arguments);
    AppStatus { event: "status", app: app.name.to_string(), balancers, redirect, process, process_error, run }
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

/// What runs now, or how the last run ended.
fn run_of(app: &App, arguments: &Arguments) -> Option<String> {
    let name = app.name.as_str();
    if let Some(holder) = Claim::holder(&arguments.state_dir, name) {
        return Some(holder.to_string());
    }
    match journal::history(&arguments.state_dir, name) {
        Ok(history) => history.last().map(|last| match last.records.last() {
            Some(Record::End { ending, .. }) => format!("{} ended: {}", last.run, ending.name()),
            _ => format!("{} was INTERRUPTED: `pitstop recover {name}` finishes or undoes it", last.run),
        }),
        Err(error) => Some(format!("unknown: {}", fault::chain(&error))),
    }
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
}
