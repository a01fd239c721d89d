//! `server` and `server-template` lines (configuration manual, 4.2 and 5).

use std::ops::RangeInclusive;

use crate::address::Address;
use crate::document::Place;
use crate::effective::{At, Effective};
use crate::error::Flaw;
use crate::server_settings::ServerSettings;
use crate::word::{Word, leading_number};

/// One server of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// The line it stands on.
    pub place: Place,
    /// Its address as written, with the port; variables in it are replaced.
    pub address: Effective<String>,
    /// Its port; `None` where the address has none, or one that is relative to the client's.
    pub port: Effective<Option<u16>>,
    /// Where the health check connects: `port`, or else the server's own.
    pub check_port: Effective<Option<u16>>,
    /// Everything after the address, on top of the `default-server` lines before it.
    pub settings: ServerSettings,
}

/// A `server` or `server-template` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    names: Names,
    /// Everything else, under the name of the line.
    shared: Server,
}

/// The names that a line gives.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// `server`: its own.
    One,
    /// `server-template`: the name with each of these numbers. Kept as a range, which may be of any length.
    Numbered(RangeInclusive<u32>),
    /// They depend on the environment.
    Unknown,
}

impl Entry {
    /// Reads a line that begins with `server` or `server-template`, on top of the `default-server` lines before it.
    pub(crate) fn read(at: At, words: &[Word], defaults: &ServerSettings) -> Result<Self, Flaw> {
        let template = words.first().and_then(Word::known) == Some("server-template");
        let (name, numbers, address, settings) = match words {
            [_, name, address, settings @ ..] if !template => (name, None, address, settings),
            [_, name, numbers, address, settings @ ..] if template => (name, Some(numbers), address, settings),
            _ => {
                let byte = words.first().map_or(0, |word| word.bytes.start);
                let what = match template {
                    true => "server-template needs a prefix, how many, and an address",
                    false => "server needs a name and an address",
                };
                return Err(Flaw::new(byte, what));
            }
        };
        let names = match (name.known(), numbers) {
            (None, _) => Names::Unknown,
            (Some(_), None) => Names::One,
            (Some(_), Some(numbers)) => match numbers.variable {
                true => Names::Unknown,
                false => Names::Numbered(
                    range(&numbers.text)
                        .ok_or_else(|| Flaw::new(numbers.bytes.start, "expected how many servers, as in 3 or 1-3"))?,
                ),
            },
        };
        let mut effective = defaults.clone();
        if at.conditional || words.iter().any(|word| word.spreads) {
            effective = ServerSettings::unknown(at.place);
        } else {
            effective.apply(at, settings);
        }
        let port = Effective::at(at, address.known().map(|address| Address::read(address).port()));
        Ok(Self {
            names,
            shared: Server {
                name: name.text.clone(),
                place: at.place,
                address: Effective::at(at, address.known().map(str::to_owned)),
                port,
                check_port: match effective.port {
                    Effective::Known { value: None, .. } => port,
                    set => set,
                },
                settings: effective,
            },
        })
    }

    /// The server of that name, if this line gives it.
    pub(crate) fn named(&self, name: &str) -> Option<Server> {
        let gives = match &self.names {
            Names::One => self.shared.name == name,
            Names::Numbered(numbers) => {
                let suffix = name.strip_prefix(&self.shared.name)?;
                let number = suffix.parse().ok()?;
                // Rust reads `+1` and `01` as well; HAProxy writes neither.
                numbers.contains(&number) && number.to_string() == suffix
            }
            Names::Unknown => false,
        };
        gives.then(|| self.with_name(name.to_owned()))
    }

    /// Every server that this line gives; none where their names depend on the environment.
    pub(crate) fn servers(&self) -> impl Iterator<Item = Server> {
        let (one, numbers) = match &self.names {
            Names::One => (Some(self.shared.name.clone()), None),
            Names::Numbered(numbers) => (None, Some(numbers.clone())),
            Names::Unknown => (None, None),
        };
        let numbered = numbers.into_iter().flatten();
        let names = numbered.map(|number| format!("{}{number}", self.shared.name));
        one.into_iter().chain(names).map(|name| self.with_name(name))
    }

    fn with_name(&self, name: String) -> Server {
        Server { name, ..self.shared.clone() }
    }
}

/// `3` or `1-3`
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    match text.split_once('-') {
        Some((low, high)) => Some(leading_number(low)?..=leading_number(high)?),
        None => Some(1..=leading_number(text).filter(|count| *count > 0)?),
    }
}
