//! How the app is restarted: exactly one manager, and only the keys that mean something to it.

use std::ops::Range;

use nix::sys::signal::Signal;
use toml::Spanned;

use super::{Result, place, refuse, required};
use crate::config::error::Fault;
use crate::config::file;
use crate::config::settings::{Action, Label, Manager, Service, SignalName};
use crate::config::value::{AbsolutePath, Choice, Text};

/// Shown where a manager is missing.
const MANAGERS: &str = "one of these:
  systemd = \"web.service\"
  pidfile = \"/run/web.pid\", with start = [\"/usr/bin/gunicorn\", \"…\"]
  restart = [\"/usr/local/bin/web-restart\"]";

pub(super) fn service(app: &Label, at: &Range<usize>, written: Option<Spanned<file::Service>>) -> Result<Service> {
    let Some(written) = written else {
        return Err(Fault::new(at.clone(), format!("nothing says how app `{app}` is restarted"))
            .hint(format!("add [apps.{app}.service] with {MANAGERS}")));
    };
    let at = written.span();
    let mut written = written.into_inner();
    let Choice(action) = written.action;
    let (attempts, timeout) = (written.attempts, written.timeout.0);
    let revert = std::mem::take(&mut written.revert);
    let manager = match (written.systemd.take(), written.pidfile.take(), written.restart.take()) {
        (None, None, None) => {
            return Err(Fault::new(at, "nothing here says who restarts the app").hint(format!("add {MANAGERS}")));
        }
        (Some(_), Some(other), _) => return Err(second(other.span(), "pidfile")),
        (Some(_), None, Some(other)) => return Err(second(other.span(), "restart")),
        (Some(unit), None, None) => {
            refuse_signals(&written, "systemd")?;
            let Text(unit) = unit.into_inner();
            Manager::Systemd { unit: unit.0 }
        }
        (None, pidfile, Some(restart)) => {
            refuse_signals(&written, "restart")?;
            Manager::Command {
                restart: required(restart, "restart")?,
                pidfile: pidfile.map(|pidfile| pidfile.into_inner().0.0),
            }
        }
        (None, Some(pidfile), None) => signals(pidfile, written)?,
    };
    Ok(Service { manager, action, revert: revert.0, attempts: attempts.get().into(), timeout: timeout.get() })
}

fn second(at: Range<usize>, key: &str) -> Fault {
    Fault::new(at, format!("`{key}` beside `systemd`: only one can restart the app"))
        .hint(format!("remove `{key}`, or `systemd`"))
}

fn refuse_signals(written: &file::Service, manager: &str) -> Result<()> {
    let given = [
        ("start", place(&written.start)),
        ("stop_signal", place(&written.stop_signal)),
        ("reload_signal", place(&written.reload_signal)),
        ("old_signal", place(&written.old_signal)),
    ];
    refuse(given, |key| format!("`{key}` means nothing beside `{manager}`, only to a process known by its `pidfile`"))
}

fn signals(pidfile: Spanned<Text<AbsolutePath>>, written: file::Service) -> Result<Manager> {
    let Choice(action) = written.action;
    let start = match written.start {
        Some(start) => required(start, "start")?,
        None if action == Action::Reload => Vec::new(),
        None => {
            return Err(Fault::new(
                pidfile.span(),
                "a process known by its pid file is stopped by a signal, but nothing says how it is started",
            )
            .hint("add for example: start = [\"/usr/bin/gunicorn\", \"--daemon\", \"web:app\"]"));
        }
    };
    let reload_signal = or(written.reload_signal, Signal::SIGHUP);
    if let Some(old) = &written.old_signal
        && reload_signal.0 == Signal::SIGHUP
    {
        return Err(Fault::new(old.span(), "`old_signal` would end the only master: HUP makes no successor")
            .hint("add the signal that makes one, for example: reload_signal = \"USR2\""));
    }
    Ok(Manager::Signal {
        pidfile: pidfile.into_inner().0.0,
        stop_signal: or(written.stop_signal, Signal::SIGTERM),
        start,
        reload_signal,
        old_signal: written.old_signal.map(|signal| signal.into_inner().0),
    })
}

fn or(written: Option<Spanned<Text<SignalName>>>, default: Signal) -> SignalName {
    match written {
        Some(signal) => signal.into_inner().0,
        None => SignalName(default),
    }
}
