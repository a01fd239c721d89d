//! A line of a file with carets below a part of it, as it is seen: wide characters count twice, what would steer a terminal is written
//! out, and a line that is too long is cut around the part.

use std::ops::Range;

use console::measure_text_width;
use haproxy_cfg::{Document, Span};

use crate::cli::printer::escape;

/// So wide is a line where nobody looks at it on a terminal.
const PIPED: usize = 160;
/// Narrower is not cut: nothing could be read.
const NARROWEST: usize = 20;

/// How many columns there are to write in.
pub(super) fn columns(terminal: &console::Term) -> usize {
    let size = terminal.is_term().then(|| terminal.size_checked()).flatten();
    size.map_or(PIPED, |(_, columns)| usize::from(columns))
}

/// The column of a byte, in characters from 1.
pub(super) fn column(line: &[u8], byte: usize) -> usize {
    String::from_utf8_lossy(line.get(..byte).unwrap_or(line)).chars().count() + 1
}

/// The lines to print for a part of a document.
pub(super) fn snippet(document: &Document, span: &Span, columns: usize) -> Vec<String> {
    let place = document.describe(span.place);
    draw(&place, span.place.line, document.line(span.place), span.bytes.clone(), columns)
}

/// The lines to print: where, the line, and the carets.
pub(super) fn draw(place: &str, number: u32, line: &[u8], bytes: Range<usize>, columns: usize) -> Vec<String> {
    let text = |range: Range<usize>| String::from_utf8_lossy(line.get(range).unwrap_or_default()).into_owned();
    let begin = bytes.start.min(line.len());
    let end = bytes.end.clamp(begin, line.len());
    let column = column(line, begin);
    let [before, marked, after] = [0..begin, begin..end, end..line.len()].map(|range| escape(&text(range)));
    let carets = measure_text_width(&before)..measure_text_width(&before) + measure_text_width(&marked).max(1);

    let number = number.to_string();
    let margin = " ".repeat(number.len());
    let room = columns.saturating_sub(number.len() + " | ".len()).max(NARROWEST);
    let (shown, carets) = cut(format!("{before}{marked}{after}").trim_end(), carets, room);
    vec![
        format!("{margin}--> {}:{column}", escape(place)),
        format!("{margin} |"),
        format!("{number} | {shown}"),
        format!("{margin} | {}{}", " ".repeat(carets.start), "^".repeat(carets.len())),
    ]
}

/// What fits of a text, with a part of it in sight, and where that part is then.
fn cut(text: &str, part: Range<usize>, room: usize) -> (String, Range<usize>) {
    let whole = measure_text_width(text);
    // A caret may point behind the end.
    if whole.max(part.end) <= room {
        return (text.to_owned(), part);
    }
    let room = room.saturating_sub("……".chars().count());
    let first = part.start.saturating_sub(room / 3).min(whole.saturating_sub(room));
    let (mut shown, mut begin, mut column) = (String::new(), None, 0);
    for character in text.chars() {
        let next = column + measure_text_width(character.encode_utf8(&mut [0; 4]));
        if column >= first && next <= first + room {
            begin.get_or_insert(column);
            shown.push(character);
        }
        column = next;
    }
    let begin = begin.unwrap_or(first);
    let (left, right) = (if begin > 0 { "…" } else { "" }, if first + room < whole { "…" } else { "" });
    let shift = |column: usize| column.saturating_sub(begin) + measure_text_width(left);
    let end = part.end.min(first + room).max(part.start + 1);
    (format!("{left}{shown}{right}"), shift(part.start)..shift(end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn drawn(line: &str, marked: &str, columns: usize) -> [String; 2] {
        let begin = line.find(marked).unwrap();
        let lines = draw("f", 7, line.as_bytes(), begin..begin + marked.len(), columns);
        [lines[2].clone(), lines[3].clone()]
    }

    #[test]
    fn carets_stand_below_what_they_mark() {
        assert_eq!(drawn("  server a", "a", 80), ["7 |   server a", "  |          ^"]);
        assert_eq!(drawn("\tserver\ta", "a", 80), ["7 |  server a", "  |         ^"]);
        assert_eq!(drawn("# über 字: é", "é", 80), ["7 | # über 字: é", "  |            ^"]);
        assert_eq!(drawn("字字 x", "字字", 80), ["7 | 字字 x", "  | ^^^^"]);
        assert_eq!(drawn("a\u{1b}[2J b", "b", 80), [r"7 | a\u{1b}[2J b", "  |            ^"]);
        assert_eq!(draw("f", 7, b"a \xff b", 4..5, 80)[2..], ["7 | a \u{fffd} b", "  |     ^"]);
        assert_eq!(draw("f", 7, b"ab", 2..2, 80)[2..], ["7 | ab", "  |   ^"]);
        assert_eq!(draw("f", 7, b"", 0..0, 80), [" --> f:1", "  |", "7 | ", "  | ^"]);
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_marked() {
        let long = format!("{} mark {}", "a".repeat(50), "b".repeat(50));
        assert_eq!(drawn(&long, "mark", 34), ["7 | …aaaaaaaa mark bbbbbbbbbbbbbb…", "  |           ^^^^"]);
        assert_eq!(drawn(&long, &long, 34), ["7 | aaaaaaaaaaaaaaaaaaaaaaaaaaaa…", "  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^"]);
        assert_eq!(drawn(&long, "bbb", 200)[0], format!("7 | {long}"));
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_the_terminal(line in "\\PC{0,80}", from in 0..90_usize, length in 0..90_usize, columns in 24..120_usize) {
            let bytes = from..from + length;
            let lines = draw("f", 7, line.as_bytes(), bytes, columns);
            for line in &lines[2..] {
                prop_assert!(measure_text_width(line.trim_end()) <= columns + 1, "{line:?}");
            }
            let carets = lines[3].trim_start_matches("  | ").trim();
            prop_assert!(!carets.is_empty() && carets.chars().all(|caret| caret == '^'), "{lines:?}");
        }
    }
}
