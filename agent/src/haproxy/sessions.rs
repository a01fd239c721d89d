//! `show sess`: one line for each stream.

use super::ServerId;

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The server it is on, if it has one by now.
    pub server: Option<ServerId>,
}

impl Session {
    /// Reads the text of `show sess`. Lines that are no session are ignored.
    pub fn parse_all(text: &str) -> Vec<Self> {
        text.lines()
            .filter(|line| line.starts_with("0x"))
            .map(|line| {
                let field = |key| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.parse().ok());
                let server = field("be=").zip(field("srv=")).map(|(backend, server)| ServerId { backend, server });
                Self { server }
            })
            .collect()
    }
}
