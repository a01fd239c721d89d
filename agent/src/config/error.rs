//! What is wrong with the configuration, where, and what to type next.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::text::escape;

/// So much of a long line is shown, in characters.
const SHOWN: usize = 100;
/// So much of what is wrong, in characters: it may quote the file.
const LONGEST: usize = 400;

/// A configuration that can't be used.
///
/// `Display` gives the whole for people, over several lines; nothing in it can control a terminal:
///
/// ```text
/// /etc/pitstop/pitstop.toml:12:1: unknown key `sokcet` in [balancers.lb1]
///   12 | sokcet = "/run/haproxy/admin.sock"
///      | ^^^^^^
/// hint: did you mean `socket`?
/// ```
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The place in it; `None` where the file as a whole is refused.
    pub position: Option<Position>,
    /// What is wrong, in one line; safe for a terminal.
    pub what: String,
    /// What to do about it, in one or more lines; safe for a terminal.
    pub hint: Option<String>,
    source: Option<io::Error>,
}

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    excerpt: Box<Excerpt>,
}

/// The line as it is shown, with the part to point at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    before: String,
    marked: String,
    after: String,
}

impl ConfigError {
    /// The file as a whole is refused.
    pub(super) fn whole(file: &Path, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            position: None,
            what: escape(&what.into()),
            hint: Some(hint.into()),
            source: None,
        }
    }

    /// Names the cause.
    pub(super) fn because(self, source: io::Error) -> Self {
        Self { source: Some(source), ..self }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", escape(&self.file.to_string_lossy()))?;
        if let Some(Position { line, column, .. }) = &self.position {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.what)?;
        if let Some(Position { line, excerpt, .. }) = &self.position {
            let Excerpt { before, marked, after } = excerpt.as_ref();
            let gutter = line.to_string().len();
            let indent = before.chars().count();
            let width = marked.chars().count().max(1);
            write!(f, "\n  {line} | {before}{marked}{after}")?;
            write!(f, "\n  {:gutter$} | {:indent$}{}", "", "", "^".repeat(width))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// Something wrong at a place in the text, in bytes.
#[derive(Debug)]
pub(super) struct Fault {
    at: Range<usize>,
    what: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Self { at, what: escape(&first(&what.into(), LONGEST)), hint: None }
    }

    /// Says what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Turns bytes into line and column.
    pub(super) fn into_error(self, file: &Path, text: &str) -> ConfigError {
        ConfigError {
            file: file.to_owned(),
            position: Some(Position::of(text, self.at)),
            what: self.what,
            hint: self.hint,
            source: None,
        }
    }
}

impl Position {
    fn of(text: &str, at: Range<usize>) -> Self {
        let (before, rest) = text.split_at(text.floor_char_boundary(at.start));
        let line = before.matches('\n').count() + 1;
        let start = before.rsplit('\n').next().unwrap_or(before);
        let rest = rest.lines().next().unwrap_or_default();
        let marked = rest.floor_char_boundary(at.end.saturating_sub(at.start));
        let (marked, after) = rest.split_at(marked);
        Self { line, column: start.chars().count() + 1, excerpt: Box::new(Excerpt::cut(start, marked, after)) }
    }
}

impl Excerpt {
    /// Keeps what is nearest to the mark.
    fn cut(before: &str, marked: &str, after: &str) -> Self {
        let marked = first(marked, SHOWN);
        let room = SHOWN.saturating_sub(marked.chars().count());
        let before = last(before, room.saturating_sub(after.chars().count().min(room / 2)));
        let after = first(after, room.saturating_sub(before.chars().count()));
        Self { before: escape(&before), marked: escape(&marked), after: escape(&after) }
    }
}

/// The first `count` characters, with a sign that some are missing.
fn first(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The last `count` characters, with a sign that some are missing.
fn last(text: &str, count: usize) -> String {
    let skipped = text.chars().count().saturating_sub(count);
    match text.char_indices().nth(skipped) {
        Some((start, _)) if skipped > 0 => format!("…{}", text.get(start..).unwrap_or_default()),
        None if skipped > 0 => "…".to_owned(),
        _ => text.to_owned(),
    }
}
