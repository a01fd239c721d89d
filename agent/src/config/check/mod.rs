//! What concerns more than one key: names that must exist, keys that exclude each other, an app that nothing could
//! take out. Turns what was written into [`Settings`].

mod probe;
mod reach;
mod service;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use self::reach::Reach;
use super::error::Fault;
use super::file;
use super::settings::{App, Balancer, Drain, Guard, Label, OnTimeout, Ramp, Settings, Unreachable};
use super::value::{Choice, Command, Percent, Text};

type Result<T> = std::result::Result<T, Fault>;

/// Checks the whole file.
pub(super) fn settings(file: file::File) -> Result<Settings> {
    let balancers: BTreeMap<Label, Balancer> = file
        .balancers
        .into_iter()
        .map(|(name, written)| {
            let Text(name) = name.into_inner();
            (name.clone(), balancer(name, written))
        })
        .collect();
    let mut apps = BTreeMap::new();
    for (name, written) in file.apps {
        let at = name.span();
        let Text(name) = name.into_inner();
        let app = app(name.clone(), at.clone(), written, &balancers)?;
        shared_check_port(&app, &apps, at)?;
        apps.insert(name, app);
    }
    Ok(Settings { balancers, apps })
}

/// The rule of a redirect knows only the port, so two apps can't have the same.
fn shared_check_port(app: &App, others: &BTreeMap<Label, App>, at: Range<usize>) -> Result<()> {
    let Some(port) = app.redirect.as_ref().map(|redirect| redirect.check_port) else { return Ok(()) };
    let same = |other: &&App| other.redirect.as_ref().is_some_and(|redirect| redirect.check_port == port);
    match others.values().find(same) {
        None => Ok(()),
        Some(other) => {
            let what = format!("apps `{}` and `{}` have the same check_port, {port}", other.name, app.name);
            Err(Fault::new(at, what).hint("give each app a check port of its own, here and in haproxy.cfg"))
        }
    }
}

fn balancer(name: Label, written: file::Balancer) -> Balancer {
    Balancer {
        name,
        socket: written.socket.map(|Text(address)| address),
        master: written.master.map(|Text(address)| address),
        config: written.config.0.into_iter().map(|path| path.0).collect(),
        addresses: written.addresses.into_iter().map(|Text(ip)| ip).collect(),
    }
}

/// `at` is where the app's name stands: the place of what is missing.
fn app(name: Label, at: Range<usize>, written: file::App, known: &BTreeMap<Label, Balancer>) -> Result<App> {
    let Text(listen) = written.listen;
    let reach = Reach {
        balancers: reach::balancers(written.balancers, known)?,
        redirect: written.redirect.map(|redirect| reach::redirect(redirect, listen.0)).transpose()?,
    };
    reach.check(&name, &at)?;
    let (servers, backups) = reach::entries(written.servers, written.backups)?;
    if servers.is_empty() && reach.socket() {
        return Err(Fault::new(at, format!("app `{name}` lists no servers"))
            .hint("name its entries of HAProxy, for example: servers = [\"srvs/webA\"]"));
    }
    Ok(App {
        unreachable: unreachable(written.unreachable, &reach)?,
        drain: drain(written.drain, &reach)?,
        service: service::service(&name, &at, written.service)?,
        ready: probe::all(&name, at, written.ready)?,
        ramp: written.ramp.map(|written| ramp(written, &reach)).transpose()?,
        name,
        balancers: reach.balancers,
        redirect: reach.redirect,
        servers,
        backups,
        listen: listen.0,
        unlisted: written.unlisted.0,
        put_back: written.put_back.0,
        hold: written.hold.0.get(),
        on_alert: written.on_alert.0,
        guard: guard(written.guard),
    })
}

fn unreachable(written: Option<Spanned<Choice<Unreachable>>>, reach: &Reach) -> Result<Unreachable> {
    let Some(written) = written else {
        return Ok(Unreachable::Abort);
    };
    match written.get_ref() {
        Choice(Unreachable::IgnoreIfRedirect) if reach.redirect.is_none() => {
            Err(Fault::new(written.span(), "`ignore-if-redirect` without a redirect")
                .hint("add [apps.X.redirect] with its check_port, or choose \"abort\" or \"proceed\""))
        }
        Choice(choice) => Ok(*choice),
    }
}

fn drain(written: file::Drain, reach: &Reach) -> Result<Drain> {
    let on_timeout = match written.on_timeout {
        None => OnTimeout::Abort,
        Some(choice) => match choice.get_ref() {
            Choice(OnTimeout::ShutdownSessions) if !reach.commands() => {
                return Err(Fault::new(
                    choice.span(),
                    "`shutdown-sessions` is a command, and no admin socket of this app takes commands",
                )
                .hint("give a balancer its `socket`, or choose \"abort\" or \"proceed\""));
            }
            Choice(choice) => *choice,
        },
    };
    Ok(Drain {
        timeout: written.timeout.0.get(),
        on_timeout,
        sticky_grace: written.sticky_grace.0.get(),
        idle_after: written.idle_after.0.get(),
        kills_on_down: written.kills_on_down,
    })
}

fn guard(written: file::GuardTable) -> Guard {
    let file::GuardTable { min_up, min_weight: Text(Percent(min_weight)), count_backups } = written;
    Guard { min_up, min_weight, count_backups }
}

fn ramp(written: Spanned<file::Ramp>, reach: &Reach) -> Result<Ramp> {
    if !reach.commands() {
        return Err(Fault::new(written.span(), "a ramp sets weights, and no admin socket of this app takes commands")
            .hint("give a balancer its `socket`, or leave the ramp out"));
    }
    let written = written.into_inner();
    let from = match written.from {
        None => 10,
        Some(from) => match from.get_ref() {
            Text(Percent(0)) => {
                return Err(Fault::new(from.span(), "a ramp from 0% would bring nothing back")
                    .hint("1% is the least, for example: from = \"10%\""));
            }
            Text(Percent(from)) => *from,
        },
    };
    Ok(Ramp { from, over: written.over.0.get() })
}

/// A command where one must be.
fn required(command: Spanned<Command>, key: &str) -> Result<Vec<String>> {
    if command.get_ref().0.is_empty() {
        Err(Fault::new(command.span(), format!("`{key}` is empty"))
            .hint("write the program and its arguments, each as an element of its own"))
    } else {
        Ok(command.into_inner().0)
    }
}

/// Refuses the first key of those given: it would silently mean nothing.
fn refuse<const N: usize>(keys: [(&'static str, Option<Range<usize>>); N], why: impl Fn(&str) -> String) -> Result<()> {
    match keys.into_iter().find_map(|(key, at)| Some((key, at?))) {
        Some((key, at)) => Err(Fault::new(at, why(key)).hint(format!("remove `{key}`"))),
        None => Ok(()),
    }
}

fn place<T>(written: &Option<Spanned<T>>) -> Option<Range<usize>> {
    written.as_ref().map(Spanned::span)
}
