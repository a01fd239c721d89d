//! No text, however broken, brings the reader down.

use proptest::prelude::*;

use super::{FULL, parse};

/// Reads, and shows the error if there is one.
fn read(text: &str) {
    if let Err(error) = parse(text) {
        let shown = error.to_string();
        assert!(shown.lines().all(|line| line.chars().count() < 1000), "{shown}");
        if let Some(position) = &error.position {
            assert!(position.line >= 1 && position.line <= text.matches('\n').count() + 1);
            assert!(position.column >= 1);
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_text_of_toml_signs_is_read_or_refused(text in "([a-z]{1,3}|[\\[\\]{}=.,\"'#\\\\\n \u{fc}]|apps|web|ready|[0-9]{1,3}){0,60}") {
        read(&text);
    }

    #[test]
    fn a_mutilated_example_is_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..8, "[\\PC\n]{0,4}"), 1..5),
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (place, removed, added) in cuts {
            let start = place.index(text.len());
            let end = (start + removed).min(text.len());
            text.splice(start..end, added.chars());
        }
        read(&text.into_iter().collect::<String>());
    }

    #[test]
    fn an_example_with_lines_swapped_or_lost_is_read_or_refused(
        lines in prop::sample::subsequence(FULL.lines().collect::<Vec<_>>(), 0..FULL.lines().count()).prop_shuffle(),
    ) {
        read(&lines.join("\n"));
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(place in any::<prop::sample::Index>(), value in "\\PC{0,20}|\"\\PC{0,20}\"|-?[0-9]{1,25}") {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        let keys: Vec<usize> = (0..lines.len()).filter(|index| lines[*index].contains(" = ")).collect();
        let index = keys[place.index(keys.len())];
        let key = lines[index].split(" = ").next().unwrap_or_default().to_owned();
        lines[index] = format!("{key} = {value}");
        read(&lines.join("\n"));
    }
}
