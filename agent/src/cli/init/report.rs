//! What was found and done, and what to type next.

use std::io::stdout;
use std::path::Path;

use serde_json::json;
use similar::TextDiff;

use super::Initiated;
use super::write::Change;
use crate::cli::args::{Arguments, InitOptions};
use crate::cli::printer::{self, escape};
use crate::config::DEFAULT_PATH;

/// Something to type or to do.
struct Step {
    /// The command, or what to do.
    act: String,
    why: String,
}

pub(super) fn human(initiated: &Initiated, arguments: &Arguments, options: &InitOptions) {
    for (number, app) in initiated.apps.iter().enumerate() {
        let mains: Vec<_> = app.mains.iter().map(|main| main.id.to_string()).collect();
        let there = app.backups.iter().map(|backup| backup.id.to_string());
        let new = initiated.twins(app).into_iter().map(|twin| format!("{twin} (new)"));
        let backups: Vec<_> = there.chain(new).collect();
        let backups = if backups.is_empty() { String::new() } else { format!(", backup {}", backups.join(", ")) };
        let check = match initiated.check_port(number) {
            Some(port) => format!(", checked on port {port}"),
            None => ", taken out by the admin socket alone".to_owned(),
        };
        printer::out(&format!("{}: {} at {}{backups}{check}", app.name, mains.join(", "), app.listen));
    }
    for (place, why) in &initiated.left {
        let at = initiated.config.document().describe(*place);
        printer::out(&format!("left alone: {}: {}", escape(&at), escape(why)));
    }
    if !initiated.others.is_empty() {
        printer::out(&format!(
            "of other hosts, each of which needs the same: {}",
            escape(&initiated.others.join(", "))
        ));
    }
    let config = escape(&arguments.config.display().to_string());
    printer::out(&if initiated.is_new { format!("written: {config}") } else { format!("as it was: {config}") });
    if initiated.changes.is_empty() {
        printer::out("HAProxy's files lack nothing");
    }
    for change in &initiated.changes {
        printer::out("");
        diff(change).lines().for_each(|line| printer::out(&coloured(line)));
    }
    match &initiated.copies {
        None if !initiated.changes.is_empty() => printer::out("\nHAProxy's files are as they were."),
        Some(copies) => {
            for (change, copy) in initiated.changes.iter().zip(copies) {
                let (path, copy) = (change.path.display().to_string(), copy.display().to_string());
                printer::out(&format!(
                    "\nchanged, and accepted by `haproxy -c`: {}; before: {}",
                    escape(&path),
                    escape(&copy)
                ));
            }
        }
        None => {}
    }
    printer::out("\nNext, in this order:");
    for (number, step) in steps(initiated, arguments, options).iter().enumerate() {
        printer::out(&format!("  {}. {}\n     {}", number + 1, escape(&step.act), escape(&step.why)));
    }
}

/// One line of a diff; a carriage return at its end is not shown.
fn coloured(line: &str) -> String {
    let text = escape(line.trim_end_matches('\r'));
    match line.as_bytes().first() {
        Some(b'+') => printer::paint(&stdout(), "32", &text),
        Some(b'-') => printer::paint(&stdout(), "31", &text),
        _ => text,
    }
}

pub(super) fn json(initiated: &Initiated, arguments: &Arguments, options: &InitOptions) {
    for (number, app) in initiated.apps.iter().enumerate() {
        let line = json!({
            "event": "app",
            "app": app.name.as_str(),
            "listen": app.listen.to_string(),
            "servers": app.mains.iter().map(|main| main.id.to_string()).collect::<Vec<_>>(),
            "backups": app.backups.iter().map(|backup| backup.id.to_string()).collect::<Vec<_>>(),
            "new_backups": initiated.twins(app),
            "check_port": initiated.check_port(number),
        });
        printer::out(&line.to_string());
    }
    for (place, why) in &initiated.left {
        let at = initiated.config.document().describe(*place);
        printer::out(&json!({"event": "left_alone", "at": at, "why": why}).to_string());
    }
    for change in &initiated.changes {
        let line = json!({"event": "diff", "file": change.path, "diff": diff(change)});
        printer::out(&line.to_string());
    }
    let steps = steps(initiated, arguments, options);
    let next: Vec<_> = steps.iter().map(|step| json!({"act": step.act, "why": step.why})).collect();
    let line = json!({
        "event": "initiated",
        "config": arguments.config,
        "is_new": initiated.is_new,
        "other_hosts": initiated.others,
        "changed": initiated.copies.is_some() && !initiated.changes.is_empty(),
        "copies": initiated.copies,
        "next": next,
        "exit_code": 0,
    });
    printer::out(&line.to_string());
}

/// As `diff -u` shows it.
fn diff(change: &Change) -> String {
    let (old, new) = (String::from_utf8_lossy(&change.old), String::from_utf8_lossy(&change.new));
    let path = change.path.display().to_string();
    TextDiff::from_lines(&*old, &*new).unified_diff().context_radius(3).header(&path, &path).to_string()
}

/// The redirect comes before the reload: a check port that nothing answers on takes the main entry down.
fn steps(initiated: &Initiated, arguments: &Arguments, options: &InitOptions) -> Vec<Step> {
    let pitstop = pitstop(&arguments.config);
    let mut steps = Vec::new();
    let mut step = |act: String, why: &str| steps.push(Step { act, why: why.to_owned() });
    if let Some(flaw) = &initiated.flaw {
        let line = flaw.position.as_ref().map(|position| format!(":{}", position.line)).unwrap_or_default();
        step(format!("fill in {}{line}", arguments.config.display()), &flaw.what);
    }
    let is_written = initiated.copies.is_some();
    if !initiated.changes.is_empty() && !is_written {
        let from = if options.from == [Path::new("/etc/haproxy/haproxy.cfg")] {
            String::new()
        } else {
            let from: Vec<_> = options.from.iter().map(|path| path.display().to_string()).collect();
            format!(" --from {}", from.join(" "))
        };
        let hosts = options.host.iter().map(|host| format!(" --host {host}")).collect::<String>();
        let program = if options.haproxy == Path::new("haproxy") {
            String::new()
        } else {
            format!(" --haproxy {}", options.haproxy.display())
        };
        let socket = match options.socket.as_str() {
            "/run/haproxy/admin.sock" => String::new(),
            other => format!(" --socket {other}"),
        };
        step(
            format!("{pitstop} init{from}{hosts}{socket}{program} --write"),
            "makes the changes above once `haproxy -c` accepts them, and keeps a copy; or make them by hand",
        );
    }
    for (number, app) in initiated.apps.iter().enumerate() {
        if let Some(port) = initiated.check_port(number) {
            let why = format!(
                "proves the app healthy, and sets the redirect of port {port} to {}; before the reload, or HAProxy takes it down",
                app.listen.port()
            );
            step(format!("{pitstop} in {}", app.name), &why);
        }
    }
    if !initiated.changes.is_empty() {
        step(
            "systemctl reload haproxy".to_owned(),
            "or however it is reloaded here; where clients keep their connections, `option idle-close-on-response` (after 2.2) keeps any \
             reload from closing one on which a request is just coming",
        );
    }
    step(format!("{pitstop} check"), "says whether anything stands in the way of a restart, and touches nothing");
    if let Some(app) = initiated.apps.first() {
        step(format!("{pitstop} restart {}", app.name), "the first pit stop");
    }
    steps
}

fn pitstop(config: &Path) -> String {
    if config == Path::new(DEFAULT_PATH) {
        "pitstop".to_owned()
    } else {
        format!("pitstop --config {}", config.display())
    }
}
