//! Following a file from line to line: which section is open, which `defaults` count, and what is conditional.

use std::collections::BTreeSet;

use crate::effective::Place;
use crate::error::Flaw;
use crate::proxy::{Profile, Proxy, ProxyKind};
use crate::word::Word;

/// Keywords that begin a section without servers of ours (configuration manual, 2.2 to 3.4).
const OTHER_SECTIONS: &[&str] = &[
    "acme",
    "cache",
    "crt-store",
    "fcgi-app",
    "global",
    "healthcheck",
    "http-errors",
    "log-forward",
    "log-profile",
    "mailers",
    "namespace_list",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

/// Reads one line after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    proxies: Vec<Proxy>,
    state: State,
    blocks: Vec<Block>,
}

/// What the meaning of the next line depends on. After a conditional block there may be more than one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// The section that is open: its index among the proxies; `None` for any other section.
    section: BTreeSet<Option<usize>>,
    /// The `defaults` section that the next proxy starts from; `None` while there is none.
    defaults: BTreeSet<Option<usize>>,
}

impl Default for State {
    fn default() -> Self {
        Self { section: BTreeSet::from([None]), defaults: BTreeSet::from([None]) }
    }
}

/// An `.if` that waits for its `.endif`. No condition is evaluated: most of them depend on the environment, or on the
/// HAProxy that will read the file.
#[derive(Debug)]
struct Block {
    line: usize,
    column: usize,
    /// Where each branch begins.
    before: State,
    /// Where the branches so far may have ended.
    after: Option<State>,
    has_else: bool,
}

impl Reader {
    /// Reads the words of one line.
    pub(crate) fn line(&mut self, number: usize, words: &[Word]) -> Result<(), Flaw> {
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        match first.text.as_str() {
            ".if" => self.open(number, first.column),
            ".elif" => return self.next_branch(first, false),
            ".else" => return self.next_branch(first, true),
            ".endif" => return self.close(first),
            // The others print a message, or do nothing.
            directive if directive.starts_with('.') => {}
            "defaults" => return self.proxy(number, ProxyKind::Defaults, first, rest),
            "frontend" => return self.proxy(number, ProxyKind::Frontend, first, rest),
            "backend" => return self.proxy(number, ProxyKind::Backend, first, rest),
            "listen" => return self.proxy(number, ProxyKind::Listen, first, rest),
            other if OTHER_SECTIONS.contains(&other) => self.state.section = BTreeSet::from([None]),
            _ => return self.inside(number, words),
        }
        Ok(())
    }

    /// Every proxy of the file, or the line of a block that is never closed.
    pub(crate) fn finish(self) -> Result<Vec<Proxy>, (usize, Flaw)> {
        match self.blocks.last() {
            Some(block) => Err((block.line, Flaw::new(block.column, "this .if has no .endif"))),
            None => Ok(self.proxies),
        }
    }

    /// A line that begins a proxy section.
    fn proxy(&mut self, line: usize, kind: ProxyKind, keyword: &Word, words: &[Word]) -> Result<(), Flaw> {
        let place = Place { line, conditional: !self.blocks.is_empty() };
        let (name, from) = match words {
            [from, source] if kind == ProxyKind::Defaults && from.text == "from" => (None, Some(source)),
            [name, from, source, ..] if from.text == "from" => (Some(name), Some(source)),
            [name, ..] => (Some(name), None),
            [] if kind == ProxyKind::Defaults => (None, None),
            [] => {
                return Err(Flaw::new(keyword.column, format!("{} needs a name", keyword.text)));
            }
        };
        let profile = match (from, kind) {
            (Some(source), _) => self.profile_named(source, line)?,
            (None, ProxyKind::Defaults) => Profile::of_haproxy(),
            (None, _) => self.profile_before(line),
        };
        let name = name.and_then(Word::known).map(str::to_owned);
        let index = self.proxies.len();
        self.proxies.push(Proxy::new(place, kind, name, profile));
        self.state.section = BTreeSet::from([Some(index)]);
        if kind == ProxyKind::Defaults {
            self.state.defaults = BTreeSet::from([Some(index)]);
        }
        Ok(())
    }

    /// What the last `defaults` section before this line hands on.
    fn profile_before(&self, line: usize) -> Profile {
        let mut candidates = self.state.defaults.iter();
        match (candidates.next(), candidates.next()) {
            (Some(None), None) => Profile::of_haproxy(),
            (Some(Some(index)), None) => match self.proxies.get(*index) {
                Some(defaults) => defaults.profile(),
                None => Profile::unknown(line),
            },
            _ => Profile::unknown(line),
        }
    }

    /// What the `defaults` section of that name hands on.
    fn profile_named(&self, name: &Word, line: usize) -> Result<Profile, Flaw> {
        let Some(wanted) = name.known() else {
            return Ok(Profile::unknown(line));
        };
        let defaults = self.proxies.iter().filter(|proxy| proxy.kind == ProxyKind::Defaults);
        let mut named = defaults.clone().filter(|proxy| proxy.name.as_deref() == Some(wanted));
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.profile()),
            (Some(_), Some(_)) => Ok(Profile::unknown(line)),
            (None, _) => {
                let what = format!("there is no defaults section named {wanted} before this line");
                Err(Flaw::new(name.column, what))
            }
        }
    }

    /// A line inside a section.
    fn inside(&mut self, line: usize, words: &[Word]) -> Result<(), Flaw> {
        let place = Place { line, conditional: !self.blocks.is_empty() || self.state.section.len() > 1 };
        for index in self.state.section.iter().flatten() {
            if let Some(proxy) = self.proxies.get_mut(*index) {
                proxy.apply(place, words)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, line: usize, column: usize) {
        self.blocks.push(Block { line, column, before: self.state.clone(), after: None, has_else: false });
    }

    fn next_branch(&mut self, keyword: &Word, is_else: bool) -> Result<(), Flaw> {
        let block = self.blocks.last_mut().filter(|block| !block.has_else);
        let Some(block) = block else {
            let what = format!("{} without an .if that waits for it", keyword.text);
            return Err(Flaw::new(keyword.column, what));
        };
        block.has_else = is_else;
        let end = std::mem::replace(&mut self.state, block.before.clone());
        block.ended(end);
        Ok(())
    }

    fn close(&mut self, keyword: &Word) -> Result<(), Flaw> {
        let Some(mut block) = self.blocks.pop() else {
            return Err(Flaw::new(keyword.column, ".endif without an .if"));
        };
        block.ended(self.state.clone());
        if !block.has_else {
            block.ended(block.before.clone());
        }
        self.state = block.after.unwrap_or_default();
        Ok(())
    }
}

impl Block {
    /// A branch may have ended like this.
    fn ended(&mut self, end: State) {
        match &mut self.after {
            Some(after) => {
                after.section.extend(end.section);
                after.defaults.extend(end.defaults);
            }
            None => self.after = Some(end),
        }
    }
}
