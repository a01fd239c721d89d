//! A whole file, and what to ask it.

use std::fmt;

use crate::error::ParseError;
use crate::proxy::Proxy;
use crate::reader::Reader;
use crate::server::Server;
use crate::server_settings::OnMarkedDown;
use crate::word::cut;

/// A configuration file. Its [`Display`](fmt::Display) gives back the text that was parsed, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Every line as it stands, with its end.
    lines: Vec<String>,
    proxies: Vec<Proxy>,
}

impl Config {
    /// Reads the text of a file; `name` is for the errors. What is not about proxies and their servers is kept and not
    /// looked at. The file is taken as the only one that HAProxy reads.
    ///
    /// # Errors
    ///
    /// The first place that HAProxy could not read either: a quote that is never closed, a `\x` without digits,
    /// conditional blocks that do not match, a section or server without a name, a `from` without its section.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        let lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(&lines) {
            let read = cut(line).and_then(|words| reader.line(number, &words));
            read.map_err(|flaw| flaw.at(name, number))?;
        }
        let proxies = reader.finish().map_err(|(line, flaw)| flaw.at(name, line))?;
        Ok(Self { lines, proxies })
    }

    /// Every `backend` and `listen` section, in the order of the file.
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

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| f.write_str(line))
    }
}
