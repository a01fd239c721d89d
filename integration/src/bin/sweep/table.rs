//! How the sweeps get on, and what came of every step's points.

use std::time::{Duration, Instant};

use integration::sweep::judge::End;
use integration::sweep::lane::Trial;
use integration::sweep::point::Point;
use integration::sweep::scenario::Sweep;
use integration::terminal::{Style, Terminal, number, time};

use crate::inside::Report;

/// How often a line is written where nothing can be drawn again.
const PAUSE: Duration = Duration::from_secs(30);

/// One in so many points may be one that no run came to, and [`FEW`] of a small sample.
const MOST: usize = 33;

const FEW: usize = 2;

/// The points of one step.
#[derive(Default)]
struct Row {
    step: String,
    points: usize,
    killed: usize,
    leaving: usize,
    unreached: usize,
    is_in: usize,
    on_lease: usize,
    unproven: usize,
    wrong: usize,
}

struct Part {
    sweep: Sweep,
    rows: Vec<Row>,
}

/// All sweeps.
pub(crate) struct Table {
    terminal: Terminal,
    begun: Instant,
    told: Instant,
    parts: Vec<Part>,
    requests: u64,
    slowest: f64,
    wrong: Vec<String>,
}

impl Table {
    pub(crate) fn new(sweeps: &[Sweep]) -> Self {
        let part = |sweep: &Sweep| Part { sweep: *sweep, rows: Vec::new() };
        Self {
            terminal: Terminal::standard_output(),
            begun: Instant::now(),
            told: Instant::now(),
            parts: sweeps.iter().map(part).collect(),
            requests: 0,
            slowest: 0.0,
            wrong: Vec::new(),
        }
    }

