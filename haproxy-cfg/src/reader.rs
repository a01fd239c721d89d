//! Following the files from line to line: which section is open, which `defaults` count, and what is conditional.

use std::collections::{BTreeSet, HashMap};

use crate::block::{Block, Branch, MOST_OPEN, Open, State};
use crate::condition;
use crate::document::Place;
use crate::effective::At;
use crate::error::Flaw;
use crate::expand;
use crate::global::Global;
use crate::proxy::{Profile, Proxy, ProxyKind};
use crate::section::{self, Section};
use crate::source::Environment;
use crate::variables::Variables;
use crate::word::{Word, cut, that_count};

/// HAProxy nests no deeper (`MAXNESTEDCONDS`).
const DEEPEST: usize = 99;

/// Reads one line after the other.
#[derive(Debug)]
pub(crate) struct Reader<'e> {
    environment: &'e Environment,
    variables: Variables,
    pub(crate) sections: Vec<Section>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) global: Global,
    state: State,
    blocks: Vec<Block>,
    /// The `defaults` sections of each name.
    defaults_named: HashMap<String, Vec<usize>>,
    /// Whether there is a `defaults` section whose name is not known.
    has_unknown_defaults: bool,
}

impl<'e> Reader<'e> {
    pub(crate) fn new(environment: &'e Environment) -> Self {
        Self {
            environment,
            variables: Variables::new(environment),
            sections: Vec::new(),
            proxies: Vec::new(),
            global: Global::default(),
            state: State::default(),
            blocks: Vec::new(),
            defaults_named: HashMap::new(),
            has_unknown_defaults: false,
        }
    }

    /// Another file begins: no section reaches from one into the next, while `defaults` do (`readcfgfile()` in HAProxy's
    /// `cfgparse.c`).
    pub(crate) fn begin_file(&mut self) {
        self.state.section = BTreeSet::from([Open::Nothing]);
    }

    /// Reads one line.
    pub(crate) fn line(&mut self, place: Place, line: &[u8]) -> Result<(), Flaw> {
        // A scope, which HAProxy reads and forgets.
        if line.trim_ascii_start().starts_with(b"[") {
            return Ok(());
        }
        if let Some(byte) = line.iter().position(|byte| *byte == 0) {
            return Err(Flaw::new(byte, "HAProxy reads no file with a NUL byte"));
        }
        // Also where it is skipped, a line must be one that can be cut.
        let words = cut(line, &self.variables)?;
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        match first.text.as_str() {
            ".if" => self.open(place, first, rest),
            ".elif" => self.next_branch(first, rest, false),
            ".else" | ".endif" if !that_count(rest).is_empty() => {
                Err(Flaw::new(first.bytes.start, format!("nothing may follow {}", first.text)))
            }
            ".else" => self.next_branch(first, rest, true),
            ".endif" => self.close(first),
            _ if self.is_skipped() => Ok(()),
            directive if directive.starts_with('.') => self.message(first, rest),
            _ => self.statement(place, that_count(&words)),
        }
    }

    /// A line that makes HAProxy say something.
    fn message(&self, directive: &Word, words: &[Word]) -> Result<(), Flaw> {
        let refuse = |what: String| match self.is_conditional() {
            true => Ok(()),
            false => Err(Flaw::new(directive.bytes.start, what)),
        };
        match directive.text.as_str() {
            ".alert" => {
                let said = words.first().map(|word| word.text.as_str()).unwrap_or_default();
                refuse(format!("HAProxy is told to stop here: {said}"))
            }
            ".warning" | ".notice" | ".diag" => Ok(()),
            other => refuse(format!("there is no directive {other}")),
        }
    }

    /// A line that begins a section, or stands in one.
    fn statement(&mut self, place: Place, words: &[Word]) -> Result<(), Flaw> {
        let Some((first, rest)) = words.split_first() else {
            return Ok(());
        };
        match first.text.as_str() {
            "defaults" => return self.proxy(place, ProxyKind::Defaults, first, rest),
            "frontend" => return self.proxy(place, ProxyKind::Frontend, first, rest),
            "backend" => return self.proxy(place, ProxyKind::Backend, first, rest),
            "listen" => return self.proxy(place, ProxyKind::Listen, first, rest),
            other if section::begins(other) => {
                let name = rest.first().and_then(Word::known).map(str::to_owned);
                self.section(place, other, name);
                self.state.section = BTreeSet::from([if other == "global" { Open::Global } else { Open::Other }]);
            }
            _ => return self.inside(place, words),
        }
        Ok(())
    }

    /// The end of a file: every block of it must be closed.
    pub(crate) fn end_file(&mut self) -> Result<(), (Place, Flaw)> {
        match self.blocks.last() {
            Some(block) => Err((block.begin, Flaw::new(block.byte, "this .if has no .endif"))),
            None => Ok(()),
        }
    }

    fn is_skipped(&self) -> bool {
        self.blocks.iter().any(|block| block.branch == Branch::Skipped)
    }

    fn is_conditional(&self) -> bool {
        self.blocks.iter().any(|block| block.branch == Branch::Undecided)
    }

    fn section(&mut self, place: Place, keyword: &str, name: Option<String>) {
        let conditional = self.is_conditional();
        self.sections.push(Section { keyword: keyword.to_owned(), name, place, conditional });
    }

