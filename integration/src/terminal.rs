//! Writing for people: colour where it is wanted, figures that can be read, lines that fit.

use std::io::{IsTerminal, Write as _};
use std::time::Duration;

/// A colour or weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For what matters.
    Bold,
    /// For what does not.
    Dim,
    /// For what is well.
    Green,
    /// For what is not.
    Red,
    /// For what is on its way.
    Yellow,
}

/// Where a program writes.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    live: bool,
    colour: bool,
    drawn: usize,
}

impl Terminal {
    /// Standard output: colour and redrawing only on a terminal that is able to, no colour with `NO_COLOR`.
    pub fn standard_output() -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let live = std::io::stdout().is_terminal() && !dumb;
        let plain = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        Self { live, colour: live && !plain, drawn: 0 }
    }

    /// Whether lines can be drawn again.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The text in a style, if there are any.
    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Red => 31,
            Style::Green => 32,
            Style::Yellow => 33,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Draws these lines over those drawn before.
    pub fn draw(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in lines {
            text.push_str(&format!("\r{line}\x1b[K\n"));
        }
        text.push_str("\x1b[J");
        self.drawn = lines.len();
        write(&text);
    }

    /// Leaves what is drawn, and goes on below.
    pub fn keep(&mut self) {
        self.drawn = 0;
    }

    /// Writes lines that stay.
    pub fn print(&self, lines: &[String]) {
        write(&(lines.join("\n") + "\n"));
    }
}

/// A reader that has gone is no reason to end.
fn write(text: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes()).ok();
    output.flush().ok();
}

/// `12345` as `12 345`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `45 ms`, `12.3 s` or `4 min 05 s`.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration < Duration::from_millis(100) {
        format!("{} ms", duration.as_millis())
    } else if seconds < 100 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// What can be shown of foreign text: one line, no control characters, at most so many characters.
pub fn tame(text: &str, width: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(width).collect()
}

/// Bars for values up to `highest`, the latest on the right.
pub fn bars(values: &[u64], highest: u64) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    values
        .iter()
        .map(|value| {
            let eighths = (value * 8).div_ceil(highest.max(1)).min(8);
            BARS[usize::try_from(eighths).unwrap_or(8)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn figures_are_grouped_by_thousands() {
        assert_eq!(super::number(7), "7");
        assert_eq!(super::number(123), "123");
        assert_eq!(super::number(1234), "1 234");
        assert_eq!(super::number(1_234_567), "1 234 567");
    }

    #[test]
    fn times_are_told_in_units_that_fit() {
        assert_eq!(super::time(Duration::from_micros(45_300)), "45 ms");
        assert_eq!(super::time(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(super::time(Duration::from_secs(605)), "10 min 05 s");
    }

    #[test]
    fn a_bar_is_seen_for_the_smallest_value_and_full_for_the_highest() {
        assert_eq!(super::bars(&[0, 1, 100], 100), " ▁█");
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(super::tame("a\x1b[2Jb\nc", 80), "a[2Jbc");
    }
}
