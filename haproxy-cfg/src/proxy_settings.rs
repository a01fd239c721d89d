//! What a backend can set (configuration manual, 4.2).

use std::time::Duration;

use crate::delay::delay;
use crate::effective::{Effective, Place};
use crate::word::{Word, number};

/// What a backend can set, as far as a restart has to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// `balance`: the algorithm; `None` where nothing is said, and HAProxy takes its own.
    pub balance: Effective<Option<String>>,
    /// `hash-type`: whether a server's weight can change while HAProxy runs, where `balance` is by a hash.
    pub hash_type: Effective<HashType>,
    /// `option redispatch`: a request whose server can't be reached may go to another.
    pub redispatch: Effective<bool>,
    /// `option persist`: clients stick even to a server that is down.
    pub persist: Effective<bool>,
    /// `retries`
    pub retries: Effective<u32>,
    /// `timeout check`
    pub timeout_check: Effective<Option<Duration>>,
    /// `timeout server`
    pub timeout_server: Effective<Option<Duration>>,
    /// `timeout tunnel`
    pub timeout_tunnel: Effective<Option<Duration>>,
    /// `http-reuse`
    pub http_reuse: Effective<HttpReuse>,
    /// `cookie`: the name of the cookie by which clients stick.
    pub cookie: Effective<Option<String>>,
}

/// How a hash finds its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashType {
    /// `map-based`: by a table made at the start; weights are fixed.
    MapBased,
    /// `consistent`: by a tree; weights may change.
    Consistent,
}

/// Whether a connection to a server may serve another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpReuse {
    /// `never`
    Never,
    /// `safe`
    Safe,
    /// `aggressive`
    Aggressive,
    /// `always`
    Always,
}

impl ProxySettings {
    /// Whether no server's weight can change while HAProxy runs: `balance static-rr`, or one by a hash that is `map-based`
    /// (configuration manual, 4.2, `balance` and `hash-type`). `None` where that can't be known.
    pub fn has_fixed_weights(&self) -> Option<bool> {
        let Some(algorithm) = self.balance.known()? else {
            return Some(false);
        };
        let name = algorithm.split('(').next().unwrap_or_default();
        match name {
            "static-rr" => Some(true),
            "source" | "uri" | "url_param" | "hdr" | "rdp-cookie" | "hash" => {
                Some(*self.hash_type.known()? == HashType::MapBased)
            }
            _ => Some(false),
        }
    }

    /// What a backend has that nothing is said about.
    pub(crate) fn of_haproxy() -> Self {
        Self {
            balance: Effective::default(None),
            hash_type: Effective::default(HashType::MapBased),
            redispatch: Effective::default(false),
            persist: Effective::default(false),
            retries: Effective::default(3),
            timeout_check: Effective::default(None),
            timeout_server: Effective::default(None),
            timeout_tunnel: Effective::default(None),
            http_reuse: Effective::default(HttpReuse::Safe),
            cookie: Effective::default(None),
        }
    }

    /// What can't be known because of this line.
    pub(crate) fn unknown(line: usize) -> Self {
        Self {
            balance: Effective::Unknown { line },
            hash_type: Effective::Unknown { line },
            redispatch: Effective::Unknown { line },
            persist: Effective::Unknown { line },
            retries: Effective::Unknown { line },
            timeout_check: Effective::Unknown { line },
            timeout_server: Effective::Unknown { line },
            timeout_tunnel: Effective::Unknown { line },
            http_reuse: Effective::Unknown { line },
            cookie: Effective::Unknown { line },
        }
    }

    /// Applies one line of the section.
    pub(crate) fn apply(&mut self, place: Place, keyword: &str, words: &[Word]) {
        let first = words.first();
        let text = || first.and_then(Word::known).map(str::to_owned);
        match keyword {
            "balance" => self.balance.set(place, text().map(Some)),
            "hash-type" => self.hash_type.set(place, text().and_then(|method| hash_type(&method))),
            "retries" => self.retries.set(place, number(first)),
            "cookie" => self.cookie.set(place, text().map(Some)),
            "http-reuse" => self.http_reuse.set(place, text().and_then(|mode| http_reuse(&mode))),
            "timeout" => self.apply_timeout(place, words),
            "option" => self.apply_option(place, words, true),
            "no" | "default" => match words.split_first() {
                Some((option, words)) if option.known() == Some("option") => {
                    self.apply_option(place, words, false);
                }
                Some((option, _)) if option.variable => *self = Self::unknown(place.line),
                _ => {}
            },
            _ => {}
        }
    }

    fn apply_timeout(&mut self, place: Place, words: &[Word]) {
        let Some((which, rest)) = words.split_first() else {
            return;
        };
        let value = delay(rest.first()).map(Some);
        match which.known() {
            Some("check") => self.timeout_check.set(place, value),
            Some("server") => self.timeout_server.set(place, value),
            Some("tunnel") => self.timeout_tunnel.set(place, value),
            Some(_) => {}
            None => *self = Self::unknown(place.line),
        }
    }

    fn apply_option(&mut self, place: Place, words: &[Word], on: bool) {
        let Some((which, rest)) = words.split_first() else {
            return;
        };
        match which.known() {
            Some("persist") => self.persist.set(place, Some(on)),
            Some("redispatch") => {
                // `option redispatch 0` is another way to write `no option redispatch`.
                let interval = match rest.first() {
                    Some(interval) if on => number::<i32>(Some(interval)),
                    _ => Some(-1),
                };
                self.redispatch.set(place, interval.map(|interval| on && interval != 0));
            }
            Some(_) => {}
            None => *self = Self::unknown(place.line),
        }
    }
}

fn hash_type(method: &str) -> Option<HashType> {
    match method {
        "map-based" => Some(HashType::MapBased),
        "consistent" => Some(HashType::Consistent),
        _ => None,
    }
}

fn http_reuse(mode: &str) -> Option<HttpReuse> {
    match mode {
        "never" => Some(HttpReuse::Never),
        "safe" => Some(HttpReuse::Safe),
        "aggressive" => Some(HttpReuse::Aggressive),
        "always" => Some(HttpReuse::Always),
        _ => None,
    }
}
