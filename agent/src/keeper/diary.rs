//! The keeper's log, on stderr: what it does and notices, a line each.

use std::io::Write;

use crate::events::{Event, Kind, Listener};
use crate::text::escape;

/// Writes down what people may want to know later.
#[derive(Debug)]
pub(super) struct Diary;

impl Listener for Diary {
    fn hear(&mut self, event: &Event) {
        match &event.kind {
            Kind::RunStarted { .. } => note(&format!("run {} begins", event.run)),
            Kind::Act { on, what } => note(&format!("{on}: {what}")),
            Kind::Remark { what } => note(what),
            Kind::StepEnded { step, error: Some(error), .. } => note(&format!("{step}: {}", error.what)),
            Kind::RunEnded { state, .. } => note(&format!("run {} ends: {state}", event.run)),
            _ => {}
        }
    }
}

/// A line with the time. A full disk must not end a keeper.
pub(super) fn note(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{:.3} {}", jiff::Timestamp::now(), escape(what));
}
