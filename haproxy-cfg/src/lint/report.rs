//! Where a finding is, and that it is said once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Backend, Context, Finding, Rule, Severity};
use crate::config::Config;
use crate::document::{Place, Span};
use crate::effective::Effective;
use crate::section::Section;
use crate::server::Server;

/// What was found so far.
pub(super) struct Report<'c> {
    pub(super) config: &'c Config,
    pub(super) context: &'c Context,
    pub(super) findings: Vec<Finding>,
    /// Backend and name of the first server of each line that gives some.
    servers: HashMap<Place, (&'c str, String)>,
    /// Which of the findings is that of a rule at a place.
    seen: HashMap<(Rule, Place, usize), usize>,
}

impl<'c> Report<'c> {
    /// Nothing yet.
    pub(super) fn new(config: &'c Config, context: &'c Context, backends: &[Backend<'c>]) -> Self {
        let of = |backend: &Backend<'c>| {
            let name = backend.proxy.name.as_deref().unwrap_or_default();
            backend.servers.iter().map(|server| (server.place, (name, server.name.clone()))).collect::<Vec<_>>()
        };
        let servers = backends.iter().flat_map(of).collect();
        Self { config, context, findings: Vec::new(), servers, seen: HashMap::new() }
    }

    /// The `global` section; none where it is not sure that there is one. Without, the files are a part of a configuration.
    pub(super) fn global(&self) -> Option<&'c Section> {
        self.config.sections().iter().find(|section| section.keyword == "global" && !section.conditional)
    }

    /// A word of a line, or the whole line where it is not in it. A server's name is none of the words: it may be any of them.
    pub(super) fn find(&self, place: Place, text: &str) -> Span {
        let words = self.config.words(place);
        let first = match words.first() {
            Some(word) if matches!(word.text.as_str(), "server" | "server-template") => 2,
            _ => 1,
        };
        let word = words.iter().skip(first).find(|word| word.text == text);
        word.map_or_else(|| self.config.find(place, text), |word| Span { place, bytes: word.bytes.clone() })
    }

    /// The name of a server, in its line.
    pub(super) fn name_of(&self, server: &Server) -> Span {
        let name = self.config.words(server.place).into_iter().nth(1);
        let place = server.place;
        name.map_or_else(|| self.config.find(place, &server.name), |word| Span { place, bytes: word.bytes })
    }

    /// Reports what a word of a line says, or the whole line where the word is not in it.
    pub(super) fn at(&mut self, rule: Rule, place: Place, word: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.with(rule, rule.severity(), self.find(place, word), what, fix);
    }

    /// The same for a setting, at the line that gives it; where it is HAProxy's own default, at `or`.
    pub(super) fn setting<T>(
        &mut self,
        rule: Rule,
        setting: &Effective<T>,
        or: Place,
        word: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.at(rule, setting.place().unwrap_or(or), word, what, fix);
    }

    /// Reports a part of the files.
    pub(super) fn with(
        &mut self,
        rule: Rule,
        severity: Severity,
        span: Span,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let servers = self.servers_at(&[span.place]);
        self.add(Finding { rule, severity, span, what: what.into(), fix: fix.into(), see: None, servers });
    }

    /// Reports the first of two parts of the files, and shows the second with it.
    pub(super) fn beside(
        &mut self,
        (rule, severity): (Rule, Severity),
        [span, see]: [Span; 2],
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let servers = self.servers_at(&[span.place, see.place]);
        self.add(Finding { rule, severity, span, what: what.into(), fix: fix.into(), see: Some(see), servers });
    }

    /// Whether the line does not give one server, as `server` does, but several.
    pub(super) fn is_template(&self, line: Place) -> bool {
        self.config.words(line).first().is_none_or(|word| word.text != "server")
    }

    /// The servers of these lines; a template is none.
    fn servers_at(&self, lines: &[Place]) -> Vec<(String, String)> {
        let servers = lines.iter().filter(|line| !self.is_template(**line)).filter_map(|line| self.servers.get(line));
        servers.map(|(backend, server)| ((*backend).to_owned(), server.clone())).collect()
    }

    /// What stands in `defaults` is said once, as bad as it is for the worst of those that inherit it.
    fn add(&mut self, finding: Finding) {
        let place = (finding.rule, finding.span.place, finding.span.bytes.start);
        match self.seen.entry(place) {
            Entry::Vacant(vacant) => {
                vacant.insert(self.findings.len());
                self.findings.push(finding);
            }
            Entry::Occupied(said) => match self.findings.get_mut(*said.get()) {
                Some(said) if said.severity < finding.severity => *said = finding,
                _ => {}
            },
        }
    }
}
