//! A setting as it takes effect.

/// A setting as it takes effect, and the line that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effective<T> {
    /// The value is sure.
    Known {
        /// What it is.
        value: T,
        /// The line that gives it, from 1; `None` where it is HAProxy's own default.
        line: Option<usize>,
    },
    /// The value depends on an `.if` or an environment variable, or is none that HAProxy would take.
    Unknown {
        /// The line that makes it so, from 1.
        line: usize,
    },
}

impl<T> Effective<T> {
    /// The value, if it is sure.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// The line that decides; `None` where it is HAProxy's own default.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Known { line, .. } => *line,
            Self::Unknown { line } => Some(*line),
        }
    }

    /// HAProxy's own default.
    pub(crate) fn default(value: T) -> Self {
        Self::Known { value, line: None }
    }

    /// What the line at this place says; `None` if it can't be read.
    pub(crate) fn at(place: Place, value: Option<T>) -> Self {
        match value {
            Some(value) if !place.conditional => Self::Known { value, line: Some(place.line) },
            _ => Self::Unknown { line: place.line },
        }
    }

    pub(crate) fn set(&mut self, place: Place, value: Option<T>) {
        *self = Self::at(place, value);
    }
}

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its number, from 1.
    pub(crate) line: usize,
    /// Whether HAProxy may skip it.
    pub(crate) conditional: bool,
}
