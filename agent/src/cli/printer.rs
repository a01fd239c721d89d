//! The one place that writes to stdout and stderr. A closed pipe never ends a run.

use std::io::{IsTerminal, Write};

/// A line on stdout.
pub(super) fn out(line: &str) {
    // A reader that went away must not end a run half-way.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line on stderr.
pub(super) fn err(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether stdout is a terminal that takes colours.
pub(super) fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text from outside, safe for a terminal: control characters are shown, not obeyed.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// As [`escape`], but keeps line breaks.
pub(super) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}
