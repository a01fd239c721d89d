//! What environment variables say where the file is read: those that HAProxy starts with, and what `setenv` and its like make of them.

use std::collections::BTreeMap;

use crate::effective::At;
use crate::source::Environment;
use crate::word::Word;

/// What is known of the variables at one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// Those that the file has set; `None` where it is not known to what.
    set: BTreeMap<String, Option<Value>>,
    /// All others; `None` where they are not known.
    start: Option<BTreeMap<String, String>>,
    undefined: Undefined,
}

/// What HAProxy makes of a variable that is not set, where the closing quote follows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Undefined {
    /// Nothing: the word ends.
    Empty,
    /// The quote and the white space after it are passed over as well: the next word goes on with this one.
    Joins,
    /// One of them.
    #[default]
    Unknown,
}

impl Undefined {
    /// As seen with 2.6 on one side, 3.0 and 3.2 on the other; it changed between (HAProxy's issue 2367), and again after (2944).
    fn of(version: Option<[u32; 3]>) -> Self {
        match version {
            Some([major, minor, _]) if (major, minor) < (2, 7) => Self::Empty,
            Some([3, 0..=2, _]) => Self::Joins,
            _ => Self::Unknown,
        }
    }
}

/// What a variable says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// That.
    Text(String),
    /// It is not set.
    Undefined,
}

impl Variables {
    pub(crate) fn new(environment: &Environment) -> Self {
        let undefined = Undefined::of(environment.version);
        Self { set: BTreeMap::new(), start: environment.variables.clone(), undefined }
    }

    /// What becomes of a variable that is not set, where the closing quote follows it.
    pub(crate) fn undefined(&self) -> Undefined {
        self.undefined
    }

    /// What it says; `None` where that is not known. Names that HAProxy itself sets are not known.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        if let Some(set) = self.set.get(name) {
            return set.clone();
        }
        if name.starts_with("HAPROXY_") || name.starts_with('.') {
            return None;
        }
        let start = self.start.as_ref()?;
        Some(start.get(name).map_or(Value::Undefined, |text| Value::Text(text.clone())))
    }

    /// What a line of a `global` section makes of them.
    pub(crate) fn apply(&mut self, at: At, words: &[Word]) {
        let is_sure = !at.conditional && words.iter().all(|word| word.known().is_some());
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        match texts.as_slice() {
            ["setenv", name, value, ..] => self.set(name, is_sure.then_some(*value)),
            ["presetenv", name, value, ..] => self.preset(name, is_sure.then_some(*value)),
            ["unsetenv", names @ ..] => names.iter().for_each(|name| self.unset(name, is_sure)),
            ["resetenv", names @ ..] => self.reset(names, is_sure),
            _ => {}
        }
    }

    /// `setenv`; `None` where the line may be skipped, or its words are not known.
    fn set(&mut self, name: &str, value: Option<&str>) {
        self.set.insert(name.to_owned(), value.map(|value| Value::Text(value.to_owned())));
    }

    /// `presetenv`: only where it is not set yet.
    fn preset(&mut self, name: &str, value: Option<&str>) {
        match self.get(name) {
            Some(Value::Text(_)) => {}
            Some(Value::Undefined) => self.set(name, value),
            None => self.set(name, None),
        }
    }

    /// `unsetenv`
    fn unset(&mut self, name: &str, is_sure: bool) {
        self.set.insert(name.to_owned(), is_sure.then_some(Value::Undefined));
    }

    /// `resetenv`: all but these are gone.
    fn reset(&mut self, kept: &[&str], is_sure: bool) {
        if !is_sure {
            *self = Self { undefined: self.undefined, ..Self::default() };
            return;
        }
        let kept = kept.iter().map(|name| ((*name).to_owned(), self.get(name))).collect();
        *self = Self { set: kept, start: Some(BTreeMap::new()), undefined: self.undefined };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn text(text: &str) -> Option<Value> {
        Some(Value::Text(text.to_owned()))
    }

    #[test]
    fn what_the_file_sets_counts_and_what_nobody_tells_is_unknown() {
        let mut variables = Variables::default();
        assert_eq!(variables.get("A"), None);
        variables.set("A", Some("1"));
        variables.preset("A", Some("2"));
        variables.preset("B", Some("2"));
        assert_eq!((variables.get("A"), variables.get("B")), (text("1"), None));
        variables.unset("A", true);
        assert_eq!(variables.get("A"), Some(Value::Undefined));
        variables.set("A", None);
        assert_eq!(variables.get("A"), None);
    }

    #[test]
    fn a_known_environment_decides_and_a_reset_leaves_only_what_is_named() {
        let start = [("A", "1"), ("B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment { variables: Some(start.into()), ..Environment::default() };
        let mut variables = Variables::new(&environment);
        assert_eq!((variables.get("A"), variables.get("C")), (text("1"), Some(Value::Undefined)));
        assert_eq!(variables.get("HAPROXY_BRANCH"), None);
        variables.preset("C", Some("3"));
        variables.reset(&["B"], true);
        assert_eq!(
            [variables.get("A"), variables.get("B"), variables.get("C")],
            [Some(Value::Undefined), text("2"), Some(Value::Undefined)]
        );
    }
}
