//! Why a text is no configuration.

use crate::document::{Document, Place};

/// Why a text is no configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct ParseError {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, in one sentence.
    pub what: String,
}

/// What is wrong, before it is known in which line.
#[derive(Debug)]
pub(crate) struct Flaw {
    /// Where in the line, in bytes from 0.
    byte: usize,
    what: String,
}

impl Flaw {
    pub(crate) fn new(byte: usize, what: impl Into<String>) -> Self {
        Self { byte, what: what.into() }
    }

    pub(crate) fn at(self, document: &Document, place: Place) -> ParseError {
        let before = document.line(place).get(..self.byte).unwrap_or_default();
        ParseError {
            file: document.file(place.file).map(|file| file.name().to_owned()).unwrap_or_default(),
            line: place.line,
            column: String::from_utf8_lossy(before).chars().count() + 1,
            what: self.what,
        }
    }
}
