//! Shows a run as it happens: on a terminal one living line below what is done, in a log one plain line a phase; or JSON.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::phase::Phase;
use super::printer;
use super::receipt::duration;
use crate::drain::Sighting;
use crate::events::{Event, Kind, Listener, Trouble};
use crate::run::{Outcome, Step};

/// When a log is told for the first time how a wait goes.
const PLAIN_FIRST: Duration = Duration::from_secs(1);

/// How often from then on.
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
    phase: Phase,
    /// How long the steps of this phase took.
    took: Duration,
    failed: bool,
    /// Whether anything failed before.
    troubled: bool,
    /// The most that was seen in flight.
    in_flight: u64,
    tell: Instant,
}

impl Display {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self {
            bar,
            terminal,
            colours: printer::takes_colours(&std::io::stderr()),
            phase: Phase::Look,
            took: Duration::ZERO,
            failed: false,
            troubled: false,
            in_flight: 0,
            tell: Instant::now() + PLAIN_FIRST,
        }
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
        let text = printer::escape(&format!("{}: {text}", self.phase.doing()));
        if self.terminal {
            self.bar.set_message(text);
        } else if Instant::now() >= self.tell {
            self.tell = Instant::now() + PLAIN_PACE;
            printer::err(&format!("  {text}"));
        }
    }

    fn begin(&mut self, phase: Phase) {
        if phase == self.phase {
            return;
        }
        self.finish();
        self.phase = phase;
        self.tell = Instant::now() + PLAIN_FIRST;
        self.bar.reset_elapsed();
        self.bar.set_message(phase.doing());
    }

    fn finish(&mut self) {
        if let Some(done) = self.phase.done().filter(|_| !self.failed) {
            let time = duration(self.took);
            let flight = match self.in_flight {
                1.. if self.phase == Phase::Drain => format!(", {} in flight at most", self.in_flight),
                _ => String::new(),
            };
            self.line("✓", "32", &format!("{done} ({time}{flight})"));
        }
        self.took = Duration::ZERO;
        self.failed = false;
    }

    fn fail(&mut self, step: Step, outcome: Outcome, error: Option<&Trouble>) {
        self.failed = true;
        // The run ends with this, and the error itself comes next.
        if matches!(step, Step::Preflight | Step::Claim) {
            return;
        }
        let failed = self.phase.failed();
        let time = duration(self.took);
        // The first trouble is told in full at the end, with its hint.
        let text = match error.filter(|_| self.troubled) {
            Some(trouble) => format!("{failed} ({time}): {}", trouble.what.replace('\n', "; ")),
            None => format!("{failed} ({}, {time})", word(outcome)),
        };
        self.troubled = true;
        self.line("✗", "31", &text);
    }
}

impl Listener for Display {
    fn hear(&mut self, event: &Event) {
        match &event.kind {
            Kind::StepStarted { step } => self.begin(Phase::of(*step)),
            Kind::Remark { what } => self.line("!", "33", what),
            Kind::Draining { sightings } => {
                self.in_flight = self.in_flight.max(count(sightings));
                self.progress(&left(sightings));
            }
            Kind::Proving { probe, failure, tries } => self.progress(&format!("{probe}: {failure} (try {tries})")),
            Kind::Weight { percent } => self.progress(&format!("weight {percent} %")),
            Kind::StepEnded { step, outcome, micros, error } => {
                self.took += Duration::from_micros(*micros);
                if *outcome != Outcome::Done {
                    self.fail(*step, *outcome, error.as_ref());
                }
            }
            Kind::RunEnded { .. } => {
                self.begin(Phase::Look);
                self.bar.finish_and_clear();
            }
            Kind::RunStarted { .. } | Kind::Act { .. } => {}
        }
    }
}

fn count(sightings: &[Sighting]) -> u64 {
    sightings.iter().flat_map(|sighting| &sighting.left).map(|left| left.sessions + left.queued).sum()
}

fn left(sightings: &[Sighting]) -> String {
    let each = sightings
        .iter()
        .flat_map(|sighting| sighting.left.iter().map(move |left| format!("{left} on {}", sighting.witness)));
    each.collect::<Vec<_>>().join(", ")
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
