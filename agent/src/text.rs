//! Text from outside, made safe for a terminal and a log: what would steer them is shown, not obeyed.

/// In one line: control and invisible characters, line breaks too, are written out as in Rust (`\u{1b}`); a tab becomes a space.
/// What prints stays as it is.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => safe.push(' '),
            '"' | '\'' | '\\' => safe.push(character),
            _ => safe.extend(character.escape_debug()),
        }
    }
    safe
}

/// As [`escape`], but line by line; a line break at the end is left out.
pub fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_prints_stays_and_what_steers_is_shown() {
        assert_eq!(escape("a\t\"b\" \\ 'é' → 字"), "a \"b\" \\ 'é' → 字");
        assert_eq!(escape("\u{1b}[2J\r\n\u{202e}\u{9b}"), r"\u{1b}[2J\r\n\u{202e}\u{9b}");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(escape_lines("one\r\ntwo\u{7}\n"), "one\ntwo\\u{7}");
    }

    proptest! {
        #[test]
        fn no_text_can_steer_a_terminal(text in any::<String>()) {
            let steers = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            prop_assert!(!escape(&text).contains(steers));
            prop_assert!(!escape_lines(&text).contains(|c| c != '\n' && steers(c)));
            // What has been made safe stays as it is.
            prop_assert_eq!(escape(&escape(&text)), escape(&text));
        }
    }
}