    /// The points of a run, as `--only` takes them.
    pub(crate) fn list<'a>(&self, sweep: Sweep, points: impl Iterator<Item = &'a Point>) {
        let lines: Vec<_> = points.map(|point| format!("{sweep}/{point}")).collect();
        self.terminal.print(&lines);
    }

    /// A run was recorded.
    pub(crate) fn planned(&mut self, sweep: Sweep, calls: usize, points: usize, chosen: &[Point]) {
        let line =
            format!("{}: {} calls, {points} points, {} to be tried", sweep.name(), number(calls as u64), chosen.len());
        self.terminal.print(&[line]);
        for point in chosen {
            self.row(sweep, &point.step).points += 1;
        }
    }

    pub(crate) fn begin(&mut self) {
        let line = format!("{} kill points", number(self.sum(|row| row.points) as u64));
        self.terminal.print(&[line]);
    }

    pub(crate) fn add(&mut self, report: Report) {
        match report {
            Report::Recorded { .. } => {}
            Report::Ended { requests: Ok(requests), .. } => self.requests += requests,
            Report::Ended { sweep, requests: Err(wrong) } => self.complain(format!("{}: {wrong}", sweep.name())),
            Report::Tried { sweep, trial } => self.tried(sweep, &trial),
        }
        if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            let line = format!(
                "{} of {} points, {} wrong, after {}",
                self.sum(|row| row.is_in + row.on_lease + row.unproven + row.wrong),
                self.sum(|row| row.points),
                self.wrong.len(),
                time(self.begun.elapsed())
            );
            self.terminal.print(&[line]);
        }
    }

    fn tried(&mut self, sweep: Sweep, trial: &Trial) {
        self.slowest = self.slowest.max(trial.took);
        let row = self.row(sweep, &trial.point.step);
        match &trial.at {
            Some(at) if at.step == trial.point.step => row.killed += 1,
            Some(_) => row.leaving += 1,
            None => row.unreached += 1,
        }
        match (&trial.wrong, trial.end) {
            (Some(wrong), _) => {
                row.wrong += 1;
                let at = trial.at.as_ref().map_or_else(|| "never came there".to_owned(), |at| format!("at {at}"));
                let again =
                    format!("scripts/sweep --only {}/{}:{}", sweep.name(), trial.point.step, trial.point.number);
                self.complain(format!("{} {}, killed {at}: {wrong}\n  again: {again}", sweep.name(), trial.point));
            }
            (None, Some(End::In)) => row.is_in += 1,
            (None, Some(End::OnLease)) => row.on_lease += 1,
            (None, Some(End::Unproven)) => row.unproven += 1,
            (None, None) => {}
        }
    }

    fn row(&mut self, sweep: Sweep, step: &str) -> &mut Row {
        let part = self.parts.iter_mut().find(|part| part.sweep == sweep).expect("a sweep that was asked for");
        let place = part.rows.iter().position(|row| row.step == step).unwrap_or_else(|| {
            part.rows.push(Row { step: step.to_owned(), ..Row::default() });
            part.rows.len() - 1
        });
        &mut part.rows[place]
    }

    fn sum(&self, count: impl Fn(&Row) -> usize) -> usize {
        self.parts.iter().flat_map(|part| &part.rows).map(count).sum()
    }

    /// At once, for a sweep is long.
    fn complain(&mut self, wrong: String) {
        let line = self.terminal.paint(Style::Red, &wrong);
        self.terminal.print(&[line]);
        self.wrong.push(wrong);
    }

    /// What came of every step, and what went wrong.
    pub(crate) fn finish(&self) {
        let head = format!(
            "{:<22}{:<18}{:>8}{:>8}{:>10}{:>11}{:>8}{:>10}{:>10}{:>8}",
            "run", "step", "points", "killed", "leaving", "unreached", "in", "on lease", "unproven", "wrong"
        );
        let mut lines = vec![String::new(), self.terminal.paint(Style::Bold, &head)];
        for part in &self.parts {
            lines.extend(part.rows.iter().map(|row| self.line(part.sweep.name(), row)));
        }
        let total = Row {
            step: String::new(),
            points: self.sum(|row| row.points),
            killed: self.sum(|row| row.killed),
            leaving: self.sum(|row| row.leaving),
            unreached: self.sum(|row| row.unreached),
            is_in: self.sum(|row| row.is_in),
            on_lease: self.sum(|row| row.on_lease),
            unproven: self.sum(|row| row.unproven),
            wrong: self.sum(|row| row.wrong),
        };
        lines.push(self.line("all", &total));
        lines.push(format!(
            "leaving: the step had fewer polls than the recorded one, and the run was killed as it left it\n\
             {} requests, {}, the slowest point {:.1} s",
            number(self.requests),
            time(self.begun.elapsed()),
            self.slowest
        ));
        self.terminal.print(&lines);
        if total.unreached > most_unreached(total.points) {
            self.terminal.print(&["too many points were not come to".to_owned()]);
        }
        if !self.wrong.is_empty() {
            self.terminal.print(&[String::new(), self.terminal.paint(Style::Bold, "wrong:")]);
            self.terminal.print(&self.wrong);
        }
    }

    fn line(&self, run: &str, row: &Row) -> String {
        let style = if row.wrong == 0 { Style::Green } else { Style::Red };
        format!(
            "{run:<22}{:<18}{:>8}{:>8}{:>10}{:>11}{:>8}{:>10}{:>10}{}",
            row.step,
            row.points,
            row.killed,
            row.leaving,
            row.unreached,
            row.is_in,
            row.on_lease,
            row.unproven,
            self.terminal.paint(style, &format!("{:>8}", row.wrong))
        )
    }

    /// Whether every point was tried and ended well, and nearly all were come to.
    pub(crate) fn is_clean(&self) -> bool {
        let points = self.sum(|row| row.points);
        let tried = self.sum(|row| row.is_in + row.on_lease + row.unproven);
        let unreached = self.sum(|row| row.unreached);
        self.wrong.is_empty() && tried > 0 && tried == points && unreached <= most_unreached(points)
    }
}

fn most_unreached(points: usize) -> usize {
    (points / MOST).max(FEW)
}
