//! What was found and done.

use std::io::stdout;

use serde_json::json;
use similar::TextDiff;

use super::Initiated;
use super::steps::steps;
use super::write::Change;
use crate::cli::args::{Arguments, InitOptions};
use crate::cli::printer::{self, escape};

pub(super) fn human(initiated: &Initiated, arguments: &Arguments, options: &InitOptions) {
    found(initiated);
    let config = escape(&arguments.config.display().to_string());
    printer::out(&if initiated.is_new { format!("written: {config}") } else { format!("as it was: {config}") });
    changes(initiated);
    printer::out("\nNext, in this order:");
    for (number, step) in steps(initiated, arguments, options).iter().enumerate() {
        printer::out(&format!("  {}. {}\n     {}", number + 1, escape(&step.act), escape(&step.why)));
    }
}

/// The apps, and what is not theirs.
fn found(initiated: &Initiated) {
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
    for what in &initiated.confirm {
        printer::out(&format!("to confirm: {}", escape(what)));
    }
    if !initiated.others.is_empty() {
        let others = escape(&initiated.others.join(", "));
        printer::out(&format!("of other hosts, each of which needs the same: {others}"));
    }
}

/// What HAProxy's files lack, and what became of it.
fn changes(initiated: &Initiated) {
    if initiated.changes.is_empty() {
        printer::out("HAProxy's files lack nothing");
        return;
    }
    for change in &initiated.changes {
        printer::out("");
        diff(change).lines().for_each(|line| printer::out(&coloured(line)));
    }
    let Some(copies) = &initiated.copies else {
        printer::out("\nHAProxy's files are as they were.");
        return;
    };
    for (change, copy) in initiated.changes.iter().zip(copies) {
        let (path, copy) = (change.path.display().to_string(), copy.display().to_string());
        let (path, copy) = (escape(&path), escape(&copy));
        printer::out(&format!("\nchanged, and accepted by `haproxy -c`: {path}; before: {copy}"));
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
    for what in &initiated.confirm {
        printer::out(&json!({"event": "to_confirm", "what": what}).to_string());
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
