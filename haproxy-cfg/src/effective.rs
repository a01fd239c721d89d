//! A setting as it takes effect.

use crate::document::Place;

/// A setting as it takes effect, and the line that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effective<T> {
    /// The value is sure.
    Known {
        /// What it is.
        value: T,
        /// The line that gives it; `None` where it is HAProxy's own default.
        place: Option<Place>,
    },
    /// The value depends on a condition or a variable that is not known, or is none that HAProxy would take.
    Unknown {
        /// The line that makes it so.
        place: Place,
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

    /// Whether it is surely that.
    pub fn is<U: ?Sized>(&self, value: &U) -> bool
    where
        T: PartialEq<U>,
    {
        self.known().is_some_and(|known| known == value)
    }

    /// The line that decides; `None` where it is HAProxy's own default.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Known { place, .. } => *place,
            Self::Unknown { place } => Some(*place),
        }
    }

    /// HAProxy's own default.
    pub(crate) fn default(value: T) -> Self {
        Self::Known { value, place: None }
    }

    /// What the line says; `None` if it can't be read.
    pub(crate) fn at(at: At, value: Option<T>) -> Self {
        match value {
            Some(value) if !at.conditional => Self::Known { value, place: Some(at.place) },
            _ => Self::Unknown { place: at.place },
        }
    }

    pub(crate) fn set(&mut self, at: At, value: Option<T>) {
        *self = Self::at(at, value);
    }
}

/// A line that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) place: Place,
    /// Whether HAProxy may skip it.
    pub(crate) conditional: bool,
}

/// Declares a set of settings: each with its type, what it is where nothing is said, and how all of them become unknown at once.
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: crate::effective::Effective<$type>,)*
        }

        impl $name {
            /// What HAProxy takes where nothing is said.
            pub(crate) fn of_haproxy() -> Self {
                Self { $($field: crate::effective::Effective::default($default),)* }
            }

            /// What can't be known because of this line.
            pub(crate) fn unknown(place: crate::document::Place) -> Self {
                Self { $($field: crate::effective::Effective::Unknown { place },)* }
            }
        }
    };
}
pub(crate) use settings;
