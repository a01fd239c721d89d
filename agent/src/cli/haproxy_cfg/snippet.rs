//! A line of a file with carets below a part of it.

use haproxy_cfg::{Document, Span};

use crate::cli::printer::escape;

/// So much of a long line is shown around the part.
const AROUND: usize = 60;

/// The lines to print: where, the line, and the carets.
pub(super) fn snippet(document: &Document, span: &Span) -> Vec<String> {
    let line = document.line(span.place);
    let part =
        |range: std::ops::Range<usize>| String::from_utf8_lossy(line.get(range).unwrap_or_default()).into_owned();
    let (begin, end) = (span.bytes.start.min(line.len()), span.bytes.end.min(line.len()));
    let before = escape(&part(0..begin).replace('\t', " "));
    let marked = escape(&part(begin..end.max(begin)));
    let after = escape(&part(end.max(begin)..line.len()));
    let (cut, before) = last_of(&before);
    let after: String = after.chars().take(AROUND).collect();
    let number = span.place.line.to_string();
    let margin = " ".repeat(number.len());
    let column = part(0..begin).chars().count() + 1;
    let carets = "^".repeat(marked.chars().count().max(1));
    vec![
        format!("{margin}--> {}:{column}", document.describe(span.place)),
        format!("{margin} |"),
        format!("{number} | {cut}{before}{marked}{after}"),
        format!("{margin} | {}{carets}", " ".repeat(cut.chars().count() + before.chars().count())),
    ]
}

fn last_of(text: &str) -> (&'static str, String) {
    let count = text.chars().count();
    if count <= AROUND {
        return ("", text.to_owned());
    }
    ("…", text.chars().skip(count - AROUND).collect())
}
