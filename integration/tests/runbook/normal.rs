//! What differs from one run to the next, taken out of a line.

const UNITS: [&str; 4] = ["µs", "ms", "s", "MiB"];

/// A line in which every word with a figure in it, with its unit, is `#`, and blanks are single.
pub(crate) fn normal(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let follows_figure = words.last() == Some(&"#");
        let is_figure = bare.chars().any(|c| c.is_ascii_digit());
        if follows_figure && (is_figure || UNITS.contains(&bare)) {
            continue;
        }
        words.push(if is_figure { "#" } else { word });
    }
    words.join(" ")
}

#[test]
fn lines_that_differ_in_figures_alone_are_the_same() {
    assert_eq!(normal("time: 2.10 s (out 23 ms, held 900 µs)"), normal("time:  12 ms (out 1.2 ms, held 2.00 s)"));
    assert_eq!(normal("run 20261121T1-web-5d0c ended: undone"), normal("run 2027-web-aa ended: undone"));
    assert_ne!(normal("run 1 ended: undone"), normal("run 1 ended: done"));
}
