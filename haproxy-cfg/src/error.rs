//! Why a text is no configuration.

/// Why a text is no configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct ParseError {
    /// The name that was given to [`crate::Config::parse`].
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, in one sentence.
    pub what: String,
}

/// What is wrong, before it is known in which file and line.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) column: usize,
    pub(crate) what: String,
}

impl Flaw {
    pub(crate) fn new(column: usize, what: impl Into<String>) -> Self {
        Self { column, what: what.into() }
    }
    pub(crate) fn at(self, file: &str, line: usize) -> ParseError {
        ParseError { file: file.to_owned(), line, column: self.column, what: self.what }
    }
}
