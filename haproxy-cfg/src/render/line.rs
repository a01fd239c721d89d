//! A `server` line: its name, its address, and its settings one by one.

use super::edit::Edit;
use crate::config::Config;
use crate::document::Place;
use crate::server_settings::takes_a_value;
use crate::word::Word;

/// Settings that belong to one entry alone, so that its twin must not have them. Whether it is disabled is said of the server.
const OF_ONE_ENTRY: &[&str] = &["backup", "guid", "id", "no-backup", "port", "track"];

/// A line that begins with `server`, of which every word is known.
pub(super) struct Line<'c> {
    place: Place,
    text: &'c str,
    name: Word,
    address: Word,
    settings: Vec<Setting>,
}

/// A setting and its value, if it has one.
struct Setting {
    keyword: Word,
    value: Option<Word>,
}

impl<'c> Line<'c> {
    /// The line there, if it is one.
    pub(super) fn read(config: &'c Config, place: Place) -> Option<Self> {
        let text = std::str::from_utf8(config.document().line(place)).ok()?;
        let words = config.words(place);
        if words.iter().any(|word| word.variable) {
            return None;
        }
        let mut words = words.into_iter();
        if words.next()?.text != "server" {
            return None;
        }
        let (name, address) = (words.next()?, words.next()?);
        let mut settings = Vec::new();
        while let Some(keyword) = words.next() {
            let value = if takes_a_value(&keyword.text) { words.next() } else { None };
            settings.push(Setting { keyword, value });
        }
        Some(Self { place, text, name, address, settings })
    }

    /// What stands before its first word.
    pub(super) fn indent(&self) -> &'c str {
        let rest = self.text.trim_start();
        self.text.get(..self.text.len() - rest.len()).unwrap_or_default()
    }

    fn find(&self, keyword: &str) -> Option<&Setting> {
        self.settings.iter().rfind(|setting| setting.keyword.text == keyword)
    }

    /// Gives a setting this value: in place where it has one, else behind another setting, or at the end.
    pub(super) fn set(&self, keyword: &str, value: &str, behind: &str) -> Edit {
        if let Some(written) = self.find(keyword).and_then(|setting| setting.value.as_ref()) {
            return Edit::Replace(self.place, written.bytes.clone(), value.to_owned());
        }
        let at = self.find(behind).map_or_else(|| self.end(), Setting::end);
        self.insert(at, &format!("{keyword} {value}"))
    }

    /// Adds words at the end.
    pub(super) fn append(&self, words: &str) -> Edit {
        self.insert(self.end(), words)
    }

    fn insert(&self, at: usize, words: &str) -> Edit {
        Edit::Replace(self.place, at..at, format!(" {words}"))
    }

    fn end(&self) -> usize {
        self.settings.last().map_or(self.address.bytes.end, Setting::end)
    }

    /// The same server once more under this name, as a backup: spoken to in the same way, checked on its own port.
    pub(super) fn twin(&self, name: &str, more: &[String]) -> String {
        let written = |word: &Word| self.text.get(word.bytes.clone()).unwrap_or_default();
        let mut words = vec!["server", name, written(&self.address)];
        let shared = self.settings.iter().filter(|setting| !OF_ONE_ENTRY.contains(&setting.keyword.text.as_str()));
        for setting in shared {
            words.push(written(&setting.keyword));
            words.extend(setting.value.as_ref().map(written));
        }
        words.extend(more.iter().map(String::as_str));
        words.push("backup");
        format!("{}{}", self.indent(), words.join(" "))
    }

    /// The entry's name.
    pub(super) fn name(&self) -> &str {
        &self.name.text
    }
}

impl Setting {
    fn end(&self) -> usize {
        self.value.as_ref().unwrap_or(&self.keyword).bytes.end
    }
}
