//! `defaults`, `frontend`, `backend` and `listen` (configuration manual, 4).

use crate::document::Place;
use crate::effective::At;
use crate::error::Flaw;
use crate::proxy_settings::ProxySettings;
use crate::server::{Entry, Server};
use crate::server_settings::ServerSettings;
use crate::word::Word;

/// One `defaults`, `frontend`, `backend` or `listen` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Which of them.
    pub kind: ProxyKind,
    /// Its name; `None` where it has none, or where that depends on an environment variable.
    pub name: Option<String>,
    /// The line it begins on.
    pub place: Place,
    /// Whether it stands in an `.if`, so that it may not be there at all; then nothing in it is known.
    pub conditional: bool,
    /// What its lines say, on top of the `defaults` section that it starts from.
    pub settings: ProxySettings,
    default_server: ServerSettings,
    entries: Vec<Entry>,
}

/// The kind of a proxy section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// `defaults`
    Defaults,
    /// `frontend`
    Frontend,
    /// `backend`
    Backend,
    /// `listen`: a frontend and a backend in one.
    Listen,
}

impl Proxy {
    /// A section that begins here, with what a `defaults` section hands on.
    pub(crate) fn new(at: At, kind: ProxyKind, name: Option<String>, from: Profile) -> Self {
        let from = match at.conditional {
            true => Profile::unknown(at.place),
            false => from,
        };
        Self {
            kind,
            name,
            place: at.place,
            conditional: at.conditional,
            settings: from.settings,
            default_server: from.default_server,
            entries: Vec::new(),
        }
    }

    /// What it hands on, if it is a `defaults` section.
    pub(crate) fn profile(&self) -> Profile {
        Profile { settings: self.settings.clone(), default_server: self.default_server.clone() }
    }

    /// Whether servers may stand in it.
    pub fn has_servers(&self) -> bool {
        matches!(self.kind, ProxyKind::Backend | ProxyKind::Listen)
    }

    /// Its servers, with those of every `server-template`, in the order of the file. A server whose name depends on an
    /// environment variable is left out.
    pub fn servers(&self) -> impl Iterator<Item = Server> {
        self.entries.iter().flat_map(Entry::servers)
    }

    /// One server for each line: of a `server-template` the first.
    pub fn server_lines(&self) -> impl Iterator<Item = Server> {
        self.entries.iter().filter_map(|entry| entry.servers().next())
    }

    /// Its server of that name.
    pub fn server(&self, name: &str) -> Option<Server> {
        self.named(name).next()
    }

    /// Every line that gives a server of that name: more than one where conditions choose between them.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = Server> {
        self.entries.iter().filter_map(move |entry| entry.named(name))
    }

    /// Applies one line of the section.
    pub(crate) fn apply(&mut self, at: At, words: &[Word]) -> Result<(), Flaw> {
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        match first.known() {
            Some("server" | "server-template") if self.has_servers() => {
                self.entries.push(Entry::read(at, words, &self.default_server)?);
            }
            Some("default-server") => self.default_server.apply(at, rest),
            Some(keyword) => self.settings.apply(at, keyword, rest),
            None => {
                self.settings = ProxySettings::unknown(at.place);
                self.default_server = ServerSettings::unknown(at.place);
            }
        }
        Ok(())
    }
}

/// What a `defaults` section hands on.
#[derive(Debug)]
pub(crate) struct Profile {
    settings: ProxySettings,
    default_server: ServerSettings,
}

impl Profile {
    /// Where there is no `defaults` section.
    pub(crate) fn of_haproxy() -> Self {
        Self { settings: ProxySettings::of_haproxy(), default_server: ServerSettings::of_haproxy() }
    }

    /// What can't be known because of this line.
    pub(crate) fn unknown(place: Place) -> Self {
        Self { settings: ProxySettings::unknown(place), default_server: ServerSettings::unknown(place) }
    }
}