    /// A line that begins a proxy section.
    fn proxy(&mut self, place: Place, kind: ProxyKind, keyword: &Word, words: &[Word]) -> Result<(), Flaw> {
        let at = At { place, conditional: self.is_conditional() };
        let (name, from) = match words {
            [from, source] if kind == ProxyKind::Defaults && from.text == "from" => (None, Some(source)),
            [name, from, source, ..] if from.text == "from" => (Some(name), Some(source)),
            [name, ..] => (Some(name), None),
            [] if kind == ProxyKind::Defaults => (None, None),
            [] => {
                return Err(Flaw::new(keyword.bytes.start, format!("{} needs a name", keyword.text)));
            }
        };
        let profile = match (from, kind) {
            (Some(source), _) => self.profile_named(source, place)?,
            (None, ProxyKind::Defaults) => Profile::of_haproxy(),
            (None, _) => self.profile_before(place),
        };
        self.has_unknown_defaults |= kind == ProxyKind::Defaults && name.is_some_and(|name| name.variable);
        let name = name.and_then(Word::known).map(str::to_owned);
        self.section(place, &keyword.text, name.clone());
        let index = self.proxies.len();
        if let (ProxyKind::Defaults, Some(name)) = (kind, &name) {
            self.defaults_named.entry(name.clone()).or_default().push(index);
        }
        self.proxies.push(Proxy::new(at, kind, name, profile));
        self.state.section = BTreeSet::from([Open::Proxy(index)]);
        if kind == ProxyKind::Defaults {
            self.state.defaults = BTreeSet::from([Some(index)]);
        }
        Ok(())
    }

    /// What the last `defaults` section before this line hands on.
    fn profile_before(&self, place: Place) -> Profile {
        let mut candidates = self.state.defaults.iter();
        match (candidates.next(), candidates.next()) {
            (Some(None), None) => Profile::of_haproxy(),
            (Some(Some(index)), None) => match self.proxies.get(*index) {
                Some(defaults) => defaults.profile(),
                None => Profile::unknown(place),
            },
            _ => Profile::unknown(place),
        }
    }

    /// What the `defaults` section of that name hands on.
    fn profile_named(&self, name: &Word, place: Place) -> Result<Profile, Flaw> {
        let Some(wanted) = name.known() else {
            return Ok(Profile::unknown(place));
        };
        let named = self.defaults_named.get(wanted).map(Vec::as_slice).unwrap_or_default();
        match named {
            _ if self.has_unknown_defaults => Ok(Profile::unknown(place)),
            [only] => Ok(self.proxies.get(*only).map_or_else(|| Profile::unknown(place), Proxy::profile)),
            [_, ..] => Ok(Profile::unknown(place)),
            [] => {
                let what = format!("there is no defaults section named {wanted} before this line");
                Err(Flaw::new(name.bytes.start, what))
            }
        }
    }

    /// A line inside a section.
    fn inside(&mut self, place: Place, words: &[Word]) -> Result<(), Flaw> {
        let first = words.first().map_or(0, |word| word.bytes.start);
        if self.state.section.len() > MOST_OPEN {
            return Err(Flaw::new(
                first,
                format!("by its conditions this line may stand in more than {MOST_OPEN} sections"),
            ));
        }
        let at = At { place, conditional: self.is_conditional() || self.state.section.len() > 1 };
        let words = &*expand::addresses(words, &self.variables);
        for open in &self.state.section {
            match open {
                Open::Proxy(index) => {
                    if let Some(proxy) = self.proxies.get_mut(*index) {
                        proxy.apply(at, words)?;
                    }
                }
                Open::Global => {
                    self.global.apply(at, words);
                    self.variables.apply(at, words);
                }
                Open::Nothing if !at.conditional => {
                    return Err(Flaw::new(first, "this line stands before any section"));
                }
                Open::Nothing | Open::Other => {}
            }
        }
        Ok(())
    }

    fn open(&mut self, place: Place, keyword: &Word, condition: &[Word]) -> Result<(), Flaw> {
        if self.blocks.len() >= DEEPEST {
            return Err(Flaw::new(keyword.bytes.start, format!("HAProxy nests .if at most {DEEPEST} times")));
        }
        let branch = if self.is_skipped() { Branch::Skipped } else { self.decide(keyword, condition)? };
        self.blocks.push(Block::new(place, keyword.bytes.start, branch, self.state.clone()));
        Ok(())
    }

    fn decide(&self, keyword: &Word, condition: &[Word]) -> Result<Branch, Flaw> {
        let holds = condition::holds(condition, self.environment, &self.variables);
        let byte = condition.first().map_or(keyword.bytes.start, |word| word.bytes.start);
        Ok(match holds.map_err(|why| Flaw::new(byte, format!("this condition can't be read: {why}")))? {
            Some(true) => Branch::Read,
            Some(false) => Branch::Skipped,
            None => Branch::Undecided,
        })
    }

    fn next_branch(&mut self, keyword: &Word, condition: &[Word], is_else: bool) -> Result<(), Flaw> {
        let Some(mut block) = self.blocks.pop().filter(|block| !block.has_else) else {
            let what = format!("{} without an .if that waits for it", keyword.text);
            return Err(Flaw::new(keyword.bytes.start, what));
        };
        let wanted = match () {
            () if self.is_skipped() || block.decided == Branch::Read => Branch::Skipped,
            () if is_else => Branch::Read,
            () => self.decide(keyword, condition)?,
        };
        let end = std::mem::replace(&mut self.state, block.before.clone());
        block.next(end, wanted, is_else);
        self.blocks.push(block);
        Ok(())
    }

    fn close(&mut self, keyword: &Word) -> Result<(), Flaw> {
        let Some(block) = self.blocks.pop() else {
            return Err(Flaw::new(keyword.bytes.start, ".endif without an .if"));
        };
        let end = std::mem::take(&mut self.state);
        self.state = block.end(end);
        Ok(())
    }
}
