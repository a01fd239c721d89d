//! How the versions get on, one row for each.

use std::time::{Duration, Instant};

use integration::load::Summary;
use integration::terminal::{Style, Terminal, number, time};

use crate::stops::Report;

/// Where nothing can be drawn again, a line is written every so many stops.
const STOPS_PER_LINE: usize = 10;

#[derive(Default)]
struct Row {
    version: String,
    times: Vec<f64>,
    exposures: Vec<u64>,
    requests: u64,
    failed: u64,
    wrong: Option<String>,
    ended: Option<(Duration, Summary)>,
}

/// All of them.
pub(crate) struct Table {
    terminal: Terminal,
    begun: Instant,
    stops: usize,
    reload: bool,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(versions: &[String], stops: usize, reload: bool) -> Self {
        let rows = versions.iter().map(|version| Row { version: version.clone(), ..Row::default() }).collect();
        Self { terminal: Terminal::standard_output(), begun: Instant::now(), stops, reload, rows }
    }

    pub(crate) fn add(&mut self, row: usize, report: Report) {
        let row = &mut self.rows[row];
        match report {
            Report::Stop { took, requests, failed, exposed, wrong } => {
                row.times.push(took);
                row.exposures.extend(exposed);
                row.requests = requests;
                row.failed = failed;
                row.wrong = wrong;
                if !self.terminal.is_live() && row.times.len().is_multiple_of(STOPS_PER_LINE) {
                    let line = format!(
                        "HAProxy {}: {} stops, {requests} requests, {failed} failed, after {}",
                        row.version,
                        row.times.len(),
                        time(self.begun.elapsed())
                    );
                    self.terminal.print(&[line]);
                }
            }
            Report::End(summary) => {
                row.requests = summary.requests;
                row.failed = summary.failed;
                row.ended = Some((self.begun.elapsed(), *summary));
            }
        }
        self.refresh();
    }

    pub(crate) fn refresh(&mut self) {
        if self.terminal.is_live() {
            let lines = self.lines();
            self.terminal.draw(&lines);
        }
    }

    /// The last picture, and what went wrong.
    pub(crate) fn finish(&mut self) {
        if self.terminal.is_live() {
            self.refresh();
            self.terminal.keep();
        } else {
            self.terminal.print(&self.lines());
        }
        let mut lines = Vec::new();
        for row in &self.rows {
            let failures = row.ended.iter().flat_map(|(_, summary)| &summary.failures);
            lines.extend(row.wrong.iter().map(|wrong| format!("HAProxy {}: {wrong}", row.version)));
            lines.extend(failures.take(10).map(|failure| {
                format!(
                    "HAProxy {}: at {:.2} s, after {:.0} ms: {:?} {}: {}: {}",
                    row.version,
                    failure.at,
                    failure.after_ms,
                    failure.role,
                    failure.target,
                    failure.kind,
                    failure.detail
                )
            }));
        }
        if !lines.is_empty() {
            lines.insert(0, String::new());
            self.terminal.print(&lines);
        }
    }

    /// Whether every version has made all its stops, and nothing failed.
    pub(crate) fn is_clean(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.times.len() == self.stops && row.failed == 0 && row.wrong.is_none() && row.ended.is_some())
    }

    fn lines(&self) -> Vec<String> {
        let mut head = format!(
            "{:<9}{:>9}{:>12}{:>8}{:>14}{:>12}{:>12}{:>15}",
            "HAProxy", "stops", "requests", "failed", "extra p99/max", "stop p50", "stop max", "time"
        );
        if self.reload {
            head += &format!("{:>18}", "exposed p50/max");
        }
        let mut lines = vec![self.terminal.paint(Style::Bold, &head)];
        lines.extend(self.rows.iter().map(|row| self.line(row)));
        lines
    }

    fn line(&self, row: &Row) -> String {
        let mut times = row.times.clone();
        times.sort_by(f64::total_cmp);
        let seconds = |index: usize| times.get(index).map_or_else(|| "-".to_owned(), |took| format!("{took:.2} s"));
        let (elapsed, extra) = match &row.ended {
            Some((elapsed, summary)) => {
                (*elapsed, format!("{:.0}/{:.0} ms", summary.added_ms.p99, summary.added_ms.max))
            }
            None => (self.begun.elapsed(), "-".to_owned()),
        };
        let well = row.failed == 0 && row.wrong.is_none();
        let style = if well { Style::Green } else { Style::Red };
        let line = format!(
            "{:<9}{:>9}{:>12}{}{:>14}{:>12}{:>12}{:>15}",
            row.version,
            format!("{}/{}", row.times.len(), self.stops),
            number(row.requests),
            self.terminal.paint(style, &format!("{:>8}", number(row.failed))),
            extra,
            seconds(times.len() / 2),
            seconds(times.len().saturating_sub(1)),
            time(elapsed)
        );
        if self.reload { format!("{line}{:>18}", exposure(&row.exposures)) } else { line }
    }
}

/// The median, and the longest.
fn exposure(exposures: &[u64]) -> String {
    let mut sorted = exposures.to_vec();
    sorted.sort_unstable();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(median), Some(longest)) => format!("{median}/{longest} ms"),
        _ => "-".to_owned(),
    }
}
