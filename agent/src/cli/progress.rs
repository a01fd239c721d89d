//! Shows a run as it happens: on a terminal one living line below what is done, in a log one plain line a step; or JSON.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::printer;
use super::receipt::duration;
use crate::drain::Sighting;
use crate::events::{Event, Kind, Listener};
use crate::run::{Outcome, Step};

/// How often a log is told how a long wait goes.
const PLAIN_PACE: Duration = Duration::from_secs(5);

/// Each event as a line of JSON on stdout.
pub(super) struct JsonLines;

impl Listener for JsonLines {
    fn hear(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            printer::out(&line);
        }
    }
}

/// For people, on stderr.
pub(super) struct Display {
    bar: ProgressBar,
    terminal: bool,
    colours: bool,
    step: Option<Step>,
    told: Instant,
}

impl Display {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { bar, terminal, colours, step: None, told: Instant::now() }
    }

    fn line(&self, mark: &str, colour: &str, text: &str) {
        let text = printer::escape(text);
        let line = if self.colours { format!("\x1b[{colour}m{mark}\x1b[0m {text}") } else { format!("{mark} {text}") };
        if self.terminal {
            self.bar.suspend(|| printer::err(&line));
        } else {
            printer::err(&line);
        }
    }

    /// Something that changes all the time: the living line, or now and then a line in a log.
    fn progress(&mut self, text: &str) {
        let text = printer::escape(text);
        if self.terminal {
            self.bar.set_message(text);
        } else if self.told.elapsed() >= PLAIN_PACE {
            self.told = Instant::now();
            printer::err(&format!("  {text}"));
        }
    }
}

impl Listener for Display {
    fn hear(&mut self, event: &Event) {
        match &event.kind {
            Kind::StepStarted { step } => {
                self.step = Some(*step);
                self.told = Instant::now();
                self.bar.enable_steady_tick(Duration::from_millis(100));
                self.bar.set_message(doing(*step).to_owned());
            }
            Kind::Remark { what } => self.line("!", "33", what),
            Kind::Draining { sightings } => self.progress(&format!("in flight: {}", left(sightings))),
            Kind::Proving { probe, failure, tries } => {
                self.progress(&format!("not ready yet (try {tries}): {probe}: {failure}"));
            }
            Kind::Weight { percent } => self.progress(&format!("weight {percent} %")),
            Kind::StepEnded { step, outcome, micros, error } => {
                let time = duration(Duration::from_micros(*micros));
                match error {
                    Some(trouble) => {
                        self.line("✗", "31", &format!("{} ({}, {time}): {}", done(*step), word(*outcome), trouble.what));
                    }
                    None => self.line("✓", "32", &format!("{} ({time})", done(*step))),
                }
            }
            Kind::RunEnded { .. } => self.bar.finish_and_clear(),
            Kind::RunStarted { .. } | Kind::Act { .. } => {}
        }
    }
}

fn left(sightings: &[Sighting]) -> String {
    let each = sightings.iter().flat_map(|sighting| {
        sighting.left.iter().map(move |left| format!("{left} on {}", sighting.witness))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn doing(step: Step) -> &'static str {
    match step {
        Step::Preflight => "looking",
        Step::Claim => "claiming the app",
        Step::Soften => "no new clients",
        Step::Settle => "letting those who stick finish",
        Step::TakeOut => "taking out",
        Step::AwaitOut => "waiting until every balancer shows it out",
        Step::Drain => "draining",
        Step::ShutdownSessions => "ending the sessions that are left",
        Step::LastLook => "looking once more before the stop",
        Step::Restart => "restarting",
        Step::Ready => "proving the new process",
        Step::PutBack => "putting back",
        Step::AwaitIn => "holding: HAProxy's next check",
        Step::Undo => "undoing",
        Step::Pause => "pausing before a second try",
        Step::Revert => "reverting",
        Step::PullBack => "taking out again",
        Step::Alert => "raising the alert",
        Step::Release => "releasing the app",
    }
}

fn done(step: Step) -> &'static str {
    match step {
        Step::Preflight => "looked: all that is needed is there",
        Step::Claim => "claimed",
        Step::Soften => "no new clients",
        Step::Settle => "those who stick may be moved",
        Step::TakeOut => "taken out",
        Step::AwaitOut => "every balancer shows it out",
        Step::Drain => "nothing is in flight",
        Step::ShutdownSessions => "sessions ended",
        Step::LastLook => "still out, guard kept",
        Step::Restart => "restarted",
        Step::Ready => "proven healthy",
        Step::PutBack => "put back",
        Step::AwaitIn => "held",
        Step::Undo => "undone",
        Step::Pause => "paused",
        Step::Revert => "reverted",
        Step::PullBack => "taken out again",
        Step::Alert => "alert raised",
        Step::Release => "released",
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed out",
        Outcome::Interrupted => "interrupted",
        Outcome::Held => "held by another run",
        Outcome::BelowGuard => "below the guard",
        Outcome::NotOut => "no longer out",
        Outcome::Untouched => "failed before the app was touched",
        Outcome::Partly => "not everywhere",
    }
}
