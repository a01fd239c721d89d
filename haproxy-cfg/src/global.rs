//! The `global` sections (configuration manual, 3).

use std::time::Duration;

use crate::address::Address;
use crate::delay::delay;
use crate::effective::{At, Effective, settings};
use crate::word::Word;

settings! {
    /// What the process as a whole is told, as far as a restart has to do with it.
    pub struct GlobalSettings {
        /// `server-state-file`: where states are read from at the start.
        server_state_file: Option<String> = None,
        /// `server-state-base`
        server_state_base: Option<String> = None,
        /// `hard-stop-after`: when an old worker ends with whatever it still serves.
        hard_stop_after: Option<Duration> = None,
        /// `master-worker`
        master_worker: bool = false,
        /// `stats timeout`
        stats_timeout: Duration = Duration::from_secs(10),
    }
}

/// `stats socket`: where commands are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsSocket {
    /// Where it listens, as written; variables in it are replaced.
    pub address: Effective<String>,
    /// What commands it takes.
    pub level: Effective<Level>,
    /// `mode`
    pub mode: Effective<Option<String>>,
    /// Whether `user`, `uid`, `group` or `gid` says who owns it.
    pub owned: Effective<bool>,
    /// Whether it stands in an `.if` that is not decided.
    pub conditional: bool,
}

/// What commands a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It only shows what is not secret.
    User,
    /// It shows everything.
    Operator,
    /// It takes servers out and puts them back.
    Admin,
}

/// What all `global` sections say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// The single settings.
    pub settings: GlobalSettings,
    /// Every `stats socket`.
    pub sockets: Vec<StatsSocket>,
}

impl Default for Global {
    fn default() -> Self {
        Self { settings: GlobalSettings::of_haproxy(), sockets: Vec::new() }
    }
}

impl StatsSocket {
    /// Whether it listens on TCP.
    pub fn is_tcp(&self) -> Option<bool> {
        let address = Address::read(self.address.known()?);
        Some(matches!(address, Address::Network { .. }))
    }

    fn read(at: At, words: &[Word]) -> Self {
        let (address, parameters) = words.split_first().unzip();
        let mut socket = Self {
            address: Effective::at(at, address.and_then(Word::known).map(str::to_owned)),
            level: Effective::default(Level::Operator),
            mode: Effective::default(None),
            owned: Effective::default(false),
            conditional: at.conditional,
        };
        let mut parameters = parameters.unwrap_or_default().iter();
        while let Some(parameter) = parameters.next() {
            match parameter.known() {
                Some("level") => socket.level.set(at, parameters.next().and_then(level)),
                Some("mode") => {
                    let mode = parameters.next().and_then(Word::known).map(|mode| Some(mode.to_owned()));
                    socket.mode.set(at, mode);
                }
                Some("user" | "uid" | "group" | "gid") => {
                    parameters.next();
                    socket.owned.set(at, Some(true));
                }
                Some(_) => {}
                None => {
                    socket.level.set(at, None);
                    socket.mode.set(at, None);
                    socket.owned.set(at, None);
                }
            }
        }
        socket
    }
}

fn level(word: &Word) -> Option<Level> {
    match word.known()? {
        "user" => Some(Level::User),
        "operator" => Some(Level::Operator),
        "admin" => Some(Level::Admin),
        _ => None,
    }
}

impl Global {
    /// Applies one line of a section.
    pub(crate) fn apply(&mut self, at: At, words: &[Word]) {
        let Some((keyword, rest)) = words.split_first() else { return };
        let first = rest.first();
        let text = || first.and_then(Word::known).map(|text| Some(text.to_owned()));
        match (keyword.known(), first.and_then(Word::known)) {
            (Some("stats"), Some("socket")) => {
                self.sockets.push(StatsSocket::read(at, rest.get(1..).unwrap_or_default()));
            }
            (Some("stats"), Some("timeout")) => self.settings.stats_timeout.set(at, delay(rest.get(1))),
            (Some("server-state-file"), _) => self.settings.server_state_file.set(at, text()),
            (Some("server-state-base"), _) => self.settings.server_state_base.set(at, text()),
            (Some("hard-stop-after"), _) => self.settings.hard_stop_after.set(at, delay(first).map(Some)),
            (Some("master-worker"), _) => self.settings.master_worker.set(at, Some(true)),
            (None, _) => self.settings = GlobalSettings::unknown(at.place),
            (Some(_), _) => {}
        }
    }
}
