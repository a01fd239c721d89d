//! What a probe saw instead of what it wanted.

use std::error::Error;
use std::fmt;
use std::io;

use nix::errno::Errno;

/// What was seen instead, in one line that is safe on a terminal: characters that do not print are escaped, and
/// nothing is longer than [`Failure::LONGEST`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    text: String,
    late: bool,
}

impl Failure {
    /// The longest text, in characters.
    pub const LONGEST: usize = 300;

    /// Something was seen, and it was wrong.
    pub fn new(text: &str) -> Self {
        Self { text: printable(text, Self::LONGEST), late: false }
    }

    /// Nothing was seen in time.
    pub fn late(text: &str) -> Self {
        Self { late: true, ..Self::new(text) }
    }

    /// Whether time ran out, which says less than an answer that was wrong.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// `what: error`, with the kernel's own words where it is the kernel's error.
    pub(super) fn io(what: &str, error: &io::Error) -> Self {
        Self::new(&format!("{what}: {}", io_text(error)))
    }

    /// This, after something else had been seen.
    pub(super) fn after(self, earlier: &Self) -> Self {
        if self.text == earlier.text {
            return self;
        }
        let both = format!("{self}; before that: {earlier}");
        Self { text: both.chars().take(Self::LONGEST).collect(), late: self.late }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {}

/// The error without Rust's `(os error 111)`.
pub(super) fn io_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

/// The error and its causes, leaving out a cause that its effect already quotes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = match error.downcast_ref() {
            Some(error) => io_text(error),
            None => error.to_string(),
        };
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// The text with everything escaped that does not print, and cut after `longest` characters.
pub(super) fn printable(text: &str, longest: usize) -> String {
    let mut escaped = text.chars().flat_map(|c| {
        // Quotes print; escaping them would only make the text harder to read.
        let plain = matches!(c, '"' | '\'').then_some(c);
        plain.into_iter().chain(c.escape_debug().take(if plain.is_some() { 0 } else { usize::MAX }))
    });
    let mut out: String = escaped.by_ref().take(longest).collect();
    if escaped.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_of_the_kernel_is_in_the_kernels_words() {
        let refused = io::Error::from_raw_os_error(111);
        let failure = Failure::io("connect", &refused);
        assert_eq!(failure.to_string(), "connect: Connection refused");
    }

    #[test]
    fn quotes_stay_and_controls_are_escaped() {
        let failure = Failure::new("no \"ok\"\x1b[2J\n\u{202e}é");
        assert_eq!(failure.to_string(), r#"no "ok"\u{1b}[2J\n\u{202e}é"#);
    }

    proptest! {
        #[test]
        fn no_failure_can_move_the_cursor(text in any::<String>()) {
            let shown = Failure::new(&text).to_string();
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.chars().count() <= Failure::LONGEST);
        }
    }
}
