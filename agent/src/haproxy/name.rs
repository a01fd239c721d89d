//! Names that may stand in a command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a backend or server: one or more of `A-Z a-z 0-9 _ . : -`, which is all that HAProxy itself
/// accepts in its configuration (`invalid_char()` in its `tools.c`).
///
/// Nothing else can reach the admin socket: a `;`, space or newline in a name would be a second command,
/// a leading `#` an id and a leading `@` another process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a [`Name`] or a [`ServerId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name must not be empty")]
    Empty,
    /// A character that HAProxy does not allow in a name.
    #[error("{character:?} is not allowed in a HAProxy name (letters, digits, `_`, `.`, `:` and `-` are)")]
    Character {
        /// The first such character.
        character: char,
    },
    /// A server without its backend.
    #[error("expected backend/server, as in \"srvs/webA\"")]
    NoBackend,
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
        match text.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(NameError::Character { character }),
            None if text.is_empty() => Err(NameError::Empty),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One server entry of HAProxy, written `backend/server`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerId {
    /// The backend (or `listen` section) it stands in.
    pub backend: Name,
    /// Its own name.
    pub server: Name,
}

impl FromStr for ServerId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (backend, server) = text.split_once('/').ok_or(NameError::NoBackend)?;
        Ok(Self { backend: backend.parse()?, server: server.parse()? })
    }
}

impl TryFrom<String> for ServerId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ServerId> for String {
    fn from(id: ServerId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}
