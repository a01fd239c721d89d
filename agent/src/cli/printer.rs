//! The one place that writes to stdout and stderr. A closed pipe never ends a run.

use std::io::{IsTerminal, Write};

pub(super) use crate::text::{escape, escape_lines};

/// A line on stdout.
pub(super) fn out(line: &str) {
    // A reader that went away must not end a run half-way.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line on stderr.
pub(super) fn err(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Text on stdout as it is, such as a script.
pub(super) fn out_all(text: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    // As above: who no longer reads has what they wanted.
    let _ = stdout.write_all(text).and_then(|()| stdout.flush());
}

/// Whether this is a terminal that takes colours (<https://no-color.org>).
pub(super) fn takes_colours(stream: &impl IsTerminal) -> bool {
    let refused = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text in a colour or style (SGR, ECMA-48 8.3.117), where the stream takes colours.
pub(super) fn paint(stream: &impl IsTerminal, colour: &str, text: &str) -> String {
    if takes_colours(stream) { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}
