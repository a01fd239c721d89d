//! A whole configuration, and what to ask it.

use crate::document::{Document, Place, Span};
use crate::error::ParseError;
use crate::global::Global;
use crate::proxy::Proxy;
use crate::reader::Reader;
use crate::section::Section;
use crate::server::Server;
use crate::server_settings::OnMarkedDown;
use crate::source::{Environment, Source};
use crate::variables::Variables;
use crate::word::{Word, comment, cut};

/// A configuration. Its [`document`](Self::document) gives back what was parsed, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    document: Document,
    sections: Vec<Section>,
    proxies: Vec<Proxy>,
    global: Global,
}

impl Config {
    /// Reads one file of which nothing else is known; `name` is for the errors.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        Self::read(vec![Source::new(name, text)], &Environment::default())
    }

    /// Reads files in the order in which HAProxy is given them. What is not about proxies and their servers is kept and not looked at.
    ///
    /// # Errors
    /// The first place that HAProxy could not read either: a quote that is never closed, a `\x` without digits, conditional blocks that
    /// do not match, a line before any section, a section or server without a name, a `from` without its section.
    pub fn read(sources: Vec<Source>, environment: &Environment) -> Result<Self, ParseError> {
        let document = Document::new(sources);
        let mut reader = Reader::new(environment);
        for file in document.numbered() {
            reader.begin_file();
            for place in document.places(file) {
                reader.line(place, document.line(place)).map_err(|flaw| flaw.at(&document, place))?;
            }
            reader.end_file().map_err(|(place, flaw)| flaw.at(&document, place))?;
        }
        let Reader { sections, proxies, global, .. } = reader;
        Ok(Self { document, sections, proxies, global })
    }

    /// The text as it stands.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Every section of every kind, in the order of the files.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// What the `global` sections say.
    pub fn global(&self) -> &Global {
        &self.global
    }

    /// Every `defaults`, `frontend`, `backend` and `listen` section, in the order of the files.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Every `backend` and `listen` section, in the order of the files.
    pub fn backends(&self) -> impl Iterator<Item = &Proxy> {
        self.proxies.iter().filter(|proxy| proxy.has_servers())
    }

    /// The `backend` or `listen` section of that name; the first, where conditions choose between several.
    pub fn backend(&self, name: &str) -> Option<&Proxy> {
        self.backends_named(name).next()
    }

    /// The server of that name; the first, where conditions choose between several.
    pub fn server(&self, backend: &str, server: &str) -> Option<Server> {
        self.servers_named(backend, server).next()
    }

    /// The words of a line; none where it can't be cut into words. Variables stand as they are written.
    pub fn words(&self, place: Place) -> Vec<Word> {
        cut(self.document.line(place), &Variables::default()).unwrap_or_default()
    }

    /// The first word of a line that says this; else the line from its first word to its last.
    pub fn find(&self, place: Place, text: &str) -> Span {
        let words = self.words(place);
        let whole = words.first().zip(words.last()).map_or(0..0, |(first, last)| first.bytes.start..last.bytes.end);
        let word = words.into_iter().find(|word| word.text == text);
        Span { place, bytes: word.map_or(whole, |word| word.bytes) }
    }

    /// The comment of a line, from its `#` on.
    pub fn comment(&self, place: Place) -> Option<&[u8]> {
        comment(self.document.line(place))
    }

    /// Whether HAProxy cuts the server's sessions when it goes down, or is put in MAINT (`on-marked-down
    /// shutdown-sessions`). `None` where that can't be known: there is no such server, or it depends on a condition or an
    /// environment variable.
    pub fn kills_on_down(&self, backend: &str, server: &str) -> Option<bool> {
        let mut answers = self.servers_named(backend, server).map(|server| {
            let action = server.settings.on_marked_down.known()?;
            Some(*action == OnMarkedDown::ShutdownSessions)
        });
        let first = answers.next()??;
        answers.all(|other| other == Some(first)).then_some(first)
    }

    fn backends_named(&self, name: &str) -> impl Iterator<Item = &Proxy> {
        self.backends().filter(move |proxy| proxy.name.as_deref() == Some(name))
    }

    fn servers_named(&self, backend: &str, server: &str) -> impl Iterator<Item = Server> {
        self.backends_named(backend).flat_map(move |proxy| proxy.named(server))
    }
}
