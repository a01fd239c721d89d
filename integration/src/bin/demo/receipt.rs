//! What the two ways cost, side by side.

use std::time::Duration;

use integration::load::Summary;
use integration::terminal::{Style, Terminal, number, tame, time};

const WIDTH: usize = 34;

/// What one way cost.
pub(crate) struct Receipt {
    pub(crate) title: &'static str,
    /// Of each restart.
    pub(crate) times: Vec<(String, Duration)>,
    /// Why it ended early.
    pub(crate) refusal: Option<String>,
    pub(crate) summary: Summary,
}

impl Receipt {
    /// Label, figure, and whether the figure is good or bad news.
    fn rows(&self) -> Vec<(String, String, Option<Style>)> {
        let summary = &self.summary;
        let verdict = if summary.failed == 0 { Style::Green } else { Style::Red };
        let total: Duration = self.times.iter().map(|(_, took)| *took).sum();
        let mut rows = vec![
            ("requests".to_owned(), number(summary.requests), None),
            ("failed".to_owned(), number(summary.failed), Some(verdict)),
        ];
        for (kind, count) in summary.kinds.iter().take(3) {
            rows.push((format!("  {}", tame(kind, 22)), number(*count), Some(verdict)));
        }
        while rows.len() < 5 {
            rows.push(Default::default());
        }
        let slowest = Duration::from_secs_f64(summary.added_ms.max / 1e3);
        rows.push(("longest extra wait".to_owned(), time(slowest), None));
        rows.push(("time for all three".to_owned(), time(total), None));
        for (name, took) in &self.times {
            rows.push((format!("  {name}"), time(*took), None));
        }
        while rows.len() < 10 {
            rows.push(Default::default());
        }
        rows
    }

    fn boxed(&self, terminal: &Terminal) -> Vec<String> {
        let rule = |count: usize| "─".repeat(count);
        let title = format!(" {} ", self.title);
        let mut lines =
            vec![format!("┌─{}{}┐", terminal.paint(Style::Bold, &title), rule(WIDTH - 3 - title.chars().count()))];
        for (label, figure, style) in self.rows() {
            let space = WIDTH - 4 - label.chars().count();
            let figure = format!("{figure:>space$}");
            let figure = style.map_or(figure.clone(), |style| terminal.paint(style, &figure));
            lines.push(format!("│ {label}{figure} │"));
        }
        lines.push(format!("└{}┘", rule(WIDTH - 2)));
        lines
    }
}

/// Both, and a last line that says it in words.
pub(crate) fn side_by_side(terminal: &Terminal, plain: &Receipt, other: &Receipt) -> Vec<String> {
    let mut lines = vec![String::new()];
    let rows = plain.boxed(terminal).into_iter().zip(other.boxed(terminal));
    lines.extend(rows.map(|(left, right)| format!("  {left}   {right}")));
    lines.push(String::new());
    if let Some(words) = &other.refusal {
        lines.push(format!("  {}", terminal.paint(Style::Red, words)));
    }
    if other.summary.failed > 0 {
        for failure in other.summary.failures.iter().take(5) {
            lines.push(format!(
                "  at {:.1} s: {:?} {}: {}: {}",
                failure.at, failure.role, failure.target, failure.kind, failure.detail
            ));
        }
    }
    if plain.summary.failed == 0 {
        lines.push("  The plain restart lost nothing this time, so there is nothing to compare.".to_owned());
    }
    lines
}
